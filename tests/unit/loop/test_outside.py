"""The outside of a simulated project: what the books say, what is told, and when."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.errors import RequestError
from bucle.loop.simulation.mishaps import Mishap
from bucle.loop.simulation.outside import Outside, open_outside

SETTINGS = DatasetSettings(key="id", event_time="day", label=("paid", "sold"), label_time="closed")
FIRST = date(2025, 1, 1)
START = datetime(2025, 1, 11, tzinfo=UTC)
DAY = timedelta(days=1)


class Stall:
    """One item a day, which is paid for at its price after five days."""

    misprints = {"upside-down": "prices are written upside down"}  # noqa: RUF012  (a toy)
    shocks = {"sale": "everything is paid for at half its price"}  # noqa: RUF012  (as above)
    since = date(9999, 1, 1)

    def strike(self, shock: str, start: datetime, end: datetime) -> None:
        assert shock == "sale"
        self.since = start.date()

    def arrivals(self, start: datetime, end: datetime) -> pl.DataFrame:
        whole = pl.DataFrame(
            {
                "id": [f"i-{number}" for number in range(30)],
                "day": [FIRST + number * DAY for number in range(30)],
                "price": [10.0 + number for number in range(30)],
            }
        )
        return whole.filter(pl.col("day").is_between(start.date(), end.date(), closed="left"))

    def propose(self, rows, model, exploration, moment):
        return rows

    def outcomes(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(
            paid=pl.col("price")
            * pl.when(pl.col("day") + pl.duration(days=5) < self.since).then(2.0).otherwise(1.0),
            sold=pl.lit("yes"),
            closed=pl.col("day") + pl.duration(days=5),
        )

    def worth(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(expected="price", best="price")

    def misprint(self, kind: str, books: pl.DataFrame) -> pl.DataFrame:
        assert kind == "upside-down"
        return books.with_columns(-pl.col("price"))


def opened(*mishaps: tuple[str, int, int]) -> Outside:
    outside = open_outside(Stall(), SETTINGS, target="paid")
    found = [
        Mishap(kind=kind, start=START + first * DAY, end=START + last * DAY)
        for kind, first, last in mishaps
    ]
    outside.begin(START, found)
    return outside


def live(outside: Outside, days: int) -> None:
    for number in range(days):
        came = outside.arrivals(START + number * DAY)
        outside.live(came, [f"p-{name}" for name in came["id"]])


def test_a_world_has_a_first_day_and_a_day_after_the_last() -> None:
    assert opened().span == (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 31, tzinfo=UTC))


def test_books_hold_what_was_known_and_nothing_of_what_comes() -> None:
    books = opened().books(START)
    assert books.height == 10
    assert books["paid"].null_count() == 4
    assert books.filter(pl.col("paid").is_null())["sold"].null_count() == 4
    assert books["closed"].max() <= START.date()


def test_items_come_into_the_books_with_what_was_proposed() -> None:
    outside = opened()
    came = outside.arrivals(START).with_columns(price=pl.lit(99.0))
    outside.live(came, ["p-1"])
    assert outside.books(START + DAY)["price"].to_list()[-1] == 99.0
    assert outside.books(START + 6 * DAY)["paid"].to_list()[-1] == 198.0


def test_what_becomes_known_is_told_once_when_it_is() -> None:
    outside = opened()
    live(outside, 3)
    assert outside.told(START + 4 * DAY) == []
    told = outside.told(START + 6 * DAY)
    assert [(one.prediction, one.label) for one in told] == [("p-i-10", 40.0), ("p-i-11", 42.0)]
    assert told[0].at == "2025-01-16T00:00:00.000000Z"
    assert [one.prediction for one in outside.told(START + 9 * DAY)] == ["p-i-12"]


def test_nobody_tells_anything_for_a_while_and_then_all_at_once() -> None:
    outside = opened(("no-labels", 4, 12))
    live(outside, 10)
    assert outside.told(START + 9 * DAY) == []
    quiet = outside.books(START + 9 * DAY)
    assert quiet.height == 19
    assert quiet["closed"].max() < (START + 4 * DAY).date()
    assert len(outside.told(START + 12 * DAY)) == 8
    assert outside.books(START + 12 * DAY)["closed"].max() == (START + 12 * DAY).date()


def test_books_are_wrong_for_a_while_and_right_again() -> None:
    outside = opened(("labels-x100", 2, 6))
    right = opened().books(START + 4 * DAY)
    wrong = outside.books(START + 4 * DAY)
    changed = wrong.filter(pl.Series(wrong["paid"] != right["paid"]))
    assert changed["closed"].to_list() == [(START + number * DAY).date() for number in (2, 3, 4)]
    assert (changed["paid"] / (changed["price"] * 2)).to_list() == [100.0] * 3
    assert outside.books(START + 6 * DAY).equals(opened().books(START + 6 * DAY))


def test_what_is_on_the_shelf_feels_what_befalls_it_and_what_was_told_stays_told() -> None:
    outside = opened()
    live(outside, 4)
    first = outside.told(START + 5 * DAY)
    assert [(one.prediction, one.label) for one in first] == [("p-i-10", 40.0)]
    shock = Mishap(kind="sale", start=START + 6 * DAY, end=START + 20 * DAY)
    outside.befall([shock])
    later = outside.told(START + 8 * DAY)
    assert [(one.prediction, one.label) for one in later] == [
        ("p-i-11", 21.0),
        ("p-i-12", 22.0),
        ("p-i-13", 23.0),
    ]
    assert outside.goes_on("sale", START + 8 * DAY)
    assert not outside.goes_on("sale", START + 5 * DAY)
    assert outside.books(START + 8 * DAY)["paid"].to_list()[-5:] == [38.0, 40.0, 21.0, 22.0, 23.0]


def test_a_world_may_have_mistakes_of_its_own() -> None:
    outside = opened(("upside-down", 0, 2))
    assert outside.books(START)["price"].max() < 0
    assert outside.books(START + 2 * DAY)["price"].min() > 0


def test_books_that_somebody_mends_are_right_from_then_on() -> None:
    outside = opened(("upside-down", 0, 9))
    assert outside.books(START)["price"].max() < 0
    outside.mend([Mishap(kind="upside-down", start=START, end=START + DAY)])
    assert outside.books(START)["price"].max() < 0
    assert outside.books(START + DAY)["price"].min() > 0


@pytest.mark.parametrize("target", ["profit", ""])
def test_a_world_must_answer_with_the_target(target: str) -> None:
    with pytest.raises(RequestError) as caught:
        open_outside(Stall(), SETTINGS, target=target)
    assert caught.value.code == "bucle-433"
    assert repr(target) in caught.value.cause
