"""What `bucle load` has asked is no prediction that somebody wanted."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from bucle.loop.genuine import read_predictions
from bucle.serve.compactor import compact
from bucle.serve.journal import Journal
from bucle.serve.records import LOAD_REQUEST, Prediction
from bucle.store.memory_tables import MemoryTables

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AT = int(datetime(2025, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000


def prediction(name: str, **changes: Any) -> Prediction:
    fields = {"id": name, "at": AT, "model": "m-1", "role": "champion", "prediction": 1.0}
    return Prediction(**(fields | changes))


@pytest.mark.parametrize("is_compacted", [True, False])
def test_rows_of_a_load_and_what_stands_beside_them_are_left_out(
    tmp_path: Path, *, is_compacted: bool
) -> None:
    folder, tables = tmp_path / "serve" / "log", MemoryTables()
    journal = Journal(folder, name="w0")
    journal.append_many(
        [
            prediction("a"),
            prediction("b", request="order 7"),
            prediction("c", request=LOAD_REQUEST),
            prediction("d", role="shadow", model="m-2", of="a"),
            prediction("e", role="shadow", model="m-2", of="c"),
            prediction("f", role="canary", request=LOAD_REQUEST),
        ]
    )
    journal.close()
    if is_compacted:
        compact(folder, tables)
    workspace: Any = SimpleNamespace(home=tmp_path, tables=tables)
    found = read_predictions(workspace, columns=("id", "role"), since=LONG_AGO)
    assert found.sort("id").to_dict(as_series=False) == {
        "id": ["a", "b", "d"],
        "role": ["champion", "champion", "shadow"],
    }
    assert found.schema == {"id": pl.String, "role": pl.String}


def test_nothing_is_left_out_where_nobody_has_loaded(tmp_path: Path) -> None:
    folder, tables = tmp_path / "serve" / "log", MemoryTables()
    workspace: Any = SimpleNamespace(home=tmp_path, tables=tables)
    assert read_predictions(workspace, columns=("at",), since=LONG_AGO).is_empty()
    journal = Journal(folder, name="w0")
    journal.append_many([prediction("a"), prediction("b", role="shadow", of="a")])
    journal.close()
    found = read_predictions(workspace, columns=("of", "id"), since=LONG_AGO)
    assert found.rows() == [("", "a"), ("a", "b")]
