"""A project drafted from any table with an event time can be replayed at once."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from calls import bucle

pytestmark = pytest.mark.thorough

ROWS = 700


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trips over 350 days; what a mile costs rises, and each fare is known three days later."""
    days = [number / 2 for number in range(ROWS)]
    miles = [1.0 + (number * 7 % 40) / 4 for number in range(ROWS)]
    begin = datetime.fromisoformat("2025-01-01")
    path = tmp_path_factory.mktemp("trips") / "trips.csv"
    pl.DataFrame(
        {
            "trip": list(range(ROWS)),
            "asked": [begin + timedelta(days=day) for day in days],
            "paid": [begin + timedelta(days=day + 3) for day in days],
            "zone": ["abc"[number % 3] for number in range(ROWS)],
            "miles": miles,
            "fare": [
                round(3 + mile * (2 + day / 100) + number % 3, 2)
                for number, (mile, day) in enumerate(zip(miles, days, strict=True))
            ],
        }
    ).write_csv(path)
    return path


@pytest.mark.parametrize(
    "roles",
    [
        pytest.param(
            ("--key", "trip", "--label-time", "paid"),
            id="key and label time",
            marks=pytest.mark.slow,
        ),
        pytest.param(("--label-time", "paid"), id="label time"),
        pytest.param((), id="neither", marks=pytest.mark.slow),
    ],
)
def test_a_drafted_project_is_replayed_as_it_is(
    roles: tuple[str, ...], table: Path, tmp_path: Path
) -> None:
    bucle(
        *("new", "trips", "--data", table, "--target", "fare", "--event-time", "asked", *roles),
        at=tmp_path,
    )
    asked = ("--policy", "never", "--policy", "every:2mo", "--gate", "none", "--period", "2mo")
    quick = ("--set", "model.max_iter=40")
    told = bucle("replay", "--json", *asked, *quick, at=tmp_path / "trips").json
    never, often = told["policies"]
    assert told["warnings"] == []
    assert told["rows"] > ROWS / 2
    assert told["labels_by"] == pytest.approx(3 if "--label-time" in roles else 0)
    assert often["retrains"] == told["periods"] - 1
    # What a mile costs rises: who learns of it predicts better.
    assert often["error"] < never["error"]
