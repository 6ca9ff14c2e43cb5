"""What everything that does jobs must do: subclass and give the fixtures.

Needs pytest. Must not be imported by anything but tests.
"""

# ruff: noqa: S101

import time
from pathlib import Path

import pytest

from bucle.loop.live.jobs import Jobs
from bucle.loop.live.orders import Answer, Order, facts_of
from bucle.loop.observations import CodeSeen

__all__ = ["JobsContract", "await_answer"]

_PATIENCE_S = 120.0
_LOOK_S = 0.01


class JobsContract:
    """The promises of `Jobs`.

    A subclass gives the fixtures `jobs` and `root`, the folder of a project with a pipeline.
    """

    @pytest.fixture
    def order(self, root: Path) -> Order:
        """Return something that is quickly done and answers with a fact."""
        return Order(kind="code", root=str(root))

    def test_nothing_goes_on_before_a_job_begins(self, jobs: Jobs) -> None:
        """Neither a job nor an answer is there of a name that nobody gave."""
        assert not jobs.is_running("look")
        assert jobs.take("look") is None

    def test_a_job_answers_once_with_its_facts(self, jobs: Jobs, order: Order) -> None:
        """An answer is taken once, and the name is free again."""
        jobs.start("look", order)
        assert jobs.is_running("look")
        (fact,) = facts_of(await_answer(jobs, "look"))
        assert isinstance(fact, CodeSeen)
        assert not jobs.is_running("look")
        assert jobs.take("look") is None

    def test_a_name_is_used_again(self, jobs: Jobs, order: Order) -> None:
        """The same job, done twice, answers twice the same."""
        answers = []
        for _ in range(2):
            jobs.start("look", order)
            answers.append(await_answer(jobs, "look"))
        assert answers[0] == answers[1]

    def test_jobs_of_different_names_do_not_mix(self, jobs: Jobs, order: Order, root: Path) -> None:
        """Each name has its own answer."""
        jobs.start("good", order)
        jobs.start("bad", Order(kind="code", root=str(root / "nowhere")))
        bad, good = await_answer(jobs, "bad"), await_answer(jobs, "good")
        assert good.facts
        assert not good.error
        assert not bad.facts
        assert "bucle-106" in bad.error

    def test_a_mistake_of_the_project_is_none_of_the_machine(self, jobs: Jobs, root: Path) -> None:
        """What fails is an answer, and trying again would not help."""
        jobs.start("bad", Order(kind="code", root=str(root / "nowhere")))
        answer = await_answer(jobs, "bad")
        assert answer.error
        assert not answer.is_outside

    def test_after_the_end_nothing_goes_on(self, jobs: Jobs, order: Order) -> None:
        """Closing ends every job and forgets every answer."""
        jobs.start("look", order)
        jobs.close()
        assert not jobs.is_running("look")
        assert jobs.take("look") is None


def await_answer(jobs: Jobs, name: str) -> Answer:
    """Return the answer of a job, however long it takes."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        answer = jobs.take(name)
        if answer is not None:
            return answer
        time.sleep(_LOOK_S)
    raise AssertionError(f"the job {name} gave no answer")
