"""What each event makes true."""

import pytest

from bucle.loop.events import (
    DataAdded,
    Deployed,
    GainEstimated,
    Promoted,
    Refitted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    WindowJudged,
    Withdrawn,
)
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


def beside(model="m-b", *, share=0.05, champion="m-a"):
    return Deployed(model=model, share=share, champion=champion, because="to see")


def test_a_challenger_comes_beside_the_champion_and_grows(shop):
    first = Promoted(model="m-a", because="first")
    shadow = shop().record(first, beside(share=0)).deployment
    assert (shadow.model, shadow.stage, shadow.share) == ("m-b", "shadow", 0)
    project = shop()
    project.record(first, beside(share=0))
    canary = project.record(beside(share=0.05)).deployment
    assert (canary.stage, canary.began) == ("canary", shadow.began)
    other = project.record(beside("m-c")).deployment
    assert (other.model, other.began) == ("m-c", other.since)


@pytest.mark.parametrize(
    "end",
    [
        Withdrawn(model="m-b", because="enough"),
        Promoted(model="m-b", because="better", previous="m-a"),
        Promoted(model="m-c", because="better", previous="m-a"),
        RolledBack(model="m-z", previous="m-a", because="odd"),
    ],
)
def test_a_deployment_ends_with_a_word_or_a_change_of_champion(shop, end):
    assert shop().record(Promoted(model="m-a", because="x"), beside(), end).deployment is None


@pytest.mark.parametrize(
    "fact",
    [beside("m-a"), beside(champion="m-z"), Withdrawn(model="m-c", because="of another")],
)
def test_what_is_not_so_deploys_and_withdraws_nothing(shop, fact):
    before = shop().record(Promoted(model="m-a", because="x"), beside("m-d"))
    after = shop().record(Promoted(model="m-a", because="x"), beside("m-d"), fact)
    assert after.deployment == before.deployment


def test_nobody_is_deployed_without_a_champion(shop):
    assert shop().record(beside()).deployment is None


@pytest.mark.parametrize("by", ["ana", "ben"])
def test_promotion_of_the_champion_changes_nothing(shop, by):
    made = shop()
    before = made.record(Promoted(model="m-a", because="first"))
    made.workspace.actor = by
    after = made.record(Promoted(model="m-a", because="again"))
    assert after.tenures == before.tenures
    assert after.position == before.position + 1


def window(end, *, error=0.4, model="m-a"):
    return WindowJudged(
        model=model,
        start="2026-01-01",
        end=end,
        rows=9,
        labelled=9,
        metric="wape",
        error=error,
        reference=0.4,
    )


def refit(model="m-refit", *, run="r-1", tested="m-a"):
    return Refitted(run=run, tested=tested, model=model, digest="d", outcome="pass", why="so")


def test_latest_window_counts_in_whatever_order_windows_arrive(shop):
    state = shop().record(window("2026-01-03"), window("2026-01-02"))
    assert state.observed["m-a"].window[1].end == "2026-01-03"


def test_window_that_is_stated_anew_counts_as_it_was_stated_last(shop):
    state = shop().record(window("2026-01-03"), window("2026-01-03", error=0.6))
    assert state.observed["m-a"].window[1].error == 0.6


def test_observation_that_is_said_again_later_keeps_its_moment(shop):
    gain = GainEstimated(champion="m-a", challenger="m-b", rows=9, gain=0.1, saved=5.0)
    once = shop().record(window("2026-01-03"), gain).observed["m-a"]
    again = shop().record(window("2026-01-03"), gain, window("2026-01-03"), gain).observed["m-a"]
    assert (again.window, again.gain) == (once.window, once.gain)


def test_refit_that_is_its_tested_twin_changes_nothing_of_it(shop):
    before = shop().record(started(), finished(), judged())
    after = shop().record(started(), finished(), judged(), refit("m-a"))
    assert after.models["m-a"] == before.models["m-a"]


def test_refit_that_is_a_known_model_keeps_its_runs_and_verdicts(shop):
    facts = [started("r-0"), finished("r-0", "m-known"), judged("m-known", run="r-0")]
    known = shop().record(*facts).models["m-known"]
    record = shop().record(*facts, started(), finished(), refit("m-known")).models["m-known"]
    assert record.runs == ("r-0", "r-1")
    assert [one.fact for one in record.verdicts] == [one.fact for one in known.verdicts]
    assert (record.at, record.twin) == (known.at, "m-a")


def test_refit_of_a_model_nobody_made_is_left_alone(shop):
    assert shop().record(started(), refit(tested="m-ghost")).models == {}
