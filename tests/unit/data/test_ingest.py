"""Every row that is read is accounted for, and a version is made only of new content."""

import json
from pathlib import Path

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.delimited import read_delimited
from bucle.data.fingerprint import fingerprint
from bucle.data.ingest import Ingested, ingest
from bucle.data.quarantine import export_rows, open_rows
from bucle.errors import ContractError, DigestMismatchError, UnknownNameError
from bucle.store.memory_tables import MemoryTables
from bucle.types import DataVersion


class Desk:
    """A dataset without contract, whose versions are recorded at once."""

    def __init__(self, **settings: object) -> None:
        self.settings = DatasetSettings(**settings)
        self.tables = MemoryTables()
        self.current: DataVersion | None = None

    def add(self, text: str, *, record: bool = True, mirror: bool = False) -> Ingested:
        raw = read_delimited(text.encode(), name="f.csv", settings=self.settings)
        done = ingest(
            raw,
            dataset="d",
            settings=self.settings,
            root=Path(),
            tables=self.tables,
            current=self.current,
            mirror=mirror,
        )
        assert done.read == (
            done.added + done.changed + done.unchanged + done.repeated + done.quarantined
        )
        if record:
            self.current = done.version
        return done

    def rows(self) -> list[tuple[object, ...]]:
        assert self.current is not None
        return self.tables.read("d", version=self.current.table_version).rows()

    def quarantined(self) -> pl.DataFrame:
        known = self.current.version if self.current else 0
        return open_rows(self.tables, dataset="d", version=known)


def test_the_first_rows_make_version_one() -> None:
    desk = Desk()
    done = desk.add("id,price\n1,5\n2,6\n")
    assert (done.added, done.is_new) == (2, True)
    assert desk.current == DataVersion(
        dataset="d",
        version=1,
        table_version=0,
        rows=2,
        fingerprint=fingerprint(pl.DataFrame({"id": [1, 2], "price": [5, 6]})),
    )


@pytest.mark.parametrize("key", ["id", ()])
def test_the_same_content_twice_makes_no_version(key: object) -> None:
    desk = Desk(key=key)
    first = desk.add("id,price\n1,5\n2,\n2,\n").version
    again = desk.add("id,price\n2,\n1,5\n2,\n")
    assert (again.version, again.is_new, again.added) == (first, False, 0)
    assert desk.tables.version("d") == 0


def test_a_key_makes_a_batch_an_upsert() -> None:
    desk = Desk(key="id")
    desk.add("id,price\n1,5\n2,6\n")
    done = desk.add("id,price\n2,7\n3,8\n1,5\n")
    assert (done.added, done.changed, done.unchanged) == (1, 1, 1)
    assert desk.rows() == [(1, 5), (2, 7), (3, 8)]
    assert desk.current is not None
    assert desk.current.version == 2


def test_contradicting_keys_go_to_quarantine() -> None:
    desk = Desk(key="id")
    done = desk.add("id,price\n1,5\n1,6\n2,7\n2,7\n")
    assert (done.added, done.quarantined, done.repeated) == (1, 2, 1)
    assert desk.quarantined()["line"].to_list() == [2, 3]


def test_without_a_key_equal_rows_are_a_multiset() -> None:
    desk = Desk()
    desk.add("a\n1\n1\n")
    done = desk.add("a\n1\n1\n1\n2\n")
    assert (done.added, done.unchanged) == (2, 2)


def test_ragged_rows_can_be_corrected_and_added_again() -> None:
    desk = Desk(key="id")
    desk.add("id,price,note\n1,5,a\n2,6\n3,7,b,c\n")
    exported = export_rows(desk.quarantined())
    assert exported.splitlines()[0] == "id,price,note,_extra,_reasons,_row"
    corrected = desk.add(exported.replace('"[""c""]"', ""))
    assert (corrected.added, corrected.corrected, corrected.quarantined) == (2, 2, 0)
    assert desk.quarantined().is_empty()
    assert desk.rows() == [(1, 5, "a"), (2, 6, None), (3, 7, "b")]


def test_text_beyond_the_header_is_not_dropped_when_added_again() -> None:
    desk = Desk(key="id")
    desk.add("id,note\n1,a\n3,b,c\n")
    again = desk.add(export_rows(desk.quarantined()))
    assert (again.added, again.quarantined, again.corrected, again.is_new) == (0, 1, 0, False)
    assert desk.quarantined().height == 1
    assert "left in quarantine" in again.notes[0]
    with pytest.raises(UnknownNameError, match="it is not there"):
        Desk(key="id").add("id,_extra,_reasons,_row\n3,x,y,q-0000\n")


