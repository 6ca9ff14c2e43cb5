import subprocess
import sys
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from bucle.charter.project_code import load_name
from bucle.charter.reading import load_charter
from bucle.data.ingest import ingest
from bucle.data.places import find_sources
from bucle.data.sources import read_source
from bucle.data.views import view_pair
from bucle.store.memory_tables import MemoryTables
from bucle.templates.creation import TemplateOptions, create_project

pytestmark = pytest.mark.thorough


def _create(folder, seed=0):
    options = TemplateOptions(seed=seed)
    return create_project(folder, template="consignment", options=options)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("consignment") / "shop"
    _create(folder)
    return folder


@pytest.fixture(scope="module")
def ingested(root):
    charter = load_charter(root, environ={}).charter
    settings = charter.data["items"]
    tables = MemoryTables()
    raw = read_source(find_sources(settings, root=root), settings, root=root)
    found = ingest(raw, dataset="items", settings=settings, root=root, tables=tables, current=None)
    return charter, found, tables


@pytest.fixture(scope="module")
def judged(root, ingested):
    """Learn before the cut and judge after it, as a run does."""
    charter, _, tables = ingested
    views = view_pair(tables.read("items"), charter.data["items"], holdout=charter.gates.holdout)
    clean, examples, shelf_weeks, model, optimum = (
        load_name(root, f"pipeline.py:{name}")
        for name in ("clean", "examples", "shelf_weeks", "model", "optimum")
    )
    pricer = model(shelf_weeks(clean(views.train), views.cut))
    newer = examples(clean(views.newer), None).filter(pl.col("arrived") >= views.cut.date())
    return charter, pricer, newer, optimum(pricer, newer)


def test_same_seed_makes_the_same_project(root, tmp_path):
    again, other = tmp_path / "shop", tmp_path / "other" / "shop"
    other.parent.mkdir()
    created = _create(again)
    _create(other, seed=1)
    for name in created.files:
        assert (again / name).read_bytes() == (root / name).read_bytes()
    assert (other / "data/items.csv").read_bytes() != (root / "data/items.csv").read_bytes()


def test_the_truth_is_no_dataset_and_not_in_the_records(root, ingested):
    charter, _, _ = ingested
    assert list(charter.data) == ["items"]
    header = (root / "data/items.csv").read_text().splitlines()[0].split(",")
    truth = pl.read_parquet_schema(root / "truth/items.parquet")
    assert not {"pull", "elasticity", "best_price", "best_commission"} & set(header)
    assert {"pull", "elasticity", "best_price", "best_commission"} <= set(truth)


def test_slips_of_the_pen_go_to_quarantine_or_are_reported(ingested):
    _, found, tables = ingested
    assert found.read == found.added + found.quarantined
    assert 0.005 < found.quarantined / found.read < 0.03
    reasons = " ".join(str(row) for row in tables.read("items.quarantine")["reasons"])
    for word in ("grade", "list_price", "basis", "more than once"):
        assert word in reasons
    coerced = {coercion.column: coercion for coercion in found.coerced}
    assert coerced["photo_score"].examples == ("no photo",)


def test_items_on_the_shelf_have_no_outcome_yet(ingested):
    _, _, tables = ingested
    items = tables.read("items")
    waiting = items.filter(pl.col("closed_on").is_null())
    assert waiting.height > 100
    assert waiting["commission"].null_count() == waiting.height
    assert items.filter(pl.col("closed_on").is_not_null())["commission"].null_count() == 0


@pytest.mark.thorough
def test_the_first_model_passes_its_charter_decisively(judged):
    charter, pricer, newer, _ = judged
    known = newer.drop_nulls("commission")
    truth = known["commission"].to_numpy()
    error = (truth - pricer.predict(known.select(charter.pipeline.features))) ** 2
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(truth), (400, len(truth)))
    r2 = 1 - error[draws].mean(axis=1) / truth[draws].var(axis=1)
    assert known.height > 1000
    assert np.quantile(r2, 0.01) > charter.charter.kpis[0].must


def test_the_share_of_the_optimum_is_that_of_a_good_first_model(judged):
    _, _, _, shares = judged
    assert shares["share_of_optimum"] > 0.88
    assert shares["share_of_optimum"] > shares["share_of_flat_markup"] + 0.1
    assert 0.6 < shares["share_of_flat_markup"] < 0.85


def test_only_ripe_items_are_judged(judged):
    _, _, newer, _ = judged
    unripe = newer.filter(pl.col("commission").is_null())
    assert unripe["arrived"].min() > newer.drop_nulls("commission")["arrived"].max()


def test_more_weeks_add_rows_and_close_items(tmp_path):
    folder = tmp_path / "shop"
    _create(folder)
    settings = load_charter(folder, environ={}).charter.data["items"]
    tables = MemoryTables()

    def add(current):
        raw = read_source(find_sources(settings, root=folder), settings, root=folder)
        return ingest(
            raw, dataset="items", settings=settings, root=folder, tables=tables, current=current
        )

    first = add(None)
    command = [sys.executable, "history.py", "--weeks", "148"]
    subprocess.run(command, cwd=folder, check=True, timeout=120, capture_output=True)
    later = add(first.version)
    assert later.added > 200
    assert later.changed > 150
    assert later.version.version == 2


def test_a_project_passes_its_own_tests(root):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_single_item_is_priced(judged):
    charter, pricer, newer, _ = judged
    one = newer.head(1).select(charter.pipeline.features)
    assert pricer.predict(one).shape == (1,)
    assert pricer.propose(one).height == 1


def test_learning_at_a_moment_uses_nothing_later(root, ingested):
    charter, _, tables = ingested
    settings = charter.data["items"]
    clean, shelf_weeks = (load_name(root, f"pipeline.py:{n}") for n in ("clean", "shelf_weeks"))
    views = view_pair(tables.read("items"), settings, holdout=0.3)
    rows = shelf_weeks(clean(views.train), views.cut)
    end = pl.col("arrived").cast(pl.Datetime) + pl.duration(weeks=pl.col("shelf_week") + 1)
    assert rows.select(end.max()).item() <= datetime.combine(views.cut.date(), datetime.min.time())
