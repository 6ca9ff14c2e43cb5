"""Runs as people list and look them up."""

import pytest

from bucle.errors import UnknownNameError
from bucle.loop.events import RunFinished, RunStarted, StepRecord, VerdictGiven
from bucle.loop.records import list_runs, show_run
from bucle.types import Verdict


def started(run):
    return RunStarted(run=run, source="", environment="", seed=0, parameters={}, datasets={})


STEPS = tuple(
    StepRecord(name=name, state=state, seconds=0.1, why="")
    for name, state in (("clean", "cached"), ("features", "ran"), ("model", "ran"))
)


@pytest.fixture
def state(shop):
    verdict = Verdict(outcome="fail", checks=(), rows=9, challenger="m-a")
    return shop().record(
        started("r-20260101-aaa"),
        RunFinished(
            run="r-20260101-aaa",
            state="done",
            steps=STEPS,
            metrics={"wape": 0.4},
            model="m-a",
            tested="m-a",
            evidence="e",
        ),
        VerdictGiven(run="r-20260101-aaa", verdict=verdict, evidence="e"),
        started("r-20260102-bbb"),
    )


def test_runs_are_listed_oldest_first_with_what_came_of_them(state):
    done, open_run = list_runs(state)
    assert (done.state, done.model, done.verdict, done.ran, done.cached) == (
        "done",
        "m-a",
        "fail",
        2,
        1,
    )
    assert (open_run.state, open_run.model, open_run.verdict) == ("unfinished", None, None)


def test_start_of_an_id_shows_the_run(state):
    assert show_run(state, "r-20260102").started.run == "r-20260102-bbb"


@pytest.mark.parametrize("name", ["r-", "", "r-2026", "r-20260103", "20260101"])
def test_other_names_are_refused(state, name):
    with pytest.raises(UnknownNameError) as caught:
        show_run(state, name)
    assert caught.value.code == "bucle-237"


def test_a_run_has_the_verdict_it_ended_with_whichever_run_it_was_given_in(shop):
    def run(name, evidence):
        return (
            started(name),
            RunFinished(
                run=name, state="done", steps=(), metrics={}, tested="m-a", evidence=evidence
            ),
        )

    def verdict(name, outcome, evidence):
        given = Verdict(outcome=outcome, checks=(), rows=9, challenger="m-a")
        return VerdictGiven(run=name, verdict=given, evidence=evidence)

    found = shop().record(
        *run("r-1", "one"),
        verdict("r-1", "fail", "one"),
        *run("r-2", "two"),
        verdict("r-2", "pass", "two"),
        *run("r-3", "one"),
        *run("r-4", ""),
    )
    assert [listed.verdict for listed in list_runs(found)] == ["fail", "pass", "fail", None]