def test_a_correction_that_breaches_otherwise_takes_the_rows_place() -> None:
    desk = Desk(key="id")
    desk.add("id,price\n1,5\n,6\n")
    exported = export_rows(desk.quarantined())
    again = desk.add(exported.replace(",6,", ",7,"))
    assert (again.quarantined, again.corrected) == (1, 1)
    assert [json.loads(raw)["price"] for raw in desk.quarantined()["raw"]] == ["7"]


def test_a_good_row_closes_the_quarantined_rows_of_its_key() -> None:
    desk = Desk(key=("shop", "id"))
    desk.add("shop,id,price\na,1,5\na,2,6,x\nb,2,7,y\n")
    done = desk.add("shop,id,price\na,1,5\na,2,6\nb,3,7\n")
    assert (done.added, done.corrected, done.unchanged) == (2, 1, 1)
    assert [json.loads(raw)["shop"] for raw in desk.quarantined()["raw"]] == ["b"]


def test_a_good_row_that_is_there_already_closes_a_bad_update_of_it() -> None:
    desk = Desk(key="id")
    desk.add("id,price\n1,5\n")
    desk.add("id,price\n1,5,x\n")
    done = desk.add("id,price\n1,5\n")
    assert (done.is_new, done.corrected) == (False, 1)
    assert desk.quarantined().is_empty()


def test_a_bad_row_beside_a_good_one_of_its_key_stays() -> None:
    desk = Desk(key="id")
    for _ in range(2):
        done = desk.add("id,price\n1,5\n1,6,x\n")
        assert (done.quarantined, done.corrected) == (1, 0)
        assert desk.quarantined().height == 1


def test_without_a_key_only_a_mirrored_source_closes_what_it_no_longer_has() -> None:
    desk = Desk()
    desk.add("a,b\n1,2\n3\n4,4,4\n")
    assert desk.add("a,b\n1,2\n3,3\n4,4,4\n").corrected == 0
    done = desk.add("a,b\n1,2\n3,3\n4,4,4\n", mirror=True)
    assert (done.corrected, done.quarantined) == (1, 1)
    assert [json.loads(raw)["a"] for raw in desk.quarantined()["raw"]] == ["4"]


def test_equal_bad_rows_are_each_kept_and_not_doubled() -> None:
    desk = Desk(key="id")
    for _ in range(2):
        desk.add("id,price\n1,5\n,6\n,6\n")
        assert desk.quarantined().height == 1
    desk = Desk()
    for _ in range(2):
        desk.add("a,b\n1,2\n3\n3\n")
        assert desk.quarantined().height == 2


def test_an_ingest_that_was_never_recorded_does_not_count() -> None:
    desk = Desk(key="id")
    desk.add("id,price\n1,5\n,9\n")
    lost = desk.add(export_rows(desk.quarantined()).replace(",9", "7,9"), record=False)
    assert lost.corrected == 1
    assert desk.quarantined().height == 1
    done = desk.add("id,price\n2,6\n")
    assert done.added == 1
    assert desk.rows() == [(1, 5), (2, 6)]
    assert desk.quarantined().height == 1
    assert desk.current is not None
    assert desk.current.version == 2


def test_a_first_ingest_that_was_never_recorded_does_not_count() -> None:
    desk = Desk()
    desk.add("a\n1\n", record=False)
    desk.add("a\n2\n")
    assert desk.rows() == [(2,)]


def test_a_version_that_is_not_what_was_recorded_stops_the_ingest() -> None:
    desk = Desk()
    desk.add("a\n1\n")
    assert desk.current is not None
    place = desk.tables.write("d", pl.DataFrame({"a": [9]}), mode="replace")
    desk.current = DataVersion(
        dataset="d", version=1, table_version=place, rows=1, fingerprint=desk.current.fingerprint
    )
    with pytest.raises(DigestMismatchError, match="is not what was recorded"):
        desk.add("a\n2\n")


def test_only_bad_rows_make_no_version() -> None:
    desk = Desk(key="id")
    done = desk.add("id,price\n,5\n")
    assert (done.version, done.is_new, done.quarantined) == (None, False, 1)
    assert desk.quarantined().height == 1


def test_later_rows_keep_the_types_of_the_first_version() -> None:
    desk = Desk()
    desk.add("id,price\n1,5\n")
    done = desk.add("id,price\n2,N/A\n")
    assert desk.rows() == [(1, 5), (2, None)]
    assert [(c.column, c.examples, c.became) for c in done.coerced] == [("price", ("N/A",), "null")]
    with pytest.raises(ContractError, match="Did you mean: prise"):
        desk.add("id,prise\n1,5\n")
