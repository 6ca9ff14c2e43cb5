"""Rows that would poison a model come in while `bucle up` goes on: nobody is answered worse."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
from calls import bucle
from loops import QUICK, Customers, Loop, await_that, came_in, candidate, champion, kinds, right, up
from shop import rows, write_rows

from bucle.models.package import open_package

pytestmark = pytest.mark.thorough


def poisons(count: int) -> dict[str, list[tuple[object, ...]]]:
    """Return batches of new sales that are wrong, each in its own way."""
    sound = rows(count, first=600)
    prices = [str(one[4]) for one in sound]
    turned = sorted(prices, key=float, reverse=True)
    by_size = sorted(range(count), key=lambda at: float(str(sound[at][3])))
    flipped = dict(zip(by_size, turned, strict=True))
    return {
        "prices a hundred times too high": [
            (*one[:4], f"{100 * float(str(one[4])):.2f}") for one in sound
        ],
        "no size anywhere": [(*one[:3], "", one[4]) for one in sound],
        "one size for all": [(*one[:3], "7.000", one[4]) for one in sound],
        "half of them twice": [(*two[0:1], *one[1:]) for one, two in twice(sound)],
        "prices turned upside down": [
            (*one[:4], flipped[number]) for number, one in enumerate(sound)
        ],
        "sizes in another unit": [
            (*one[:3], f"{float(str(one[3])) / 1.609:.3f}", one[4]) for one in sound
        ],
    }


def twice(
    sound: Sequence[tuple[object, ...]],
) -> Iterator[tuple[tuple[object, ...], tuple[object, ...]]]:
    """Yield each row of the first half twice, with numbers of their own."""
    half = sound[: len(sound) // 2]
    return zip([*half, *half], sound, strict=True)


FEW = ("prices a hundred times too high",)
ALL = tuple(poisons(4))


def require_unharmed(folder: Path, ways: Sequence[str], *, counts: Sequence[int]) -> None:
    """Let poison come in while the loop retrains on every batch; the champion must stay."""
    inbox = folder / "inbox"
    inbox.mkdir()
    # The champion is as good as can be: whatever is learned from poison is worse.
    bucle("promote", candidate(folder), "--because", "for a test", at=folder)
    was = champion(folder)
    chosen = (
        *QUICK,
        *("--set", 'retrain.policy="data:+20%"'),
        *("--set", 'retrain.cooldown="0d"'),
        *("--set", "retrain.most_per_month=1000"),
        *("--watch-source", f"sales={inbox}/*.csv"),
    )
    first = shutil.copytree(folder / ".bucle", folder / "kept")
    for count in counts:
        for way in ways:
            shutil.rmtree(folder / ".bucle")
            shutil.copytree(first, folder / ".bucle", symlinks=True)
            with up(folder, *chosen) as loop, Customers(loop, worth=right) as customers:
                after = came_in(folder)
                write_rows(inbox / "poison.csv", poisons(count)[way])
                added = loop.await_event("data_added", after=after)
                if added.body["quarantined"] < count:
                    verdict = loop.await_event("verdict_given", after=after).body["verdict"]
                    loop.await_word(f": {verdict['outcome']}")
                    if verdict["outcome"] == "pass":
                        await_end(loop, after)
                else:
                    loop.await_word(f"{count} quarantined")
                customers.stop()
                assert customers.broken == [], way
            # A batch that is wrong in its newest rows alone may lead to a model that has learned
            # from sound ones; whoever is champion is no worse than before.
            assert error(folder, champion(folder)) < error(folder, was) + 0.2, (way, loop.told)
            (inbox / "poison.csv").unlink()


def await_end(loop: Loop, after: int) -> None:
    """Wait until a candidate that passed was taken away or made champion."""
    ends = {"withdrawn", "promoted"}
    await_that(lambda: bool(ends & set(kinds(loop.folder, after))), what=lambda: loop.told)


def error(folder: Path, model: str) -> float:
    """Return how far a model is from the truth, on average over sizes."""
    package = open_package(folder / ".bucle" / "packages", model, project=folder)
    sizes = [float(size) for size in range(1, 21)]
    found = package.predict(pl.DataFrame({"size": sizes}))
    return float(sum(abs(one - right(size)) for one, size in zip(found, sizes, strict=True)) / 20)


def test_a_poison_batch_brings_no_champion_that_errs_much_more(passed: Path) -> None:
    require_unharmed(passed, FEW, counts=(200,))


@pytest.mark.slow
def test_no_poison_batch_brings_a_champion_that_errs_much_more(passed: Path) -> None:
    require_unharmed(passed, ALL, counts=(150, 180, 210, 300, 450, 600, 750, 900, 1200))
