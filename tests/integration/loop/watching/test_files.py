"""Files judged by files: what has changed is named, what has not is left in peace."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bucle.cli.command_line import main
from bucle.errors import OutsideError, UsageError
from bucle.loop.watching.files import watch_files

PER_DAY = 200


def make(days: int, *, first: int = 0, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = days * PER_DAY
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=first)
    return pl.DataFrame(
        {
            "at": [begin + timedelta(days=number // PER_DAY) for number in range(rows)],
            "size": rng.normal(shift, 1, rows),
            "word": rng.choice(["a", "b", "c"], rows),
        }
    )


def write(rows: pl.DataFrame, path: Path) -> Path:
    rows.write_parquet(path)
    return path


def test_the_days_of_two_files_are_compared(tmp_path: Path) -> None:
    known = write(make(30), tmp_path / "known.parquet")
    alike = write(make(10, first=30, seed=1), tmp_path / "alike.parquet")
    moved = write(make(10, first=30, seed=2, shift=0.4), tmp_path / "moved.parquet")
    quiet, found = watch_files([known], [alike]), watch_files([known], [moved])
    assert quiet.findings == ()
    assert (quiet.time, quiet.reference.days, quiet.current.days) == ("at", 30, 10)
    assert (quiet.reference.rows, quiet.current.rows) == (6_000, 2_000)
    assert {one.measure.column for one in found.findings} == {"size"}
    assert found.findings[0].span == 10


def test_without_a_time_blocks_of_rows_stand_for_days(tmp_path: Path) -> None:
    known = write(make(30).drop("at"), tmp_path / "known.parquet")
    moved = write(make(5, seed=2, shift=0.4).drop("at"), tmp_path / "moved.parquet")
    found = watch_files([known], [moved])
    assert (found.time, found.reference.days) == (None, 30)
    assert {one.measure.column for one in found.findings} == {"size"}


def test_few_days_are_blocks_too_and_files_add_up(tmp_path: Path) -> None:
    known = write(make(3), tmp_path / "known.parquet")
    halves = [write(make(2, first=3 + k, seed=k), tmp_path / f"{k}.parquet") for k in range(2)]
    found = watch_files([known], halves)
    assert (found.time, found.current.rows) == (None, 4 * PER_DAY)
    assert found.findings == ()


def test_columns_that_came_and_went_are_told(tmp_path: Path) -> None:
    known = write(make(10), tmp_path / "known.parquet")
    now = write(make(5, first=10).rename({"word": "term"}), tmp_path / "now.parquet")
    found = watch_files([known], [now])
    assert (found.missing, found.added) == (("word",), ("term",))
    assert "word" in {one.measure.column for one in found.findings}


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    known = write(make(10), tmp_path / "known.parquet")
    twice = write(make(10).with_columns(also="at"), tmp_path / "twice.parquet")
    empty = write(make(10).clear(), tmp_path / "empty.parquet")
    text = tmp_path / "text.parquet"
    text.write_text("size,word\n1,a\n")
    with pytest.raises(UsageError, match="bucle-397"):
        watch_files([known], [known], time="att")
    with pytest.raises(UsageError, match="bucle-398"):
        watch_files([twice], [twice])
    for path in (text, tmp_path / "absent.parquet"):
        with pytest.raises(OutsideError, match="bucle-395"):
            watch_files([known], [path])
    with pytest.raises(OutsideError, match="bucle-396"):
        watch_files([known], [empty])


def test_the_command_needs_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(make(30), tmp_path / "known.parquet")
    write(make(10, first=30, seed=2, shift=0.4), tmp_path / "moved.parquet")
    assert main(["watch", "--reference", "known.parquet", "--current", "moved.parquet"]) == 0
    said = capsys.readouterr().out
    assert "6,000 rows in 30 days" in said
    assert "CHANGED" in said
    arguments = ["watch", "--json", "--reference", "known.parquet", "--current", "known.parquet"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert main(["watch", "--current", "moved.parquet"]) == 2
