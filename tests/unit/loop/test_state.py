"""What each event makes true."""

import pytest

from bucle.loop.events import DataAdded, Promoted, RolledBack, RunFinished, RunStarted, VerdictGiven
from bucle.loop.state import State, state_bytes
from bucle.models.registry import champion
from bucle.types import DataVersion, Verdict


def added(version, *, origin="files", dataset="sales", rows=9):
    return DataAdded(
        dataset=dataset,
        data_version=version,
        table_version=version,
        rows=rows,
        fingerprint=f"f{version}",
        read=rows,
        added=rows,
        changed=0,
        unchanged=0,
        quarantined=0,
        origin=origin,
    )


def started(run="r-1"):
    return RunStarted(
        run=run, source="s", environment="e", seed=0, parameters={}, datasets={"sales": "f1"}
    )


def finished(run="r-1", model="m-a", **fields):
    fields = {"state": "done", "metrics": {"wape": 0.4}, "tested": model} | fields
    return RunFinished(run=run, model=model, steps=(), **fields)


def judged(model="m-a", *, run="r-1", outcome="pass", champion=None):
    verdict = Verdict(outcome=outcome, checks=(), rows=9, challenger=model, champion=champion)
    return VerdictGiven(run=run, verdict=verdict, evidence=f"of {run}")


def test_empty_log_is_an_empty_state(shop):
    state = shop().record()
    assert (state.position, state.datasets, state.models, state.tenures) == (0, {}, {}, ())
    assert champion(state.tenures) is None


def test_current_version_is_that_of_the_last_addition(shop):
    state = shop().record(added(1), added(2), added(2))
    record = state.datasets["sales"]
    assert record.current == DataVersion(
        dataset="sales", version=2, table_version=2, rows=9, fingerprint="f2"
    )
    assert [known.fact.data_version for known in record.versions] == [1, 2]
    assert len(record.additions) == 3


def test_addition_of_nothing_but_bad_rows_makes_no_version(shop):
    record = shop().record(added(0)).datasets["sales"]
    assert record.versions == ()
    assert record.current.version == 0


def test_last_sync_is_the_last_addition_from_the_source(shop):
    record = shop().record(added(1, origin="source"), added(2)).datasets["sales"]
    assert record.last_sync.data_version == 1
    assert shop().record(added(1)).datasets["sales"].last_sync is None


def test_run_that_was_killed_stays_unfinished(shop):
    state = shop().record(started())
    assert state.runs["r-1"].finished is None


def test_run_ends_once(shop):
    state = shop().record(
        started(), finished(), judged(), finished(model=None, state="stopped"), started()
    )
    assert state.runs["r-1"].finished.state == "done"
    assert state.models["m-a"].runs == ("r-1",)


def test_model_of_several_runs_keeps_them_all_and_the_moment_of_the_first(shop):
    state = shop().record(started(), finished(), started("r-2"), finished("r-2"))
    record = state.models["m-a"]
    assert record.runs == ("r-1", "r-2")
    assert record.at == state.runs["r-1"].finished_at


def test_refit_stands_for_its_tested_twin_and_has_seen_all(shop):
    end = finished(model="m-refit", tested="m-a", cut="2025", end="2026")
    state = shop().record(started(), end)
    assert (state.models["m-a"].cut, state.models["m-a"].twin) == ("2025", None)
    assert (state.models["m-refit"].cut, state.models["m-refit"].twin) == ("2026", "m-a")


def test_failed_run_makes_no_model(shop):
    state = shop().record(started(), finished(model=None, state="failed", error="why"))
    assert state.models == {}
    assert state.runs["r-1"].finished.error == "why"


def test_verdicts_are_kept_with_their_model_in_order(shop):
    state = shop().record(
        started(), finished(), judged(outcome="undecided"), started("r-2"), finished("r-2")
    )
    assert [known.fact.verdict.outcome for known in state.models["m-a"].verdicts] == ["undecided"]


def test_verdict_that_is_said_again_is_one_verdict(shop):
    state = shop().record(started(), finished(), judged(), judged(), judged(run="r-2"))
    assert [known.fact.run for known in state.models["m-a"].verdicts] == ["r-1", "r-2"]


def test_bytes_do_not_depend_on_the_order_in_which_names_came():
    one, other = State(unknown={"a": 1, "b": 2}), State(unknown={"b": 2, "a": 1})
    assert state_bytes(one) == state_bytes(other)


def test_verdict_on_a_model_nobody_made_is_left_alone(shop):
    assert shop().record(judged("m-ghost")).models == {}


def test_tenures_follow_each_other(shop):
    state = shop().record(
        Promoted(model="m-a", because="first"),
        Promoted(model="m-b", because="better", previous="m-a"),
        RolledBack(model="m-a", previous="m-b", because="odd prices"),
    )
    assert [(tenure.model, tenure.how) for tenure in state.tenures] == [
        ("m-a", "promote"),
        ("m-b", "promote"),
        ("m-a", "rollback"),
    ]
    assert state.tenures[0].until == state.tenures[1].since
    assert champion(state.tenures).because == "odd prices"


@pytest.mark.parametrize("by", ["ana", "ben"])
def test_promotion_of_the_champion_changes_nothing(shop, by):
    made = shop()
    before = made.record(Promoted(model="m-a", because="first"))
    made.workspace.actor = by
    after = made.record(Promoted(model="m-a", because="again"))
    assert after.tenures == before.tenures
    assert after.position == before.position + 1
