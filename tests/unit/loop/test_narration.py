"""Every event in words that say who, what and how many."""

import msgspec
import pytest
from state_samples import began, crowned, deployed, ended, judged

from bucle.loop.events import (
    DataAdded,
    Decided,
    LogRepaired,
    Promoted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
)
from bucle.loop.narration import Narrator, tell_addition, tell_event
from bucle.types import Check, Coercion, Draft, Verdict

ADDED = DataAdded(
    dataset="sales",
    data_version=2,
    table_version=1,
    rows=12345,
    fingerprint="f",
    read=2000,
    added=1500,
    changed=20,
    unchanged=0,
    quarantined=30,
)
STARTED = RunStarted(
    run="r-1", source="", environment="", seed=0, parameters={}, datasets={"a": "", "b": ""}
)
VERDICT = Verdict(outcome="undecided", checks=(), rows=1, challenger="m-b", champion="m-a")

CHECKS = (
    Check(name="must:wape", outcome="fail"),
    Check(name="champion", outcome="undecided"),
    Check(name="leaks", outcome="fail"),
)
COERCED = (
    Coercion(column="a", count=1, examples=("x",)),
    Coercion(column="b", count=2, examples=("y",)),
    Coercion(column="c", count=4, examples=("1,5",), became="number"),
)


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (
            ADDED,
            (
                "sales: 2,000 rows offered, 1,500 added, 20 changed, 30 quarantined; "
                "version 2 has 12,345 rows"
            ),
        ),
        (STARTED, "run r-1 began on a, b"),
        (
            RunFinished(run="r-1", state="done", steps=(), metrics={}, model="m-a"),
            "run r-1 done, made m-a",
        ),
        (RunFinished(run="r-1", state="failed", steps=(), metrics={}), "run r-1 failed"),
        (
            RunFinished(
                run="r-1",
                state="failed",
                steps=(),
                metrics={},
                error="Cannot fit.\n  Cause: no row\n  Code: bucle-1",
            ),
            "run r-1 failed: Cannot fit",
        ),
        (
            msgspec.structs.replace(ADDED, coerced=COERCED),
            (
                "sales: 2,000 rows offered, 1,500 added, 20 changed, 30 quarantined, "
                "3 values became null; version 2 has 12,345 rows"
            ),
        ),
        (
            VerdictGiven(run="r-1", verdict=VERDICT, evidence=""),
            "verdict on m-b against champion m-a: undecided",
        ),
        (
            VerdictGiven(
                run="r-1",
                verdict=msgspec.structs.replace(VERDICT, outcome="fail", checks=CHECKS),
                evidence="",
            ),
            "verdict on m-b against champion m-a: fail (must:wape, leaks)",
        ),
        (
            VerdictGiven(
                run="r-1",
                verdict=msgspec.structs.replace(
                    VERDICT,
                    outcome="undecided",
                    checks=(Check(name="champion", outcome="undecided"),),
                ),
                evidence="",
            ),
            (
                "verdict on m-b against champion m-a: undecided "
                "(not shown to err less than the champion)"
            ),
        ),
        (Promoted(model="m-b", because="it passed"), "m-b became champion: it passed"),
        (
            RolledBack(model="m-a", previous="m-b", because="odd prices"),
            "rolled back from m-b to m-a: odd prices",
        ),
        (
            LogRepaired(removed=1, after=7, reason="its hash differs"),
            "the log was repaired after event 7: its hash differs",
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_each_kind_is_told(shop, fact, text):
    made = shop()
    made.record(fact)
    (event,) = made.workspace.log.read()
    assert tell_event(event) == text


def test_what_happened_to_no_row_is_left_out():
    quiet = msgspec.structs.replace(ADDED, added=0, changed=0, quarantined=0)
    assert tell_addition(quiet) == "nothing new"
    more = msgspec.structs.replace(quiet, removed=2, corrected=1200)
    assert tell_addition(more) == "2 removed, 1,200 out of quarantine"


@pytest.mark.parametrize(
    ("draft", "text"),
    [
        ({"kind": "shadowed", "version": 3}, "shadowed (version 3, not known to this Bucle)"),
        ({"kind": "promoted", "version": 2}, "promoted (version 2, not known to this Bucle)"),
        ({"kind": "promoted", "version": 1}, "promoted, not understood: "),
    ],
)
def test_what_is_not_known_is_named_and_not_hidden(shop, draft, text):
    log = shop().workspace.log
    log.append([Draft(body={}, at="2026-01-02T00:00:00.000000Z", actor="ana", **draft)])
    assert tell_event(next(log.read())).startswith(text)


SAME = "the same model as before: there is nothing to judge"
BEGUN = (began("r-1", asked="a-1"), ended("r-1", "m-1", action="a-1"))


def decided(settled="", *did):
    return Decided(policy="harm", did=did, why="so", settled=settled)


def told(shop, *facts):
    made, narrator = shop(), Narrator()
    made.record(*facts)
    return [words for event in made.workspace.log.read() if (words := narrator.tell(event))]


def test_what_became_of_a_run_is_told_where_no_other_event_does(shop):
    lines = told(shop, decided("", "retrain"), *BEGUN, decided(SAME), decided(SAME))
    assert lines == ["run r-1 began on no dataset", "run r-1 done, made m-1", f"run r-1: {SAME}"]
    waits = "it waits for business: bucle approve m-1"
    facts = (*BEGUN, decided("", "judge"), judged(), decided(waits, "judge"))
    assert told(shop, *facts)[-1] == f"run r-1: {waits}"


@pytest.mark.parametrize(
    "facts",
    [
        (*BEGUN, judged("fail")),
        (*BEGUN, judged(), crowned("m-1")),
        (*BEGUN, judged(), deployed()),
        (began("r-1", asked="a-1"), ended("r-1", None, state="failed", action="a-1")),
        # Who runs by hand is told there.
        (began("r-1"), ended("r-1", "m-1")),
    ],
)
def test_a_decision_that_another_event_tells_of_is_not_told_again(shop, facts):
    assert len(told(shop, *facts, decided("said already"))) == len(facts)


def test_an_event_that_is_not_understood_is_told_and_hides_no_decision(shop):
    log, narrator = shop().workspace.log, Narrator()
    draft = Draft(
        body={}, at="2026-01-02T00:00:00.000000Z", actor="ana", kind="promoted", version=1
    )
    log.append([draft])
    assert "not understood" in narrator.tell(next(log.read()))
