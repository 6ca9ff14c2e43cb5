"""Who may stand beside the champion; loading and signatures are tested with real packages."""

import pytest

from bucle.errors import RequestError
from bucle.loop.deployment import deploy_model, withdraw
from bucle.loop.events import Deployed, Promoted, RunFinished, RunStarted, VerdictGiven, Withdrawn
from bucle.loop.registry import roll_back
from bucle.types import Verdict


def made(model, run, outcome):
    verdict = Verdict(outcome=outcome, checks=(), rows=9, challenger=model)
    return (
        RunStarted(run=run, source="", environment="", seed=0, parameters={}, datasets={}),
        RunFinished(run=run, state="done", steps=(), metrics={}, model=model, tested=model),
        VerdictGiven(run=run, verdict=verdict, evidence=run),
    )


@pytest.fixture
def project(shop):
    """Return a project with a champion and a model that is undecided."""
    project = shop()
    project.record(
        *made("m-abc1", "r-1", "pass"),
        Promoted(model="m-abc1", because="first"),
        *made("m-abd2", "r-2", "undecided"),
    )
    return project


def deployed(share):
    return Deployed(model="m-abd2", share=share, champion="m-abc1", because="to see")


def test_the_champion_cannot_stand_beside_itself(project):
    with pytest.raises(RequestError, match="it is the champion"):
        deploy_model(project.workspace, "m-abc1", share=0)


def test_a_canary_without_a_passed_gate_needs_a_reason(project):
    with pytest.raises(RequestError, match="its verdict is undecided"):
        deploy_model(project.workspace, "m-abd2", share=0.05, because="  ")


def test_without_a_champion_there_is_nothing_to_stand_beside(shop):
    project = shop()
    project.record(*made("m-abc1", "r-1", "pass"))
    with pytest.raises(RequestError, match="there is no champion"):
        deploy_model(project.workspace, "m-abc1", share=0)


def test_the_same_again_changes_nothing(project):
    before = project.record(deployed(0.05)).position
    change = deploy_model(project.workspace, "m-abd2", share=0.05, because="again")
    assert not change.changed
    assert project.workspace.state().position == before


def test_a_share_grows_without_loading_again(project):
    project.record(deployed(0.05))
    assert deploy_model(project.workspace, "m-abd2", share=0.25, because="well so far").changed
    found = project.workspace.state().deployment
    assert (found.share, found.because) == (0.25, "well so far")


def test_what_is_withdrawn_is_gone_and_cannot_be_withdrawn_again(project):
    project.record(deployed(0))
    assert withdraw(project.workspace, because="enough") == "m-abd2"
    assert project.workspace.state().deployment is None
    with pytest.raises(RequestError, match="no model is deployed"):
        withdraw(project.workspace)


def test_rolling_back_takes_a_canary_away_first(project):
    project.record(deployed(0.05))
    change = roll_back(project.workspace, because="odd prices")
    assert (change.withdrew, change.model, change.changed) == ("m-abd2", "m-abc1", False)
    last = list(project.workspace.log.read())[-1]
    assert last.kind == Withdrawn.kind
    assert last.body["because"] == "odd prices"


def test_rolling_back_beside_a_shadow_is_about_the_champion(project):
    project.record(deployed(0))
    with pytest.raises(RequestError, match="there is no earlier champion"):
        roll_back(project.workspace)
