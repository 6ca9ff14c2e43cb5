"""Rows that would poison a model come in while `bucle up` goes on: the champion stays."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from calls import bucle
from loops import QUICK, Customers, Loop, came_in, champion, kinds, right, up
from shop import rows, write_rows, write_shop

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def sound_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop whose champion is as good as can be: what learns from poison is worse."""
    folder = tmp_path_factory.mktemp("sound") / "shop"
    write_shop(folder)
    code = folder / "pipeline.py"
    code.write_text(code.read_text().replace("bend: float = 0.7", "bend: float = 1.0"))
    bucle("run", at=folder)
    return folder


@pytest.fixture
def sound(sound_once: Path, tmp_path: Path) -> Path:
    """Return such a shop of this test's own."""
    return Path(shutil.copytree(sound_once, tmp_path / "shop", symlinks=True))


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


FEW = ("one size for all", "prices turned upside down")
ALL = tuple(poisons(4))


def require_unharmed(folder: Path, ways: Sequence[str], *, counts: Sequence[int]) -> None:
    """Let poison come in while the loop retrains on every batch; the champion must stay."""
    inbox = folder / "inbox"
    inbox.mkdir()
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
                    require_turned_down(loop, after)
                else:
                    loop.await_word(f"{count} quarantined")
                customers.stop()
                assert customers.broken == [], way
            assert champion(folder) == was, (way, count, loop.told)
            assert kinds(folder, after) == [], (way, count, loop.told)
            (inbox / "poison.csv").unlink()


def require_turned_down(loop: Loop, after: int) -> None:
    """Require that the gate has refused what came of poison, and that everybody is told why."""
    verdict = loop.await_event("verdict_given", after=after).body["verdict"]
    assert verdict["outcome"] == "fail", verdict
    why = verdict["checks"][0]
    assert (why["name"], why["outcome"]) == ("likeness", "fail"), verdict
    said = "unlike those before"
    loop.await_word(said)
    assert said in bucle("why-not", at=loop.folder).out
    assert said in bucle("log", "--story", at=loop.folder).out


def test_no_poison_batch_changes_the_champion_and_the_log_says_why(sound: Path) -> None:
    require_unharmed(sound, FEW, counts=(150,))


def test_a_person_may_overrule_and_is_not_asked_again(sound: Path) -> None:
    """What a person has promoted on is how the world is now: the next model is judged on it."""
    write_rows(sound / "sales.csv", [*rows(600), *poisons(300)["sizes in another unit"]])
    stopped = bucle("run", "--set", "model.bend=1.01", "--json", at=sound, code=None).json
    why = stopped["verdict"]["checks"][0]
    assert (why["name"], why["outcome"]) == ("likeness", "fail"), stopped
    assert "size is 0.6" in why["why"]
    bucle("promote", stopped["model"], "--because", "sizes are in miles from now on", at=sound)
    write_rows(sound / "sales.csv", [*rows(600), *poisons(500)["sizes in another unit"]])
    again = bucle("run", "--set", "model.bend=1.02", "--json", at=sound, code=None).json
    (check,) = [one for one in again["verdict"]["checks"] if one["name"] == "likeness"]
    assert check["outcome"] == "pass", check


@pytest.mark.slow
def test_no_poison_batch_of_any_kind_and_size_passes_the_gate(sound: Path) -> None:
    was, batch = champion(sound), sound / "poison.csv"
    first = shutil.copytree(sound / ".bucle", sound / "kept", symlinks=True)
    for count in (150, 180, 210, 300, 450, 600, 750, 900, 1200):
        for way in ALL:
            shutil.rmtree(sound / ".bucle")
            shutil.copytree(first, sound / ".bucle", symlinks=True)
            write_rows(batch, poisons(count)[way])
            added = bucle("data", "add", "sales", batch, "--json", at=sound, code=None).json
            if added["quarantined"] < count:
                verdict = bucle("run", "--json", at=sound, code=None).json["verdict"]
                why = verdict["checks"][0]
                assert (why["name"], why["outcome"]) == ("likeness", "fail"), (way, count, verdict)
            assert champion(sound) == was, (way, count)
