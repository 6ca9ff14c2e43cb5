"""The real files that come with the project's brief, as they are."""

import csv
import io
from pathlib import Path

import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.data.fingerprint import fingerprint
from bucle.data.inference import infer_types
from bucle.data.ingest import ingest
from bucle.data.sources import read_source
from bucle.data.views import view_pair
from bucle.store.delta_tables import DeltaTables
from bucle.store.memory_tables import MemoryTables

PLAIN = DatasetSettings()


def test_every_line_of_the_consignment_file_is_read_as_it_stands(shared_data: Path) -> None:
    path = shared_data / "scms_consignments.csv"
    rows = read_source(path, PLAIN)
    text = path.read_bytes().decode("utf-8-sig")
    expected = list(csv.reader(io.StringIO(text, newline="")))
    assert rows.frame.columns == expected[0]
    assert [[value or "" for value in row] for row in rows.frame.iter_rows()] == expected[1:]
    assert (rows.frame.height, rows.broken.height) == (10_324, 0)
    assert rows.origin["line"].to_list() == list(range(2, 10_326))


def test_words_in_number_columns_keep_these_text_and_are_told(shared_data: Path) -> None:
    rows = read_source(shared_data / "scms_consignments.csv", PLAIN)
    typed, coercions = infer_types(rows.frame)
    told = {coercion.column: coercion.count for coercion in coercions}
    assert told == {
        "PQ First Sent to Client Date": 2681,
        "Weight (Kilograms)": 3952,
        "Freight Cost (USD)": 4126,
    }
    assert typed.schema["Delivery Recorded Date"] == pl.Date
    assert typed["Dosage"].str.contains("^N/A$").sum() > 0
    assert typed.null_count().row(0) == rows.frame.null_count().row(0)


def test_two_months_of_taxi_trips_become_two_versions(shared_data: Path, tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    current = None
    counts = []
    for name in ("green_taxi_2024_01", "green_taxi_2024_02", "green_taxi_2024_01"):
        raw = read_source(shared_data / f"{name}.parquet", PLAIN)
        done = ingest(
            raw, dataset="trips", settings=PLAIN, root=tmp_path, tables=tables, current=current
        )
        assert done.read == done.added + done.unchanged
        current = done.version
        counts.append((done.added, done.is_new))
    assert counts == [(56_551, True), (53_577, True), (0, False)]
    assert current is not None
    both = read_source(f"{shared_data}/green_taxi_2024_*.parquet", PLAIN)
    assert current.rows == both.frame.height == 110_128
    assert current.fingerprint == fingerprint(both.frame)


def test_the_layout_of_files_leaves_the_fingerprint_as_it_is(
    shared_data: Path, tmp_path: Path
) -> None:
    rows = read_source(shared_data / "scms_consignments.csv", PLAIN).frame
    shuffled = rows.sample(fraction=1, shuffle=True, seed=1)
    for number in range(4):
        part = shuffled.slice(number * 3000, 3000)
        part.write_csv(tmp_path / f"{number}.csv", quote_style="always")
    tables = MemoryTables()
    whole, parts = (
        ingest(
            read_source(source, PLAIN),
            dataset=name,
            settings=PLAIN,
            root=tmp_path,
            tables=tables,
            current=None,
        ).version
        for name, source in (
            ("a", shared_data / "scms_consignments.csv"),
            ("b", f"{tmp_path}/*.csv"),
        )
    )
    assert whole is not None
    assert parts is not None
    assert whole.fingerprint == parts.fingerprint


def test_taxi_trips_are_cut_by_time(shared_data: Path) -> None:
    trips = read_source(shared_data / "green_taxi_2024_01.parquet", PLAIN).frame
    settings = DatasetSettings(
        event_time="lpep_pickup_datetime", label_time="lpep_dropoff_datetime", label="fare_amount"
    )
    views = view_pair(trips, settings, holdout=0.2)
    assert views.cut is not None
    cut = views.cut.replace(tzinfo=None)
    newer = views.newer.filter(pl.col("lpep_pickup_datetime") >= cut).height
    assert 0.2 <= newer / trips.height < 0.21
    assert views.train.height + newer == trips.height
    # Trips that were on their way at the cut have no fare yet.
    assert 0 < views.train["fare_amount"].null_count() < 100
