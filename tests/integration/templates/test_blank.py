import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from subscriptions import subscription_table, write_subscriptions

from bucle.charter.project_code import load_name
from bucle.charter.reading import load_charter
from bucle.charter.settings import DatasetSettings
from bucle.data.ingest import ingest
from bucle.data.places import find_sources
from bucle.data.sources import read_source
from bucle.data.views import view_pair
from bucle.errors import SourceError, UsageError
from bucle.store.memory_tables import MemoryTables
from bucle.templates.creation import TemplateOptions, create_project

pytestmark = pytest.mark.thorough


def _create(folder, *files, **options):
    return create_project(folder, template="blank", options=TemplateOptions(data=files, **options))


def _ingest(root):
    charter = load_charter(root, environ={}).charter
    settings = charter.data["rows"]
    tables = MemoryTables()
    raw = read_source(find_sources(settings, root=root), settings, root=root)
    found = ingest(raw, dataset="rows", settings=settings, root=root, tables=tables, current=None)
    return charter, found, tables.read("rows")


def _judge(root):
    """Learn before the cut and predict after it, as a run does; return truth and prediction."""
    charter, _, frame = _ingest(root)
    views = view_pair(frame, charter.data["rows"], holdout=0.2)
    examples, model = (load_name(root, f"pipeline.py:{name}") for name in ("examples", "model"))
    fitted = model(examples(views.train), max_iter=20)
    judged = examples(views.newer).drop_nulls(charter.pipeline.target)
    if views.cut is not None:
        moment = views.cut.replace(tzinfo=None)
        judged = judged.filter(pl.col(charter.data["rows"].event_time).cast(pl.Datetime) >= moment)
    features = judged.select(charter.pipeline.features)
    return charter, fitted, judged, features


_TAXI = {
    "target": "fare_amount",
    "event_time": "lpep_pickup_datetime",
    "label_time": "lpep_dropoff_datetime",
}


def test_every_row_of_green_taxi_keeps_the_drafted_contract(tmp_path, shared_data):
    files = sorted(shared_data.glob("green_taxi_2024_*.parquet"))
    created = _create(tmp_path / "taxi", *files, **_TAXI)
    assert any("total_amount" in note and "only with the label" in note for note in created.notes)
    _, found, frame = _ingest(tmp_path / "taxi")
    assert (found.read, found.quarantined) == (110_128, 0)
    assert frame.height + found.repeated == 110_128


def test_a_model_of_taxi_fares_beats_the_median(tmp_path, shared_data):
    _create(tmp_path / "taxi", shared_data / "green_taxi_2024_01.parquet", **_TAXI)
    charter, fitted, judged, features = _judge(tmp_path / "taxi")
    assert "total_amount" not in features.columns
    truth = judged["fare_amount"].to_numpy()
    wape = np.abs(truth - fitted.predict(features)).sum() / np.abs(truth).sum()
    assert wape < charter.charter.kpis[0].must - 0.1


def test_trip_distance_known_late_on_request_is_no_feature(tmp_path, shared_data):
    _create(
        tmp_path / "taxi",
        shared_data / "green_taxi_2024_01.parquet",
        **_TAXI,
        late=("trip_distance", "tip_amount"),
    )
    charter = load_charter(tmp_path / "taxi", environ={}).charter
    assert {"trip_distance", "tip_amount"} <= set(charter.data["rows"].label)
    assert not {"trip_distance", "tip_amount"} & set(charter.pipeline.features)


def test_a_yes_or_no_becomes_a_project_whose_model_beats_the_base_rate(tmp_path):
    table = write_subscriptions(tmp_path / "subscriptions.csv")
    _create(
        tmp_path / "churn",
        table,
        target="leaves",
        event_time="asked_on",
        label_time="known_on",
        key=("customer",),
    )
    charter, found, frame = _ingest(tmp_path / "churn")
    assert (found.quarantined, frame.height) == (0, 4000)
    charter, fitted, judged, features = _judge(tmp_path / "churn")
    assert charter.pipeline.kind == "classification"
    truth = judged["leaves"].to_numpy().astype(float)
    yes = np.clip(fitted.predict_proba(features)[:, 1], 1e-6, 1 - 1e-6)
    log_loss = -(truth * np.log(yes) + (1 - truth) * np.log(1 - yes)).mean()
    assert log_loss < charter.charter.kpis[0].must - 0.03


def test_without_times_a_project_still_learns_and_says_what_it_cannot_promise(tmp_path):
    table = write_subscriptions(tmp_path / "subscriptions.csv", rows=800)
    created = _create(tmp_path / "churn", table, target="leaves")
    assert any("nothing is promised about later rows" in note for note in created.notes)
    _, _, judged, features = _judge(tmp_path / "churn")
    assert 80 < judged.height < 240
    assert features.height == judged.height


