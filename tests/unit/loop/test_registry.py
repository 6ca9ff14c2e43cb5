"""Who may become champion, and where a rollback leads; loading is tested with real packages."""

import pytest

from bucle.errors import RequestError, UnknownNameError
from bucle.loop.events import Promoted, RolledBack, RunFinished, RunStarted, VerdictGiven
from bucle.loop.registry import (
    _rollback_target,
    champion_history,
    find_model,
    latest_outcome,
    list_models,
    promote_model,
    roll_back,
)
from bucle.models.registry import champion
from bucle.types import Verdict


def made(model, run, outcome="pass"):
    """Return the facts of a run that made and judged a model."""
    verdict = Verdict(outcome=outcome, checks=(), rows=9, challenger=model)
    return (
        RunStarted(run=run, source="", environment="", seed=0, parameters={}, datasets={}),
        RunFinished(
            run=run, state="done", steps=(), metrics={"wape": 0.4}, model=model, tested=model
        ),
        VerdictGiven(run=run, verdict=verdict, evidence=run),
    )


@pytest.fixture
def project(shop):
    """Return a project with three models, of which two were champion."""
    project = shop()
    project.record(
        *made("m-abc1", "r-1"),
        Promoted(model="m-abc1", because="first"),
        *made("m-abd2", "r-2"),
        Promoted(model="m-abd2", because="better", previous="m-abc1"),
        *made("m-ace3", "r-3", outcome="undecided"),
    )
    return project


def test_models_are_listed_with_their_last_verdict(project):
    listed = list_models(project.workspace.state())
    assert [(model.model, model.run, model.outcome, model.champion) for model in listed] == [
        ("m-abc1", "r-1", "pass", False),
        ("m-abd2", "r-2", "pass", True),
        ("m-ace3", "r-3", "undecided", False),
    ]


def test_start_of_an_id_is_enough(project):
    state = project.workspace.state()
    assert find_model(state, "m-abd").model == "m-abd2"
    assert find_model(state, "m-abd2").model == "m-abd2"


@pytest.mark.parametrize("name", ["m-a", "m-ab", "m-", "", "m-zz", "abd2", "m-abd22"])
def test_other_names_are_refused_with_the_nearest(project, name):
    with pytest.raises(UnknownNameError) as caught:
        find_model(project.workspace.state(), name)
    assert caught.value.code == "bucle-220"
    assert caught.value.attempt == "bucle models"


def test_ambiguous_start_names_those_that_fit(project):
    with pytest.raises(UnknownNameError, match="2 model versions begin with 'm-ab'") as caught:
        find_model(project.workspace.state(), "m-ab")
    assert set(caught.value.did_you_mean) == {"m-abc1", "m-abd2"}


@pytest.mark.parametrize("because", ["", "   "])
def test_no_promotion_without_a_passed_gate_or_a_reason(project, because):
    before = project.workspace.log.head()
    with pytest.raises(RequestError, match="its verdict is undecided") as caught:
        promote_model(project.workspace, "m-ace3", because=because)
    assert caught.value.code == "bucle-221"
    assert project.workspace.log.head() == before


def test_promotion_of_the_champion_changes_nothing(project):
    before = project.workspace.log.head()
    change = promote_model(project.workspace, "m-abd2")
    assert (change.changed, change.previous) == (False, None)
    assert project.workspace.log.head() == before


def test_rollback_without_a_champion_is_refused(shop):
    with pytest.raises(RequestError, match="there is no champion") as caught:
        roll_back(shop().workspace)
    assert caught.value.code == "bucle-222"


def test_rollback_leads_to_the_last_good_champion(project):
    state = project.workspace.state()
    assert _rollback_target(state, champion(state.tenures), None) == "m-abc1"


def test_second_rollback_does_not_go_back_to_what_was_left(project):
    state = project.record(RolledBack(model="m-abc1", previous="m-abd2", because="odd"))
    with pytest.raises(RequestError, match="no earlier champion") as caught:
        _rollback_target(state, champion(state.tenures), None)
    assert caught.value.code == "bucle-224"


@pytest.mark.parametrize(
    ("to", "text"), [("m-abd2", "it is the champion"), ("m-ace3", "it was never champion")]
)
def test_rollback_goes_only_where_a_champion_has_been(project, to, text):
    state = project.workspace.state()
    with pytest.raises(RequestError, match=text) as caught:
        _rollback_target(state, champion(state.tenures), to)
    assert caught.value.code == "bucle-223"


def test_rollback_to_a_named_champion(project):
    state = project.workspace.state()
    assert _rollback_target(state, champion(state.tenures), "m-abc") == "m-abc1"


def test_history_says_who_when_why_and_by_whom(project):
    first, second = champion_history(project.workspace.state())
    assert (first.model, first.by, first.because) == ("m-abc1", "ana", "first")
    assert first.until == second.since
    assert second.until is None


def test_model_that_was_never_judged_has_no_outcome(shop):
    facts = made("m-new", "r-1")[:2]
    assert latest_outcome(shop().record(*facts).models["m-new"]) is None
