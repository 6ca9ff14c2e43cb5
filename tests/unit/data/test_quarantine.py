"""Quarantine keeps rows as they were read until they are corrected."""

import csv
import io
import json

import polars as pl
import pytest

from bucle.data.quarantine import (
    QUARANTINE_SCHEMA,
    add_rows,
    export_rows,
    open_rows,
    row_id,
    undo_guard,
)
from bucle.errors import UnknownNameError
from bucle.store.memory_tables import MemoryTables


def breached(*raws: dict[str, object]) -> pl.DataFrame:
    texts = [json.dumps(raw) for raw in raws]
    return pl.DataFrame(
        {
            "row": [row_id(text) for text in texts],
            "file": ["f.csv"] * len(texts),
            "line": range(2, 2 + len(texts)),
            "reasons": ['["price is empty"]'] * len(texts),
            "raw": texts,
            "corrected_in": [None] * len(texts),
        },
        schema=QUARANTINE_SCHEMA,
    )


ONE, TWO = breached({"item": "1"}), breached({"item": "2"})


def put(
    tables: MemoryTables,
    rows: pl.DataFrame,
    corrected: tuple[str, ...] = (),
    version: int = 1,
    known: int = 0,
) -> None:
    add_rows(tables, dataset="d", breached=rows, corrected=corrected, version=version, known=known)


def opened(tables: MemoryTables, version: int) -> list[str]:
    return [
        json.loads(raw)["item"] for raw in open_rows(tables, dataset="d", version=version)["raw"]
    ]


def test_the_same_rows_twice_are_there_once() -> None:
    tables = MemoryTables()
    put(tables, pl.concat([ONE, TWO]))
    put(tables, ONE)
    assert opened(tables, 1) == ["1", "2"]


def test_a_corrected_row_leaves_with_the_version_that_holds_it() -> None:
    tables = MemoryTables()
    put(tables, pl.concat([ONE, TWO]))
    put(tables, ONE.clear(), (ONE["row"][0],), version=2, known=1)
    assert opened(tables, 1) == ["1", "2"]
    assert opened(tables, 2) == ["2"]


def test_a_correction_that_was_never_recorded_is_taken_back() -> None:
    tables = MemoryTables()
    put(tables, pl.concat([ONE, TWO]))
    put(tables, ONE.clear(), (ONE["row"][0],), version=2, known=1)
    put(tables, TWO.clear(), (TWO["row"][0],), version=2, known=1)
    assert opened(tables, 2) == ["1"]


def test_a_corrected_row_that_breaches_again_is_back() -> None:
    tables = MemoryTables()
    put(tables, ONE)
    put(tables, ONE.clear(), (ONE["row"][0],), version=2, known=1)
    put(tables, ONE, version=2, known=2)
    assert opened(tables, 2) == ["1"]


def test_an_unknown_dataset_has_an_empty_quarantine() -> None:
    assert open_rows(MemoryTables(), dataset="d", version=0).is_empty()


def test_an_export_has_the_sources_columns_reasons_and_ids() -> None:
    rows = breached({"item": "1", "note": None}, {"item": "2", "note": "x", "_extra": ["9"]})
    lines = list(csv.DictReader(io.StringIO(export_rows(rows))))
    assert [line["item"] for line in lines] == ["1", "2"]
    assert lines[0]["note"] == ""
    assert lines[0]["_reasons"] == "price is empty"
    assert [line["_row"] for line in lines] == rows["row"].to_list()
    assert [line["_extra"] for line in lines] == ["", '["9"]']


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd",
        "-x",
        "@SUM",
        "\tx",
        "\rx",
        "'=1",
        "''-1",
        "-5",
        "-5.2e3",
        "plain",
        "'quoted'",
        "'-5",
        "-",
        "ñ",
    ],
)
def test_text_like_a_formula_is_guarded_and_comes_back(text: str) -> None:
    exported = export_rows(breached({text: text}))
    header, row = list(csv.reader(io.StringIO(exported, newline="")))
    assert row[0][0] not in "=+-@\t\r" or text in {"-5", "-5.2e3"}
    back = undo_guard(pl.DataFrame({header[0]: [row[0]]}))
    assert back.columns == [text]
    assert back.row(0) == (text,)


def test_only_rows_that_are_there_can_be_asked_for() -> None:
    both = pl.concat([ONE, TWO])
    assert TWO["row"][0] not in export_rows(both, only=[ONE["row"][0]])
    with pytest.raises(UnknownNameError, match="not in quarantine"):
        export_rows(both, only=["q-nothing"])
