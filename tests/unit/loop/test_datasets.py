"""When a source is all there is, and what asks for reading it again."""

import pytest

from bucle.charter.settings import DatasetSettings
from bucle.errors import UnknownNameError
from bucle.loop.datasets import _mirrors, _rules, dataset_settings
from bucle.loop.events import DataAdded, SourceFile

PLAIN = DatasetSettings(source="sales.csv")
CHARTER = '[project]\nname = "shop"\n\n[data.sales]\nprepare = "rules.py:prepare"\n{}'


def added(*names, origin="source"):
    files = tuple(SourceFile(name=name, digest=name, bytes=1) for name in names)
    counts = dict.fromkeys(("rows", "read", "added", "changed", "unchanged", "quarantined"), 0)
    return DataAdded(
        dataset="sales",
        data_version=1,
        table_version=0,
        fingerprint="f",
        files=files,
        origin=origin,
        **counts,
    )


@pytest.fixture
def mirrors(shop):
    def ask(*facts, settings=PLAIN, names=("sales.csv",)):
        record = shop().record(*facts).datasets.get("sales")
        return _mirrors(record, settings, set(names))

    return ask


def test_dataset_without_key_follows_its_source(mirrors):
    assert mirrors(added("sales.csv"))
    assert mirrors(added("sales.csv"), added("sales.csv"))


def test_first_addition_has_nothing_to_follow(mirrors):
    assert not mirrors()


def test_rows_with_a_key_never_go_by_themselves(mirrors):
    assert not mirrors(added("sales.csv"), settings=DatasetSettings(source="sales.csv", key="id"))


def test_rows_that_a_person_added_are_kept(mirrors):
    assert not mirrors(added("sales.csv"), added("sales.csv", origin="files"))


def test_file_that_has_gone_takes_no_rows_with_it(mirrors):
    assert not mirrors(added("january.csv"), names=("february.csv",))
    assert mirrors(added("january.csv"), names=("january.csv", "february.csv"))


def test_rules_change_with_settings_and_with_the_code_that_prepares(shop):
    code = "LIMIT = {}\ndef prepare(raw): return raw.head(LIMIT)"
    rules = {}
    for name, setting, limit in (
        ("as it is", "", 3),
        ("another setting", 'decimal = ","\n', 3),
        ("another constant", "", 4),
    ):
        made = shop(CHARTER.format(setting), rules=code.format(limit))
        rules[name] = _rules(made.workspace, made.charter.data["sales"])
    assert len(set(rules.values())) == 3


def test_rules_do_not_change_with_a_comment(shop):
    plain, commented = (
        shop(CHARTER.format(""), rules=f"def prepare(raw):{more}\n    return raw")
        for more in ("", "  # as it is")
    )
    settings = plain.charter.data["sales"]
    assert _rules(plain.workspace, settings) == _rules(commented.workspace, settings)


def test_unknown_dataset_is_refused_with_the_nearest(shop):
    with pytest.raises(UnknownNameError, match="'sale'") as caught:
        dataset_settings(shop().workspace, "sale")
    assert caught.value.did_you_mean == ("sales",)
    assert caught.value.code == "bucle-226"
