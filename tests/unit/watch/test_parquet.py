"""Files read piece by piece have the days that their rows have in memory."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bucle.watch import parquet
from bucle.watch.days import Days, profile_days
from bucle.watch.parquet import BLOCKS, count_rows, profile_parquet, sample_parquet
from bucle.watch.yardsticks import yardsticks_of

ROWS = 5_000


def make(seed: int = 0, rows: int = ROWS) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, 9, rows))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    number = rng.normal(0, 1, rows)
    number[::50] = np.nan
    number[1::70] = np.inf
    return pl.DataFrame(
        {
            "at": [begin + timedelta(days=int(one), minutes=7) for one in day],
            "size": pl.Series(number).set(pl.Series(rng.random(rows) < 0.1), None),
            "count": pl.Series(rng.integers(0, 5, rows)).cast(pl.Int16),
            "few": pl.Series(rng.choice(["a", "b", "c"], rows)).set(
                pl.Series(rng.random(rows) < 0.05), None
            ),
            "many": [f"w{int(one)}" for one in rng.zipf(1.5, rows) % 60],
            "flag": rng.random(rows) < 0.3,
            "span": [timedelta(seconds=int(one)) for one in rng.integers(0, 900, rows)],
            "hour": [time(int(one)) for one in rng.integers(0, 24, rows)],
            "day": [date(2026, 1, 1 + int(one)) for one in day],
            "nothing": pl.Series([None] * rows, dtype=pl.Float64),
        }
    )


def same(one: Days, other: Days) -> None:
    for name in ("dates", "rows", "counts", "sums", "squares"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_LEAST_ROWS", 700)
    monkeypatch.setattr(parquet, "_CELLS", 7_000)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("order", ["by day", "any", "some without a day"])
def test_pieces_add_up_to_the_days_of_all_rows(tmp_path: Path, order: str) -> None:
    rows = make()
    if order == "any":
        rows = rows.sample(fraction=1.0, shuffle=True, seed=1)
    if order == "some without a day":
        rows = rows.with_columns(pl.when(pl.int_range(pl.len()) % 9 > 0).then("at").alias("at"))
    path = tmp_path / "rows.parquet"
    rows.write_parquet(path, row_group_size=900)
    sticks = yardsticks_of(make(7).drop("at"))
    same(profile_parquet([path], sticks, time="at"), profile_days(rows, sticks, time="at"))


@pytest.mark.usefixtures("small_pieces")
def test_several_files_and_missing_columns_are_one(tmp_path: Path) -> None:
    frames = [make(1), make(2, rows=1_300).drop("few", "size")]
    paths = [tmp_path / f"{number}.parquet" for number in range(2)]
    for frame, path in zip(frames, paths, strict=True):
        frame.write_parquet(path)
    sticks = yardsticks_of(make(7).drop("at"))
    both = profile_days(pl.concat(frames, how="diagonal"), sticks, time="at")
    same(profile_parquet(paths, sticks, time="at"), both)
    assert count_rows(paths) == ROWS + 1_300


@pytest.mark.usefixtures("small_pieces")
def test_rows_without_a_time_are_blocks_one_after_the_other(tmp_path: Path) -> None:
    rows = make(3)
    path = tmp_path / "rows.parquet"
    rows.write_parquet(path)
    sticks = yardsticks_of(rows.drop("at", "day"))
    found = profile_parquet([path], sticks, time=None)
    size = -(-ROWS // BLOCKS)
    blocks = rows.with_columns(
        _day=(pl.int_range(pl.len()) // size * 7).cast(pl.Int32).cast(pl.Date)
    )
    same(found, profile_days(blocks, sticks, time="_day"))
    assert found.dates.size == BLOCKS


def test_a_sample_is_spread_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"number": range(10_000)}).write_parquet(path, row_group_size=500)
    found = sample_parquet([path], rows=400)["number"]
    assert found.len() == 400
    assert found.min() == 0
    assert found.max() == 9_999
    assert found.mean() == pytest.approx(5_000, rel=0.01)
    assert sample_parquet([path], rows=20_000).height == 10_000


def test_no_rows_are_no_days(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    make().clear().write_parquet(path)
    found = profile_parquet([path], yardsticks_of(make().drop("at")), time="at")
    assert (found.dates.size, found.counts.shape[0]) == (0, 0)
