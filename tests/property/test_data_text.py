"""Delimited text: what was written is read, and no line of any text is lost."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st
from strategies_data import cells, tables_of_text

from bucle.charter.settings import DatasetSettings
from bucle.data.delimited import read_delimited
from bucle.data.quarantine import QUARANTINE_SCHEMA, export_rows, undo_guard
from bucle.data.rows import SourceRows

import polars as pl  # isort: skip

SETTINGS = DatasetSettings(separator=",", null_values=())


def read(text: str) -> SourceRows:
    return read_delimited(text.encode(), name="f", settings=SETTINGS)


@given(tables_of_text, st.sampled_from(["\n", "\r", "\r\n"]), st.booleans())
def test_a_written_table_is_read_back(rows: list[list[str]], end: str, quote_all: bool) -> None:
    stream = io.StringIO(newline="")
    # A lone carriage return is only quoted by a writer whose line end holds one.
    style = csv.QUOTE_ALL if quote_all or end != "\r\n" else csv.QUOTE_MINIMAL
    writer = csv.writer(stream, lineterminator=end, quoting=style)
    names = [f"c{number}" for number in range(len(rows[0]))]
    writer.writerows([names, *rows])
    found = read(stream.getvalue())
    assert found.frame.columns == names
    assert [list(row) for row in found.frame.iter_rows()] == rows
    assert found.broken.is_empty()


@given(st.lists(cells, max_size=12).map("".join))
def test_every_line_of_any_text_is_a_row_or_broken_or_blank(body: str) -> None:
    text = "a,b\n" + body
    found = read(text)
    ends = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = ends.split("\n")
    starts = {*found.origin["line"], *found.broken["line"]}
    within = 0
    for value in [*found.frame["a"], *found.frame["b"]]:
        plain = value.replace("\r\n", "\n").replace("\r", "\n")
        within += plain.count("\n")
    for raw in found.broken["raw"]:
        fields = json.loads(raw).get("_fields", [])
        joined = "\0".join(fields).replace("\r\n", "\n").replace("\r", "\n")
        within += joined.count("\n")
    blank = sum(int(note.split()[1]) for note in found.notes if "blank" in note)
    total = len(lines) - (1 if lines[-1] == "" else 0)
    assert 1 + len(starts) + within + blank == total
    assert len(starts) == found.origin.height + found.broken.height


@given(st.dictionaries(cells.filter(str.strip), cells, min_size=1, max_size=4))
def test_an_export_comes_back_as_it_was(row: dict[str, str]) -> None:
    raw = pl.DataFrame(
        {
            "row": ["q-1"],
            "file": ["f"],
            "line": [2],
            "reasons": ["[]"],
            "raw": [json.dumps(row)],
            "corrected_in": [None],
        },
        schema=QUARANTINE_SCHEMA,
    )
    lines = list(csv.reader(io.StringIO(export_rows(raw), newline="")))
    names, values = lines[0][:-2], lines[1][:-2]
    back = undo_guard(pl.DataFrame([values], schema=names, orient="row"))
    assert dict(zip(back.columns, back.row(0), strict=True)) == row
