"""A table whose rows are not those on record is not learned from, however it came to be."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from calls import bucle
from shop import write_shop, write_steps

from bucle.store.delta_tables import DeltaTables


def _swap_rows(project: Path) -> None:
    """Put a whole, valid table in the place of the one on record."""
    tables = project / ".bucle" / "tables"
    frame = DeltaTables(tables).read("sales", version=0)
    shutil.rmtree(tables / "sales")
    DeltaTables(tables).write("sales", frame.with_columns(pl.col("price") * 100), mode="replace")
    shutil.rmtree(project / ".bucle" / "cache")


@pytest.mark.parametrize("write", [write_shop, write_steps], ids=["model", "steps"])
def test_rows_that_are_not_those_on_record_stop_the_run(tmp_path: Path, write) -> None:
    project = write(tmp_path / "project", count=60)
    bucle("data", "add", "sales", at=project)
    _swap_rows(project)
    answer = bucle("run", at=project, code=3)
    assert "Traceback" not in answer.all
    assert "sales" in answer.err
    assert "bucle-139" in answer.err
    assert bucle("models", "--json", at=project).json == []
    assert bucle("runs", "--json", at=project).json[-1]["state"] == "failed"
