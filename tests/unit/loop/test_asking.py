"""Items asked of a simulated project's server: how many at once, and when."""

import polars as pl
import pytest

from bucle.loop.simulation.asking import Asker

ITEMS = pl.DataFrame({"item": ["a", "b", "c"], "price": [1.0, 2.0, 3.0], "hidden": [0, 0, 0]})


class Counter:
    """A desk that answers so many rows at once, and notes what was asked."""

    def __init__(self, together: int) -> None:
        self.together = together
        self.asked: list[object] = []

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


def test_nothing_is_asked_for_on_a_day_without_items() -> None:
    desk = Counter(500)
    asker = Asker(desk, ["item"], wait=lambda: desk.asked.append("a minute"))  # type: ignore[arg-type]
    assert asker.settle_on(ITEMS.clear()) == []
    assert desk.asked == []
