"""Jobs as child processes: killed, ended, left alone by their owner."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from loops import await_that, marked
from shop import write_shop

from bucle.loop.live.jobs import ProcessJobs
from bucle.loop.live.orders import Answer, Order, facts_of
from bucle.loop.live.rules import live_policy
from bucle.loop.observations import CodeSeen
from bucle.loop.workspace import open_workspace

pytestmark = pytest.mark.thorough

QUICK_STEP = '    return sales.sort("sold_at", "id")'
SLOW_STEP = "    import time\n\n    time.sleep(1000)\n    return sales"
OWNER = """
import sys, time
import msgspec
from bucle.loop.live.jobs import ProcessJobs
from bucle.loop.live.orders import Order

jobs = ProcessJobs()
jobs.start("one", msgspec.json.decode(sys.argv[1], type=Order))
time.sleep(1000)
"""
JOB, STEP = "bucle.loop.live.job", "bucle.pipeline.worker_process"


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what stands in the environment of every process that the test starts."""
    found = uuid.uuid4().hex
    monkeypatch.setenv("LOOP_OF_A_TEST", found)
    return found


@pytest.fixture
def retrain(tmp_path: Path) -> Order:
    """Return the order of a retrain whose first step never ends."""
    folder = write_shop(tmp_path / "shop")
    code = folder / "pipeline.py"
    assert QUICK_STEP in code.read_text()
    code.write_text(code.read_text().replace(QUICK_STEP, SLOW_STEP))
    policy = msgspec.to_builtins(live_policy(open_workspace(folder).charter))
    return Order(kind="retrain", root=str(folder), details={"action": "a-1", "policy": policy})


def await_answer(jobs: ProcessJobs, name: str) -> Answer:
    found: list[Answer] = []

    def came() -> bool:
        answer = jobs.take(name)
        found.extend([answer] if answer is not None else [])
        return bool(found)

    await_that(came, what=lambda: f"an answer of {name}")
    return found[0]


def await_step(mark: str) -> Callable[[], list[int]]:
    """Wait until a step has begun in a process of its own; return what tells who is there."""
    own = os.getpid()

    def there() -> list[int]:
        return [one for one in marked(mark) if one != own]

    await_that(lambda: bool(marked(mark, STEP)), within_s=60, what=lambda: f"a step of {there()}")
    return there


def test_an_answer_is_taken_once(tmp_path: Path) -> None:
    folder, jobs = write_shop(tmp_path / "shop"), ProcessJobs()
    jobs.start("look", Order(kind="code", root=str(folder)))
    assert jobs.is_running("look")
    assert jobs.take("other") is None
    answer = await_answer(jobs, "look")
    assert [type(fact) for fact in facts_of(answer)] == [CodeSeen]
    assert not jobs.is_running("look")
    assert jobs.take("look") is None
    jobs.close()


def test_what_fails_is_an_answer(tmp_path: Path) -> None:
    jobs = ProcessJobs()
    jobs.start("nowhere", Order(kind="code", root=str(tmp_path / "nowhere")))
    answer = await_answer(jobs, "nowhere")
    assert answer.error
    assert not answer.is_outside
    assert "Traceback" not in answer.error


def test_a_killed_job_says_how_it_ended_and_leaves_nobody_behind(mark: str, retrain: Order) -> None:
    jobs = ProcessJobs()
    jobs.start("retrain", retrain)
    there = await_step(mark)
    for one in marked(mark, JOB):
        os.kill(one, signal.SIGKILL)
    answer = await_answer(jobs, "retrain")
    assert answer.error.startswith("the retrain ended by signal 9")
    assert answer.is_outside
    await_that(lambda: not there(), what=lambda: f"{there()} end")


def test_closing_ends_every_process_of_every_job(mark: str, retrain: Order) -> None:
    jobs = ProcessJobs()
    jobs.start("retrain", retrain)
    jobs.start("look", Order(kind="code", root=retrain.root))
    there = await_step(mark)
    jobs.close()
    await_that(lambda: not there(), what=lambda: f"{there()} end")
    assert not jobs.is_running("retrain")
    assert jobs.take("look") is None


def test_a_job_ends_with_its_owner(mark: str, retrain: Order) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, msgspec.json.encode(retrain).decode()])
    there = await_step(mark)
    assert owner.pid in there()
    owner.kill()
    owner.wait()
    await_that(lambda: not there(), what=lambda: f"{there()} end")


def test_an_owner_that_sleeps_keeps_its_jobs(mark: str, retrain: Order) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, msgspec.json.encode(retrain).decode()])
    try:
        await_step(mark)
        owner.send_signal(signal.SIGSTOP)
        time.sleep(1)
        assert marked(mark, JOB)
        assert marked(mark, STEP)
    finally:
        owner.kill()
        owner.wait()
