"""Items asked of a simulated project's server: how many at once, and when."""

from contextlib import closing

import polars as pl
import pytest

from bucle.loop.simulation.asking import Asker

ITEMS = pl.DataFrame({"item": ["a", "b", "c"], "price": [1.0, 2.0, 3.0], "hidden": [0, 0, 0]})


class Counter:
    """A desk that answers so many rows at once, and notes what was asked."""

    def __init__(self, together: int) -> None:
        self.together = together
        self.asked: list[object] = []

    def sound(self, rows: list[dict[str, object]]) -> list[dict[str, object]]:
        self.asked.append([row["item"] for row in rows])
        return [{"details": {"bid": 2 * float(str(row["price"]))}} for row in rows]

    def answer(self, rows: list[dict[str, object]]) -> list[dict[str, object]]:
        self.asked.append([row["item"] for row in rows])
        assert all("hidden" not in row for row in rows)
        return [{"id": f"p-{row['item']}"} for row in rows]


@pytest.mark.parametrize(
    ("together", "asked"),
    [
        (1, ["a minute", ["a"], "a minute", ["b"], "a minute", ["c"]]),
        (2, ["a minute", ["a", "b"], "a minute", ["c"]]),
        (500, ["a minute", ["a", "b", "c"]]),
    ],
)
def test_a_minute_passes_before_each_request_and_every_item_has_its_own_answer(
    together: int, asked: list[object]
) -> None:
    desk = Counter(together)
    asker = Asker(desk, ["price", "item"], wait=lambda: desk.asked.append("a minute"))  # type: ignore[arg-type]
    assert asker.settle_on(ITEMS) == ["p-a", "p-b", "p-c"]
    assert desk.asked == asked


def test_what_was_asked_for_ahead_is_not_asked_for_again() -> None:
    desk = Counter(500)
    with closing(Asker(desk, ["price", "item"], wait=lambda: None)) as asker:  # type: ignore[arg-type]
        asker.ask_ahead(ITEMS)
        asker.wait_ahead(is_kept=True)
        assert desk.asked == [["a", "b", "c"]]
        assert asker.propose(ITEMS)["bid"].to_list() == [2.0, 4.0, 6.0]
        assert desk.asked == [["a", "b", "c"]]
        assert asker.propose(ITEMS)["bid"].to_list() == [2.0, 4.0, 6.0]
        assert desk.asked == [["a", "b", "c"]] * 2


@pytest.mark.parametrize(("is_kept", "rows"), [(False, ITEMS), (True, ITEMS.head(2))])
def test_an_answer_of_somebody_else_or_to_something_else_is_forgotten(
    is_kept: bool, rows: pl.DataFrame
) -> None:
    desk = Counter(500)
    with closing(Asker(desk, ["price", "item"], wait=lambda: None)) as asker:  # type: ignore[arg-type]
        asker.ask_ahead(ITEMS)
        asker.wait_ahead(is_kept=is_kept)
        assert asker.propose(rows)["bid"].to_list() == [2.0, 4.0, 6.0][: rows.height]
        assert len(desk.asked) == 2


def test_nothing_is_asked_for_on_a_day_without_items() -> None:
    desk = Counter(500)
    asker = Asker(desk, ["item"], wait=lambda: desk.asked.append("a minute"))  # type: ignore[arg-type]
    assert asker.settle_on(ITEMS.clear()) == []
    assert desk.asked == []
