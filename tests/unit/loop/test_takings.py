"""What the items of a simulation earned, and what a champion has cost that was gone back from."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from bucle.clock import to_iso
from bucle.loop.simulation.takings import Setback, Takings, Till
from bucle.models.registry import Tenure

START = datetime(2025, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


class Stall:
    """Items are worth what is proposed for them, and 10 at best; what befalls it halves that."""

    worth_of_one = 1.0

    def propose(
        self, rows: pl.DataFrame, model: float, exploration: float, moment: datetime
    ) -> pl.DataFrame:
        assert exploration == 0.5
        return rows.with_columns(price=pl.lit(model))

    def worth(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            expected=pl.col("price") * self.worth_of_one, best=pl.lit(10.0) * self.worth_of_one
        )


def tenure(model: str, day: int, *, how: str = "promote") -> Tenure:
    since = to_iso(START + day * DAY + timedelta(hours=11))
    return Tenure(model=model, since=since, by="loop", because="", how=how)  # type: ignore[arg-type]


def till_of(stall: Stall, prices: list[float]) -> Till:
    till = Till(stall, exploration=0.5)  # type: ignore[arg-type]
    for number, price in enumerate(prices):
        came = pl.DataFrame({"item": ["a", "b"]})
        till.take(came, came.with_columns(price=pl.lit(price)), START + number * DAY)
    return till


def test_a_rollback_says_what_the_model_before_would_have_earned_meanwhile() -> None:
    tenures = [tenure("m-1", -1), tenure("m-2", 0), tenure("m-1", 2, how="rollback")]
    found = till_of(Stall(), [4.0, 1.0, 3.0, 4.0]).takings(2.0, tenures, {"m-1": 4.0}.__getitem__)
    assert (found.items, found.earned, found.best, found.never) == (8, 24.0, 80.0, 16.0)
    (setback,) = found.setbacks
    # Of the two days between, one was at 1 and one at 3 where it could have been 4.
    assert (setback.model, setback.former, setback.lost) == ("m-2", "m-1", 8.0)
    assert setback.since < setback.until


def test_worth_is_that_of_the_end() -> None:
    stall = Stall()
    till = till_of(stall, [4.0])
    stall.worth_of_one = 0.5
    found = till.takings(2.0, [tenure("m-1", -1)], lambda _: pytest.fail("nobody came back"))
    assert (found.earned, found.best, found.never, found.setbacks) == (4.0, 10.0, 2.0, ())


def test_nothing_came_and_nothing_was_earned() -> None:
    assert till_of(Stall(), []).takings(2.0, [], lambda _: None) == Takings()
    tenures = [tenure("m-1", -1), tenure("m-2", 5), tenure("m-1", 6, how="rollback")]
    found = till_of(Stall(), [4.0]).takings(2.0, tenures, lambda _: 4.0)
    assert [type(one) for one in found.setbacks] == [Setback]
    assert found.setbacks[0].lost == 0.0
