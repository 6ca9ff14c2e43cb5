"""Looking at datasets: what is listed, described, compared and suspected."""

import msgspec
import polars as pl
import pytest

from bucle.data.fingerprint import fingerprint
from bucle.errors import RequestError, UnknownNameError
from bucle.loop.events import DataAdded, SourceFile
from bucle.loop.inspection import (
    _role,
    check_dataset,
    describe_dataset,
    diff_dataset,
    list_datasets,
    list_quarantine,
)

PRICES = {1: 10.0, 2: 20.0, 3: 30.0}


def frame(prices):
    return pl.DataFrame({"id": list(prices), "price": list(prices.values())})


@pytest.fixture
def project(shop):
    """Return a project whose dataset `sales` has two versions."""
    made = shop(
        '[project]\nname = "shop"\n\n[data.sales]\nkey = "id"\nlabel = "price"\n\n[data.brands]\n'
    )
    for number, prices in enumerate([PRICES, PRICES | {3: 31.0, 4: None}]):
        table = made.workspace.tables.write("sales", frame(prices), mode="replace")
        made.record(
            DataAdded(
                dataset="sales",
                data_version=number + 1,
                table_version=table,
                rows=len(prices),
                fingerprint=fingerprint(frame(prices)),
                read=len(prices),
                added=1,
                changed=0,
                unchanged=0,
                quarantined=0,
                files=(SourceFile(name=f"{number}.csv", digest="", bytes=1),),
            )
        )
    return made.workspace


def test_datasets_without_rows_are_listed_as_well(project):
    listed = [
        (known.dataset, known.version, known.rows, known.at) for known in list_datasets(project)
    ]
    assert listed == [
        ("sales", 2, 4, "2026-01-02T00:02:00.000000Z"),
        ("brands", 0, 0, None),
    ]


def test_current_version_is_described_unless_another_is_named(project):
    now, before = (describe_dataset(project, "sales", version=number) for number in (None, 1))
    assert (now.version, now.rows, before.version, before.rows) == (2, 4, 1, 3)
    assert [(column.name, column.role, column.nulls) for column in now.columns] == [
        ("id", "key", 0),
        ("price", "label", 1),
    ]
    assert [version.files for version in now.versions] == [("0.csv",), ("1.csv",)]
    assert now.columns[1].examples == "10.0, 20.0, 31.0"


def test_column_may_have_several_parts(shop):
    settings = shop().charter.data["sales"]
    assert [_role(name, settings) for name in ("id", "day", "price", "sold", "miles")] == [
        "key",
        "event time",
        "label",
        "label time",
        "",
    ]
    both = msgspec.structs.replace(settings, label=("price", "sold"))
    assert _role("sold", both) == "label, label time"


@pytest.mark.parametrize("version", [0, 3, -1])
def test_version_that_does_not_exist_is_refused(project, version):
    with pytest.raises(UnknownNameError, match=f"no version {version}") as caught:
        describe_dataset(project, "sales", version=version)
    assert caught.value.code == "bucle-236"
    assert caught.value.cause == "it has versions 1 to 2"


@pytest.mark.parametrize("ask", [describe_dataset, check_dataset])
def test_dataset_without_a_version_is_refused(project, ask):
    with pytest.raises(UnknownNameError, match="'brands' has no version yet") as caught:
        ask(project, "brands")
    assert caught.value.code == "bucle-230"


def test_versions_are_compared_by_key(project):
    found = diff_dataset(project, "sales", before=1, after=2)
    assert (found.added, found.removed, found.changed, found.columns) == (1, 0, 1, {"price": 1})
    back = diff_dataset(project, "sales", before=2, after=1)
    assert (back.added, back.removed, back.changed) == (0, 1, 1)


def test_dataset_that_held_nothing_back_has_no_quarantine(project):
    assert list_quarantine(project, "sales") == ()


def test_column_to_protect_must_exist(project):
    with pytest.raises(UnknownNameError, match="no column 'prize'") as caught:
        check_dataset(project, "sales", target="prize")
    assert caught.value.did_you_mean == ("price",)
    assert caught.value.code == "bucle-229"


def test_without_a_label_somebody_must_say_what_is_predicted(shop):
    made = shop('[project]\nname = "shop"\n\n[data.sales]\n')
    table = made.workspace.tables.write("sales", frame(PRICES), mode="replace")
    counts = dict.fromkeys(("rows", "read", "added", "changed", "unchanged", "quarantined"), 3)
    made.record(
        DataAdded(
            dataset="sales",
            data_version=1,
            table_version=table,
            fingerprint=fingerprint(frame(PRICES)),
            **counts,
        )
    )
    with pytest.raises(RequestError, match="which column is predicted") as caught:
        check_dataset(made.workspace, "sales")
    assert caught.value.code == "bucle-228"