def test_a_row_that_was_never_seen_goes_to_quarantine(tmp_path):
    table = write_subscriptions(tmp_path / "subscriptions.csv", rows=2000)
    _create(tmp_path / "churn", table, target="leaves", event_time="asked_on")
    root = tmp_path / "churn"
    odd = subscription_table(rows=2, seed=9).with_columns(plan=pl.Series(["gold", "plus"]))
    odd.write_csv(root / "data" / "subscriptions.csv")
    _, found, frame = _ingest(root)
    assert (found.quarantined, frame.height) == (1, 1)


def test_a_drafted_project_passes_its_own_tests(tmp_path):
    table = write_subscriptions(tmp_path / "subscriptions.csv", rows=300)
    _create(tmp_path / "churn", table, target="leaves", event_time="asked_on")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command, cwd=tmp_path / "churn", capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _write(path: Path, **columns) -> Path:
    pl.DataFrame(columns).write_csv(path)
    return path


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": [1], "y": [2.5]}, "only value is 2.5"),
        ({"a": [1, 2, 3], "y": ["yes"] * 3}, "only value is 'yes'"),
        ({"a": [1, 2, 3], "y": [None, None, None]}, "it is empty"),
        ({"a": [4, 4, 4], "y": [1.0, 2.0, 3.5]}, "no other column"),
        ({"a": [1, 2, 3], "y": ["red", "green", "blue"]}, "neither a number"),
    ],
    ids=["one row", "one class", "no label", "constant column", "three words"],
)
def test_tables_with_nothing_to_learn_are_refused_in_words(tmp_path, columns, words):
    table = _write(tmp_path / "table.csv", **columns)
    with pytest.raises(UsageError) as caught:
        _create(tmp_path / "p", table, target="y")
    assert words in str(caught.value)
    assert caught.value.code == "bucle-192"
    assert not (tmp_path / "p").exists()


def test_two_rows_make_a_project(tmp_path):
    table = _write(tmp_path / "table.csv", a=[1, 2], y=[2.5, 3.5])
    created = _create(tmp_path / "p", table, target="y")
    assert any("few" in note for note in created.notes)
    _, found, frame = _ingest(tmp_path / "p")
    assert (found.quarantined, frame.height) == (0, 2)


