"""The scms template on the real file: every line accounted for, honest labels, honest figures."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import bucle
from bucle.charter.project_code import load_name
from bucle.charter.reading import load_charter
from bucle.charter.settings import Charter
from bucle.data.contract import load_contract, screen
from bucle.data.leaks import find_leaks
from bucle.data.preparation import load_prepare, prepare_rows
from bucle.data.sources import read_source
from bucle.data.views import Views, view_pair

TEMPLATE = Path(str(bucle.__file__)).parent / "templates" / "scms"
TASKS = {"freight": ("pipeline.py", "shipments"), "price": ("price.py", "quotes")}
LINES = 10_324
CONTRADICTING = {"4432", "13148", "83655", "84222", "84787"}


def make_project(folder: Path, *, task: str) -> Path:
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("bucle.*.toml", "__pycache__"))
    shutil.copy(TEMPLATE / f"bucle.{task}.toml", folder / "bucle.toml")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("scms") / "freight", task="freight")


@pytest.fixture(scope="module")
def charter(project: Path, shared_data: Path) -> Charter:
    (project / "data").mkdir()
    shutil.copy(shared_data / "scms_consignments.csv", project / "data")
    return load_charter(project, environ={}).charter


@pytest.fixture(scope="module")
def screened(project: Path, charter: Charter) -> Any:
    settings = charter.data["lines"]
    raw = read_source(project / "data" / "scms_consignments.csv", settings).frame
    prepare = load_prepare(project, reference=str(settings.prepare))
    prepared = prepare_rows(raw, prepare, reference=str(settings.prepare))
    assert prepared.height == LINES
    contract = load_contract(project, reference=str(settings.contract))
    return screen(prepared, contract, settings=settings)


@pytest.fixture(scope="module")
def views(screened: Any, charter: Charter) -> Views:
    return view_pair(screened.good, charter.data["lines"], holdout=charter.gates.holdout)


@pytest.fixture(scope="module")
def call(project: Path) -> Callable[..., Any]:
    def step(reference: str, *values: object, **parameters: object) -> Any:
        function: Any = load_name(project, reference)
        return function(*values, **parameters)

    return step


def test_accounts_for_every_line(screened: Any) -> None:
    assert screened.good.height + screened.bad.height == LINES
    assert screened.coercions == ()
    assert set(range(LINES)) >= set(screened.bad["_index"].to_list())


def test_quarantines_only_lines_whose_dates_contradict(screened: Any) -> None:
    kept = set(screened.good["ID"].to_list())
    assert len(kept) == screened.good.height == LINES - len(CONTRADICTING)
    assert not kept & CONTRADICTING
    assert all(
        "recorded after it was requested" in " ".join(r) for r in screened.bad["_reasons"].to_list()
    )


def test_merges_every_line_into_its_shipment_and_counts_freight_once(
    screened: Any, call: Callable[..., Any]
) -> None:
    tidy = call("pipeline.py:clean", screened.good)
    shipments = call("pipeline.py:shipments", tidy)
    assert shipments["lines"].sum() == screened.good.height
    assert shipments["shipment"].is_unique().all()
    assert shipments["freight"].sum() == pytest.approx(tidy["freight"].sum())
    assert tidy.filter(pl.col("freight_status") == "lost").height == 0
    assert tidy["freight_status"].null_count() == 0


def test_shows_no_step_a_label_before_its_time(views: Views, call: Callable[..., Any]) -> None:
    tidy = call("pipeline.py:clean", views.train)
    hidden = tidy.filter(pl.col("label_time").is_null())
    assert hidden.height > 500
    for name in ("freight", "freight_status", "weight", "weight_status", "pack_price", "value"):
        assert hidden[name].null_count() == hidden.height
    late = call("pipeline.py:shipments", tidy).filter(pl.col("freight").is_not_null())
    assert late["label_time"].null_count() == 0


@pytest.mark.parametrize("task", TASKS)
def test_charter_names_the_columns_of_the_code(
    task: str, tmp_path: Path, shared_data: Path, screened: Any
) -> None:
    folder = make_project(tmp_path / task, task=task)
    (folder / "data").mkdir()
    shutil.copy(shared_data / "scms_consignments.csv", folder / "data")
    charter = load_charter(folder, environ={}).charter
    file, step = TASKS[task]
    assert (charter.pipeline.file, charter.pipeline.examples) == (file, step)
    assert list(charter.pipeline.features) == load_name(folder, f"{file}:FEATURES")
    clean: Any = load_name(folder, f"{file}:clean")
    frame: Any = load_name(folder, f"{file}:{step}")
    examples = frame(clean(screened.good.head(300)))
    gates = charter.gates
    key = charter.pipeline.key
    assert examples[key].is_unique().all()
    named = [*charter.pipeline.features, *gates.slices, gates.baseline_key, gates.cluster, key]
    assert set(examples.columns) >= {*named, charter.pipeline.target, "event_time", "label_time"}
    assert (charter.charter.money.under, charter.charter.money.over) == (1.0, 0.3)
    assert charter.charter.money.retrain == 500
    assert {"never", "every:1mo"} < set(charter.retrain.policies)


def test_freight_model_beats_every_rule_on_newer_shipments(
    views: Views, call: Callable[..., Any]
) -> None:
    train = call("pipeline.py:shipments", call("pipeline.py:clean", views.train))
    newer = call("pipeline.py:shipments", call("pipeline.py:clean", views.newer))
    assert views.cut is not None
    judged = newer.filter(
        (pl.col("event_time") >= views.cut.date()) & pl.col("freight").is_not_null()
    )
    assert judged.height > 900
    model = call("pipeline.py:model", train, learning_rate=0.1, max_iter=60)
    truth = judged["freight"].to_numpy()
    predicted = model.predict(judged)
    median = np.full(truth.size, train["freight"].median())
    last = _last_known(newer, judged, key="route", label="freight")
    wape = {
        name: np.abs(truth - p).sum() / truth.sum()
        for name, p in (("model", predicted), ("median", median), ("last", last))
    }
    assert wape["model"] < 0.55
    assert min(wape["median"], wape["last"]) > 0.75


def test_the_last_price_of_an_offer_beats_the_price_model(
    views: Views, call: Callable[..., Any]
) -> None:
    train = call("price.py:quotes", call("price.py:clean", views.train))
    newer = call("price.py:quotes", call("price.py:clean", views.newer))
    assert views.cut is not None
    judged = newer.filter(
        (pl.col("event_time") >= views.cut.date()) & pl.col("pack_price").is_not_null()
    )
    model = call("price.py:model", train, max_iter=60)
    truth = judged["pack_price"].to_numpy()
    predicted = model.predict(judged)
    last = _last_known(newer, judged, key="offer", label="pack_price")
    model_wape = np.abs(truth - predicted).sum() / truth.sum()
    last_wape = np.abs(truth - last).sum() / truth.sum()
    assert last_wape < 0.2 < model_wape < 0.45


@pytest.mark.slow
def test_course_result_is_shown_beside_the_honest_one(
    screened: Any, call: Callable[..., Any]
) -> None:
    scores = call("pipeline.py:course", call("pipeline.py:clean", screened.good))
    assert 0.90 < scores["course_r2_linear"] < 0.96
    assert 0.90 < scores["course_r2_lasso"] < 0.96
    assert 0.93 < scores["course_r2_tree"] < 0.99
    assert 0.88 < scores["course_r2_premium_alone"] < 0.95
    assert scores["honest_r2"] < scores["known_columns_random_split_r2"] - 0.05


def test_leak_finder_finds_price_and_premium_on_the_real_file(screened: Any) -> None:
    times = {"event_time": "event_time", "label_time": "label_time"}
    found = {s.columns: s for s in find_leaks(screened.good, target="Line Item Value", **times)}
    assert found["Line Item Quantity", "Pack Price"].kind == "product"
    assert found["Line Item Insurance (USD)",].kind == "ratio"
    assert "year" in found["Line Item Insurance (USD)",].evidence
    assert ("Scheduled Delivery Date",) not in found


def test_leak_finder_is_quiet_about_the_examples(screened: Any, call: Callable[..., Any]) -> None:
    tidy = call("pipeline.py:clean", screened.good)
    times = {"event_time": "event_time", "label_time": "label_time"}
    assert find_leaks(call("pipeline.py:shipments", tidy), target="freight", **times) == ()
    assert find_leaks(call("price.py:quotes", tidy), target="pack_price", **times) == ()


@pytest.mark.parametrize("target", ["fare_amount", "trip_distance", "tip_amount"])
def test_leak_finder_is_quiet_about_taxi_trips(shared_data: Path, target: str) -> None:
    trips = pl.read_parquet(shared_data / "green_taxi_2024_01.parquet")
    suspects = find_leaks(
        trips,
        target=target,
        event_time="lpep_pickup_datetime",
        label_time="lpep_dropoff_datetime",
    )
    assert suspects == ()


@pytest.mark.slow
def test_the_projects_own_tests_pass(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "freight", task="freight")
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _last_known(
    known: pl.DataFrame, judged: pl.DataFrame, *, key: str, label: str
) -> np.ndarray[Any, Any]:
    """Return the last label of the same key that was known at each row's event time."""
    labels = known.drop_nulls([label, "label_time"]).sort("label_time")
    joined = (
        judged.with_row_index()
        .sort("event_time")
        .join_asof(
            labels.select(key, "label_time", pl.col(label).alias("last")),
            left_on="event_time",
            right_on="label_time",
            by=key,
            check_sortedness=False,
        )
    )
    return joined.sort("index")["last"].fill_null(known[label].median()).to_numpy()
