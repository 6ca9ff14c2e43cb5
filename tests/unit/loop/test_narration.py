"""Every event in words that say who, what and how many."""

import msgspec
import pytest

from bucle.loop.events import (
    DataAdded,
    LogRepaired,
    Promoted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
)
from bucle.loop.narration import tell_addition, tell_event
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
