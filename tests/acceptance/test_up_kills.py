"""Kill -9 of every process of `bucle up` in turn, under load: it always comes back by itself."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from calls import bucle
from loops import QUICK, Customers, Loop, await_that, came_in, events, free_port, right, up
from serving import table

pytestmark = pytest.mark.thorough

MODULES = {
    "worker": "bucle.loop.serving.worker",
    "controller": "bucle.loop.live.controlling",
    "compactor": "bucle.loop.serving.compaction",
    "job": "bucle.loop.live.job",
    "main": "bin/bucle",
}
WORDS = (*QUICK, "--set", "deploy.probation_hours=0.001")


class Kept:
    """A loop that somebody starts again when its main process was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.times = folder, free_port(), 0
        self._open = ExitStack()
        self.loop = self.start()

    def start(self) -> Loop:
        """Start the loop, at the address that it had."""
        self.times += 1
        found = up(self.folder, *WORDS, port=self.port, name=f"up{self.times}")
        self.loop = self._open.enter_context(found)
        return self.loop

    def stop(self) -> None:
        """End it in order; nothing of any of them may be left."""
        assert self.loop.stop() == 0
        assert self.loop.processes() == []
        self._open.close()

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        self._open.close()

    def kill(self, what: str, chance: random.Random) -> None:
        """Kill a process of a kind, and wait until there is another that does its work."""
        if what == "job":
            self._kill_retrain(chance)
            return
        if what == "main":
            others = self.loop
            os.kill(others.process.pid, signal.SIGKILL)
            others.process.wait()
            self.start()
            await_that(lambda: not others.processes(), what=lambda: f"{others.processes()} end")
        else:
            before = self.loop.processes(MODULES[what])
            for one in before:
                os.kill(one, signal.SIGKILL)
            await_that(
                lambda: bool(set(self.loop.processes(MODULES[what])) - set(before)),
                what=lambda: f"another {what}; it said:\n{self.loop.told}",
            )
        self.await_answer()

    def _kill_retrain(self, chance: random.Random) -> None:
        """Ask for a retrain and kill its job somewhere in the middle; it ends all the same."""
        after = came_in(self.folder)
        code = self.folder / "pipeline.py"
        bend = 1 + chance.randrange(1, 10**6) / 10**9
        text = code.read_text().partition("bend: float = ")
        code.write_text(f"{text[0]}{text[1]}{bend:.9f}){text[2].partition(')')[2]}")
        bucle("retrain", "--because", f"a bend of {bend:.9f}", at=self.folder)
        begun = self.loop.await_event("run_started", after=after)
        time.sleep(chance.uniform(0, 2))
        for one in self.loop.processes(MODULES["job"]):
            os.kill(one, signal.SIGKILL)
        ended = self.loop.await_event("run_finished", after=begun.position)
        assert ended.body["state"] == "done", ended.body
        self.loop.await_event("verdict_given", after=ended.position)

    def await_answer(self) -> None:
        """Wait until the server answers."""

        def answers() -> bool:
            with self.loop.client() as client:
                try:
                    return client.post("/predict", json={"size": 3.5}).status_code == 200
                except httpx.HTTPError:
                    return False

        await_that(answers, what=lambda: f"an answer; it said:\n{self.loop.told}")


def require_nothing_lost(folder: Path, customers: Customers) -> None:
    """Require every answer and label once, each effect once, and a log that is whole."""
    kept = table(folder, "predictions")
    times = Counter(kept["id"])
    assert [name for name, count in times.items() if count > 1] == []
    stored = dict(kept.select("id", "prediction").iter_rows())
    lost = [one for one in customers.answered if one not in stored]
    assert lost == []
    assert all(stored[name] == one["prediction"] for name, one in customers.answered.items())
    labels = table(folder, "feedback")
    assert set(customers.labelled) - set(labels["id"]) == set()
    assert [name for name, count in Counter(labels["id"]).items() if count > 1] == []
    for kind in ("promoted", "deployed", "withdrawn", "rolled_back", "run_finished"):
        causes = [one.body["action"] for one in events(folder, kind) if one.body["action"]]
        assert len(causes) == len(set(causes)), kind
    asked = events(folder, "retrain_asked")
    runs = {one.body["asked"] for one in events(folder, "run_started") if one.body["asked"]}
    assert len(runs) == len(asked)
    assert bucle("log", "verify", "--json", at=folder).json["intact"]


def require_comeback(folder: Path, whom: Sequence[str], *, seed: int) -> None:
    chance = random.Random(seed)
    kept = Kept(folder)
    try:
        with Customers(kept.loop, worth=right, rows=5, pause_s=0.05) as customers:
            for what in whom:
                kept.kill(what, chance)
                time.sleep(chance.uniform(0, 1))
            answered = len(customers.answered)
            await_that(
                lambda: len(customers.answered) > answered, what=lambda: f"{customers.broken[-1:]}"
            )
        kept.stop()
    finally:
        kept.end()
    require_nothing_lost(folder, customers)
    for path in folder.glob("up*.err"):
        assert "Traceback" not in path.read_text()


def test_whatever_is_killed_comes_back(passed: Path) -> None:
    require_comeback(passed, tuple(MODULES), seed=1)


@pytest.mark.slow
def test_two_hundred_kills_lose_and_double_nothing(passed: Path) -> None:
    require_comeback(passed, tuple(MODULES) * 40, seed=2)
