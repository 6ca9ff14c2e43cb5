"""The tables that monitors are tried on: taxi trips by day, and the freight of a consignment file.

What is drawn depends on a number only, so that every monitor, in whatever environment, sees the
same rows.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

__all__ = [
    "CODES",
    "NULLS",
    "NUMBERS",
    "PAIRS",
    "PLANTED",
    "PLANTED_DAYS",
    "PLANTS",
    "Table",
    "freight",
    "freight_days",
    "plant",
    "taxi",
    "write_tables",
]

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
TIME = "lpep_pickup_datetime"
CODES = (
    "VendorID",
    "store_and_fwd_flag",
    "RatecodeID",
    "PULocationID",
    "DOLocationID",
    "payment_type",
    "trip_type",
)
NUMBERS = (
    "passenger_count",
    "trip_distance",
    "fare_amount",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "total_amount",
)
MOST_WORDS = 200
PAIRS = {
    "taxi": ((500, 500), (5_000, 5_000), (28_000, 28_000), (50_000, 500)),
    "freight": ((500, 500), (5_000, 5_000), (9_500, 500)),
}
"""How many rows the reference and the current table have, drawn from one month, or one file."""

NULLS = {"taxi": "fare_amount", "freight": "Line Item Value"}
"""The column of which one value in a hundred is made missing, in reports of 5,000 rows each."""

DELIVERED = "Delivered to Client Date"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows, which columns are words, and the column of days."""

    name: str
    rows: pl.DataFrame
    words: tuple[str, ...]
    time: str | None


def taxi(month: int) -> Table | None:
    """Return the green-taxi trips of a month of 2024; None where the file is absent."""
    path = SHARED / f"green_taxi_2024_{month:02}.parquet"
    if not path.exists():
        return None
    rows = (
        pl.read_parquet(path)
        .filter((pl.col(TIME).dt.year() == 2024) & (pl.col(TIME).dt.month() == month))
        .select(
            TIME,
            *(pl.col(name).cast(pl.String) for name in CODES),
            *(pl.col(name).cast(pl.Float64) for name in NUMBERS),
        )
    )
    return Table(name="taxi", rows=rows, words=CODES, time=TIME)


def freight() -> Table | None:
    """Return the lines of the consignment file, without those that name each row."""
    path = SHARED / "scms_consignments.csv"
    if not path.exists():
        return None
    rows = _read_lines(path)
    kept = [
        column.name
        for column in rows.iter_columns()
        if column.dtype.is_numeric() or column.n_unique() <= MOST_WORDS
    ]
    rows = rows.select(kept).drop("ID", "\ufeffID", strict=False)
    words = tuple(column.name for column in rows.iter_columns() if not column.dtype.is_numeric())
    numbers = [name for name in rows.columns if name not in words]
    rows = rows.with_columns(pl.col(numbers).cast(pl.Float64))
    return Table(name="freight", rows=rows, words=words, time=None)


def freight_days() -> Table | None:
    """Return the same lines with the day of their delivery."""
    table, path = freight(), SHARED / "scms_consignments.csv"
    if table is None:
        return None
    days = _read_lines(path)[DELIVERED].str.to_date("%d-%b-%y").alias(DELIVERED)
    rows = table.rows.with_columns(days)
    return Table(name="freight", rows=rows, words=table.words, time=DELIVERED)


def _read_lines(path: Path) -> pl.DataFrame:
    # Its lines end as those of an old Macintosh did.
    return pl.read_csv(path, infer_schema_length=None, encoding="utf8-lossy", eol_char="\r")


def write_tables(folder: Path) -> dict[str, Table]:
    """Write what monitors of other environments read; return the tables that are there."""
    found = {table.name: table for table in (taxi(1), freight()) if table is not None}
    february = taxi(2)
    if february is not None:
        found["february"] = february
    for name, table in found.items():
        table.rows.write_parquet(folder / f"{name}.parquet")
    plan = {
        name: {
            "words": table.words,
            "time": table.time,
            "pairs": PAIRS.get(name, ()),
            "nulls": NULLS.get(name),
        }
        for name, table in found.items()
    }
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    planted = february and {name: plant(february, name) for name in PLANTS}
    for name, rows in (planted or {}).items():
        rows = rows.filter(pl.col(TIME).dt.day().is_between(*PLANTED_DAYS))  # noqa: PLW2901
        rows.write_parquet(folder / f"planted-{name}.parquet")
    return found


PLANTS = {
    "nulls": "1 % of the fares missing",
    "prices": "fares 10 % dearer",
    "payment": "2 of 10 paid otherwise",
}
"""What is planted in February from the fifteenth day on."""

PLANTED_DAYS = (15, 20)
"""The days on which it is looked for."""

PLANTED = {"nulls": "fare_amount", "prices": "fare_amount", "payment": "payment_type"}


def plant(february: Table, name: str) -> pl.DataFrame:
    """Return February with a change from the fifteenth on."""
    rows = february.rows
    rng = np.random.default_rng(3)
    drawn = pl.Series(rng.random(rows.height))
    late = pl.col(TIME).dt.day() >= 15
    if name == "nulls":
        change = (
            pl.when(late & (drawn < 0.01)).then(None).otherwise("fare_amount").alias("fare_amount")
        )
    elif name == "prices":
        change = (
            pl.when(late)
            .then(pl.col("fare_amount") * 1.1)
            .otherwise("fare_amount")
            .alias("fare_amount")
        )
    else:
        change = (
            pl.when(late & (drawn < 0.2))
            .then(pl.lit("2"))
            .otherwise("payment_type")
            .alias("payment_type")
        )
    return rows.with_columns(change)
