"""A model that was refused: left alone while another answers, tried again while none does."""

import asyncio

from bucle.errors import PackageError
from bucle.loop.serving.following import Wanted
from bucle.loop.serving.warming import Warming
from bucle.models.trial import LateTrialError

CHAMPION, OTHER = (Wanted(model=name, digest=None) for name in ("m-a", "m-b"))


class Shelf:
    """Models by name; those of `bad` fail as often as it says."""

    def __init__(self, **bad: int) -> None:
        self.bad = bad
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.refusal = PackageError

    def load(self, wanted: Wanted) -> str:
        self.asked.append(wanted.model)
        name = wanted.model.removeprefix("m-")
        if self.bad.get(name, 0) > 0:
            self.bad[name] -= 1
            raise self.refusal(f"Cannot use package {wanted.model}")
        return wanted.model

    def refuse(self, event: str, why: str) -> None:
        self.refused.append(f"{event}: {why}")


async def take(warming: Warming, wanted: Wanted) -> object:
    warming.take(wanted)
    await warming.settle(lambda: False)
    return warming.take(wanted)


def test_a_champion_that_a_busy_machine_refused_is_tried_again_while_nobody_answers():
    shelf = Shelf(a=2)

    async def live() -> list[object]:
        warming = Warming(shelf.load, shelf.refuse, patience_s=0.0)
        return [await take(warming, CHAMPION) for _ in range(4)]

    assert asyncio.run(live())[-1] == "m-a"
    assert shelf.asked == ["m-a"] * 3
    assert len(shelf.refused) == 2


def test_who_is_wanted_by_the_time_that_another_has_come_is_waited_for_too():
    shelf, looks = Shelf(), iter([CHAMPION, OTHER, OTHER])

    async def live() -> object:
        warming = Warming(shelf.load, shelf.refuse)
        await warming.settle(lambda: warming.take(next(looks)) is not None)
        return warming.take(OTHER)

    assert asyncio.run(live()) == "m-b"
    assert shelf.asked == ["m-a", "m-b"]


def test_nobody_is_waited_for_who_is_refused():
    shelf = Shelf(a=9)

    async def live() -> object:
        warming = Warming(shelf.load, shelf.refuse)
        await warming.settle(lambda: warming.take(CHAMPION) is not None)
        return warming.take(CHAMPION)

    assert asyncio.run(live()) is None
    assert shelf.asked == ["m-a"]


def test_one_that_came_too_late_is_tried_again_while_another_answers():
    shelf = Shelf(a=2)
    shelf.refusal = LateTrialError

    async def live() -> list[object]:
        warming = Warming(shelf.load, shelf.refuse, patience_s=0.0)
        assert await take(warming, OTHER) == "m-b"
        return [await take(warming, CHAMPION) for _ in range(4)]

    assert asyncio.run(live())[-1] == "m-a"
    assert shelf.asked == ["m-b", *["m-a"] * 3]


def test_it_is_left_alone_until_its_time():
    shelf = Shelf(a=1)

    async def live() -> object:
        warming = Warming(shelf.load, shelf.refuse, patience_s=3600.0)
        return [await take(warming, CHAMPION) for _ in range(5)][-1]

    assert asyncio.run(live()) is None
    assert shelf.asked == ["m-a"]


def test_it_is_left_alone_while_another_answers():
    shelf = Shelf(b=1)

    async def live() -> object:
        warming = Warming(shelf.load, shelf.refuse, patience_s=0.0)
        assert await take(warming, CHAMPION) == "m-a"
        found = [await take(warming, OTHER) for _ in range(5)][-1]
        warming.give_another_chance()
        assert await take(warming, OTHER) == "m-b"
        return found

    assert asyncio.run(live()) is None
    assert shelf.asked == ["m-a", "m-b", "m-b"]