def test_a_header_alone_is_refused(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,y\n")
    with pytest.raises(SourceError):
        _create(tmp_path / "p", table, target="y")
    assert not (tmp_path / "p").exists()


def test_strange_column_names_make_a_project_that_reads_its_data(tmp_path):
    rng = np.random.default_rng(0)
    names = ["Unit Price", "class", "filter", "<script>", "ñandú", 'quo"te']
    columns = {name: rng.normal(size=50) for name in names} | {"y": rng.normal(size=50)}
    table = _write(tmp_path / "table.csv", **columns)
    _create(tmp_path / "p", table, target="y")
    charter, found, frame = _ingest(tmp_path / "p")
    assert (found.quarantined, frame.height) == (0, 50)
    assert list(charter.pipeline.features) == names


def test_european_files_are_read_as_they_were_asked_to_be(tmp_path):
    table = tmp_path / "ventas.csv"
    lines = [f"{1 + n % 28:02d}/03/2026;{n},5;{n % 7}" for n in range(40)]
    table.write_text("\n".join(["dia;precio;unidades", *lines]) + "\n")
    with pytest.raises((SourceError, UsageError)):
        _create(tmp_path / "p", table, target="precio", event_time="dia")
    reading = DatasetSettings(separator=";", decimal=",", dates="day-first")
    _create(tmp_path / "p", table, target="precio", event_time="dia", reading=reading)
    charter, found, frame = _ingest(tmp_path / "p")
    assert (found.quarantined, frame.height) == (0, 40)
    assert frame["precio"].sum() == sum(n + 0.5 for n in range(40))
    assert frame["dia"].max().isoformat() == "2026-03-28"
    assert charter.data["rows"].decimal == ","


def test_same_table_makes_the_same_project(tmp_path):
    table = write_subscriptions(tmp_path / "subscriptions.csv", rows=500)
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        created = _create(folder / "churn", table, target="leaves", event_time="asked_on")
        written.append({name: (folder / "churn" / name).read_bytes() for name in created.files})
    assert written[0] == written[1]


def test_drafted_code_is_plain_python(tmp_path):
    table = write_subscriptions(tmp_path / "subscriptions.csv", rows=300)
    _create(tmp_path / "churn", table, target="leaves", event_time="asked_on")
    for name in ("contract", "pipeline"):
        spec = importlib.util.spec_from_file_location(name, tmp_path / "churn" / f"{name}.py")
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_words_about_a_file_do_not_name_the_folder_it_was_drafted_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{row};{row % 7},5;{row % 5}\n" for row in range(60))
    Path("plain.csv").write_text("row;size;y\n" + rows, encoding="utf-8")
    created = _create(Path("plain"), Path("plain.csv"), target="y")
    assert any(note.startswith("plain.csv: values are separated") for note in created.notes)
    Path("latin.csv").write_bytes("row,größe,y\n1,2,3\n".encode("latin-1"))
    with pytest.raises(SourceError) as raised:
        _create(Path("latin"), Path("latin.csv"), target="y")
    assert raised.value.what.startswith("Cannot read latin.csv as UTF-8")
    assert "--encoding" in raised.value.attempt


def test_labels_that_are_words_among_numbers_are_told(tmp_path):
    file = tmp_path / "rows.csv"
    rows = "".join(f"{row % 9},{'see note' if row % 20 == 0 else row % 7}\n" for row in range(100))
    file.write_text("size,y\n" + rows, encoding="utf-8")
    created = _create(tmp_path / "told", file, target="y")
    assert "y: no label in 5 values such as 'see note'" in created.notes


def test_a_yes_or_no_kept_as_decimal_numbers_with_gaps_can_be_learned(tmp_path):
    numbers = [float(row % 2) if row % 10 else float("nan") for row in range(200)]
    pl.DataFrame({"size": [row % 2 + row % 3 for row in range(200)], "y": numbers}).write_parquet(
        tmp_path / "rows.parquet"
    )
    _create(tmp_path / "gaps", tmp_path / "rows.parquet", target="y")
    charter, fitted, _, features = _judge(tmp_path / "gaps")
    assert charter.pipeline.kind == "classification"
    assert 0 < charter.charter.kpis[0].must < 1
    assert fitted.predict_proba(features).shape == (features.height, 2)


def _with_words(path):
    """Write a table in which three weights are words."""
    words = {3: "n/a", 9: "?", 20: "too heavy"}
    rows = [f"{i % 23},{words.get(i, 1 + i / 7)},{i * 3 % 17 + i / 9}\n" for i in range(300)]
    path.write_text("size,weight,price\n" + "".join(rows))
    return path


def test_a_column_kept_as_text_says_how_to_make_it_a_number(tmp_path):
    table = _with_words(tmp_path / "t.csv")
    (note,) = (
        note for note in _create(tmp_path / "p", table, target="price").notes if "kept as" in note
    )
    assert "--null-values n/a --null-values '?' --null-values 'too heavy'" in note
    line = int(note.partition(" in line ")[2].split()[0])
    contract = tmp_path / "p" / "contract.py"
    lines = contract.read_text().splitlines()
    assert lines[line - 1].startswith("    weight = dy.String(")
    lines[line - 1] = "    weight = dy.Float64(nullable=True)"
    contract.write_text("\n".join(lines))
    charter = tmp_path / "p" / "bucle.toml"
    setting = 'null_values = ["", "n/a", "?", "too heavy"]'
    assert setting in note
    charter.write_text(charter.read_text().replace("[data.rows]", f"[data.rows]\n{setting}"))
    _, found, rows = _ingest(tmp_path / "p")
    assert (found.quarantined, found.coerced, rows["weight"].null_count()) == (0, (), 3)


def test_null_values_given_are_read_and_written_down(tmp_path):
    table = _with_words(tmp_path / "t.csv")
    words = ("", "n/a", "?", "too heavy")
    created = _create(
        tmp_path / "p", table, target="price", reading=DatasetSettings(null_values=words)
    )
    assert not [note for note in created.notes if "kept as text" in note]
    charter, found, rows = _ingest(tmp_path / "p")
    assert charter.data["rows"].null_values == words
    assert "weight" in charter.pipeline.features
    assert (found.quarantined, rows.schema["weight"], rows["weight"].null_count()) == (
        0,
        pl.Float64,
        3,
    )


def test_days_and_months_that_cannot_be_told_apart_name_the_option(tmp_path):
    table = tmp_path / "t.csv"
    rows = [f"{i % 12 + 1}/{i % 11 + 1}/2025,{i}\n" for i in range(60)]
    table.write_text("when,price\n" + "".join(rows))
    with pytest.raises(SourceError) as caught:
        _create(tmp_path / "p", table, target="price", event_time="when")
    assert "--dates day-first" in caught.value.attempt
