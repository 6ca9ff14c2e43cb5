"""Sound histories stand the gate's look at the rows since, however far they drift."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import bucle
from bucle.charter.project_code import load_name
from bucle.charter.reading import load_charter
from bucle.data.contract import load_contract, screen
from bucle.data.preparation import load_prepare, prepare_rows
from bucle.data.sources import read_source
from bucle.loop.likeness import check_rows

pytestmark = pytest.mark.thorough

_TEMPLATES = Path(str(bucle.__file__)).parent / "templates"
_AHEAD = (2, 5, 12, 24)
"""Months after which a champion that was never replaced is challenged."""


def stopped(
    rows: pl.DataFrame, *, features: list[str], label: str, times: tuple[str, str], every: int
) -> tuple[list[str], int]:
    """Look from many months at the rows since many others; return who was stopped, and of how many.

    Labels are known at each look as they were then.
    """
    event, late = times
    months = rows[event].dt.truncate("1mo").unique().sort().to_list()
    found, count = [], 0
    for begin in range(8, len(months), every):
        for ahead in _AHEAD:
            if begin + ahead >= len(months):
                continue
            now = months[begin + ahead]
            seen = rows.filter(pl.col(event) < now)
            known = pl.when(pl.col(late) <= now).then(pl.col(label)).cast(pl.Float64)
            check = check_rows(
                seen.select(features),
                label=seen.select(known.fill_null(float("nan"))).to_series().to_numpy(),
                at=seen[event].cast(pl.Datetime("us")).to_physical().to_numpy(),
                until=f"{months[begin]}T00:00:00Z",
            )
            count += 1
            if check.outcome != "pass":
                found.append(f"{months[begin]} {ahead}: {check.why}")
    return found, count


@pytest.fixture(scope="module")
def shipments(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> pl.DataFrame:
    project = tmp_path_factory.mktemp("freight") / "scms"
    shutil.copytree(_TEMPLATES / "scms", project)
    (project / "bucle.freight.toml").rename(project / "bucle.toml")
    (project / "data").mkdir()
    path = shutil.copy(shared_data / "scms_consignments.csv", project / "data")
    settings = load_charter(project, environ={}).charter.data["lines"]
    prepare = load_prepare(project, reference=str(settings.prepare))
    raw = prepare_rows(
        read_source(Path(path), settings).frame, prepare, reference=str(settings.prepare)
    )
    good = screen(
        raw, load_contract(project, reference=str(settings.contract)), settings=settings
    ).good
    steps: Any = [load_name(project, f"pipeline.py:{name}") for name in ("clean", "shipments")]
    found: pl.DataFrame = steps[1](steps[0](good))
    return found.sort("event_time", maintain_order=True)


def test_no_month_of_a_freight_history_is_stopped(shipments: pl.DataFrame) -> None:
    features = ["country", "via", "inco_term", "mode", "vendor", "product_group", "form", "item"]
    found, count = stopped(
        shipments,
        features=[*features, "lines", "packs", "units", "lead_days"],
        label="freight",
        times=("event_time", "label_time"),
        every=3,
    )
    assert count > 100
    assert found == []


def stores(project: Path) -> Iterator[pl.DataFrame]:
    draw, keep, examples = (
        load_name(project, one)
        for one in ("history.py:draw_store", "history.py:keep_records", "pipeline.py:examples")
    )
    for seed in range(3):
        records: Any = keep(draw(seed))  # type: ignore[operator]
        yield examples(records.sort("arrived"), None)  # type: ignore[operator]


def test_at_most_one_look_in_a_hundred_at_a_simulated_store_is_stopped(tmp_path: Path) -> None:
    # A brand that comes, grades that change their meaning and prices that calm down are no poison.
    project = Path(shutil.copytree(_TEMPLATES / "consignment", tmp_path / "store"))
    found, count = [], 0
    for rows in stores(project):
        more, looks = stopped(
            rows,
            features=["category", "brand", "grade", "age", "photo_score", "basis", "list_price"],
            label="commission",
            times=("arrived", "closed_on"),
            every=3,
        )
        found, count = found + more, count + looks
    assert count > 60
    assert len(found) <= count / 100, found
