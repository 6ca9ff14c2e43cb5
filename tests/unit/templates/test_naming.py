from pathlib import Path

import pytest

from bucle.errors import UsageError
from bucle.templates.naming import check_folder


@pytest.mark.parametrize(
    "name", ["demo", "freight-2", "work/café", "a.b", "año 2026", "0", "x" * 64]
)
def test_accepts_names_that_every_system_can_hold(name):
    check_folder(Path(name))


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "a/../b",
        "..",
        ".",
        "",
        "nul\0byte",
        "two\nlines",
        "party \N{PARTY POPPER}",
        "x" * 300,
        "-rf",
        "--template",
        "CON",
        "con.txt",
        "LPT1",
        "trailing ",
        " leading",
        "dot.",
        ".hidden",
        "back\\slash",
        "~",
        "$HOME",
        "a;b",
        "right\N{RIGHT-TO-LEFT OVERRIDE}left",
        "zero\N{ZERO WIDTH SPACE}width",
    ],
)
def test_refuses_names_that_lead_elsewhere_or_cannot_be_typed(name):
    with pytest.raises(UsageError) as caught:
        check_folder(Path(name))
    assert caught.value.code == "bucle-185"
    assert caught.value.cause
    head = str(caught.value).splitlines()[0]
    assert head.startswith("Cannot name a project ")
    assert head.isprintable()


def test_offers_a_name_that_is_accepted():
    with pytest.raises(UsageError) as caught:
        check_folder(Path("my shop!"))
    offered = caught.value.attempt.removeprefix("bucle new ")
    check_folder(Path(offered))
