import pytest

from bucle.gates.report import TABLE_HEAD, describe, table_rows
from bucle.gates.wording import say_amount, say_percent
from bucle.types import Check, Verdict


def _verdict(*checks: Check) -> Verdict:
    return Verdict(
        outcome="undecided", checks=checks, rows=1200, challenger="m-0123456789ab", champion="m-1"
    )


_GAIN = Check(
    name="champion",
    outcome="undecided",
    estimate=0.02,
    low=-0.01,
    high=0.05,
    limit=0.0,
    labels_needed=900,
    why="cannot be told apart",
)


def test_tells_the_outcome_the_numbers_and_the_reasons() -> None:
    lines = describe(_verdict(_GAIN))
    assert lines[0].startswith("undecided: m-0123456789ab against the champion m-1")
    assert lines[1].split() == list(TABLE_HEAD)
    assert lines[2].split() == [
        "champion", "undecided", "+2.0", "%", "-1.0", "%", "+5.0", "%", "+0.0", "%",
    ]  # fmt: skip
    assert lines[3] == "- champion: cannot be told apart"


def test_limits_are_told_in_the_unit_of_their_metric() -> None:
    limit = Check(
        name="must:mae", outcome="pass", estimate=12345.6, low=0.25, high=2e9, limit=1e-9, why="x"
    )
    size = Check(name="size", outcome="pass", estimate=1.5, limit=10.0, why="x")
    assert table_rows(_verdict(limit, size)) == [
        ("must:mae", "pass", "12,346", "0.25", "2e+09", "1.00e-09"),
        ("size", "pass", "1.5 MB", "", "", "10 MB"),
    ]


def test_fits_a_terminal_of_eighty_columns() -> None:
    wide = Check(
        name="slice:" + "a very long column name " * 4,
        outcome="fail",
        estimate=-123456.789,
        low=-1e12,
        high=-0.5,
        limit=-0.1,
        why="shown to lose more than 10.0 %: " + ", ".join(f"value {n}" for n in range(40)),
    )
    money = Check(
        name="must:money", outcome="pass", estimate=-9_999_999.0, low=-9.9e6, high=1.0, limit=2.0
    )
    for line in describe(_verdict(wide, money, _GAIN)):
        assert len(line) <= 80


def test_names_from_outside_cannot_steer_the_terminal() -> None:
    check = Check(name="slice:\x1b[31m", outcome="fail", why="worst is \x1b]0;x\x07\n\u202e")
    text = "\n".join(describe(_verdict(check)))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_what_is_not_known_is_empty_or_a_question_mark() -> None:
    check = Check(name="champion", outcome="undecided", why="too little to judge on")
    assert table_rows(_verdict(check)) == [("champion", "undecided", "", "", "", "")]
    assert say_amount(None) == say_percent(None) == "?"


@pytest.mark.parametrize("value", [-0.0, -0.0001])
def test_a_rounded_nothing_is_no_loss(value: float) -> None:
    assert say_percent(value, signed=True) == "+0.0 %"


def test_a_passed_check_is_explained_only_with_a_reservation() -> None:
    plain = Check(name="champion", outcome="pass", why="shown to be above 0.0 %")
    reserved = Check(name="baseline:last", outcome="pass", why="+1 %; not shown to be worse")
    assert describe(_verdict(plain, reserved))[-1] == "- baseline:last: +1 %; not shown to be worse"
    assert len(describe(_verdict(plain, reserved))) == len(describe(_verdict(plain))) + 2
