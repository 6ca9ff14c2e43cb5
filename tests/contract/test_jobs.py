"""Jobs in processes and jobs in place keep the same promises."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.loop.live.inline import InlineJobs
from bucle.loop.live.jobs import ProcessJobs
from bucle.loop.live.orders import Order
from bucle.testing.job_contract import JobsContract


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "bucle.toml").write_text('[project]\nname = "shop"\n[data.sales]\n')
    (tmp_path / "pipeline.py").write_text("def model(sales): return sales\n")
    return tmp_path


class TestInlineJobs(JobsContract):
    @pytest.fixture
    def jobs(self) -> InlineJobs:
        return InlineJobs()


@pytest.mark.thorough
class TestProcessJobs(JobsContract):
    @pytest.fixture
    def jobs(self) -> Iterator[ProcessJobs]:
        jobs = ProcessJobs()
        yield jobs
        jobs.close()


def test_held_jobs_go_on_until_they_are_worked_at(root: Path) -> None:
    jobs = InlineJobs(is_held=True)
    assert jobs.is_idle
    jobs.start("look", Order(kind="code", root=str(root)))
    assert jobs.is_running("look")
    assert jobs.take("look") is None
    jobs.work()
    assert jobs.is_running("look")
    answer = jobs.take("look")
    assert answer is not None
    assert len(answer.facts) == 1
    assert jobs.is_idle
