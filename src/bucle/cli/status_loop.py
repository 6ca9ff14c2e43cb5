"""What `bucle status` says of the loop: who leads, what is open, what is missing, what is next."""

import platform
from typing import Any

import msgspec

from bucle.cli.terminal import Terminal
from bucle.errors import BucleError
from bucle.loop.awaiting import find_candidate, missing_words
from bucle.loop.decide import Action, Retrain, Wait, decide
from bucle.loop.state import State
from bucle.loop.workspace import Workspace

__all__ = ["ANEW", "loop_facts", "tell_action", "tell_loop"]

ANEW = 'bucle retrain --because "..."'
"""What to say where a run has failed: the loop tries it anew for its own reasons alone."""


def loop_facts(workspace: Workspace, state: State) -> dict[str, Any]:
    """Return what the loop is at, as JSON values."""
    paused = state.paused
    return {
        "leader": _leader(workspace),
        "paused": paused and {"since": paused[0], "because": paused[1]},
        "alarms": [msgspec.to_builtins(one) for one in state.alarms.values()],
        **_missing(workspace, state),
        "last_run": state.ended,
        "failed_run": _failed(state),
        "next": _next(workspace, state),
    }


def tell_loop(terminal: Terminal, facts: dict[str, Any]) -> None:
    """Say the same in words, a line each; what is as it should be is left out."""
    terminal.say(f"loop        {facts['leader'] or 'nobody leads it. Try: bucle up'}")
    if facts["paused"]:
        since, because = facts["paused"]["since"], facts["paused"]["because"]
        _say(terminal, "paused", f"since {_minute(since)} UTC: {because}")
    for alarm in facts["alarms"]:
        since = f", since {_minute(alarm['since'])}" if alarm["since"] else ""
        about = f"{alarm['layer']}: {alarm['subject']}" if alarm["subject"] else alarm["layer"]
        _say(terminal, "alarm", f"{about}{since}: {alarm['why']}")
    for one in facts["approvals"]:
        _say(terminal, "approval", f"{one['role']} is asked: {one['command']}")
    if facts["promotion"]:
        promotion = facts["promotion"]
        _say(terminal, "promotion", f"{promotion['why']}: {promotion['command']}")
    if facts["failed_run"]:
        _say(terminal, "last run", f"{facts['failed_run']}. Once that is mended: {ANEW}")
    _say(terminal, "next", facts["next"])


def tell_action(state: State, action: Action) -> str:
    """Say in one line what the loop does next, or is at: a run that has begun is named."""
    begun = [one for one in state.runs.values() if one.started.asked == action.id]
    if isinstance(action, Retrain) and begun and begun[-1].finished is None:
        since = f"since {_minute(begun[-1].at)} UTC"
        return f"{action.name}: {begun[-1].started.run} is under way {since}, or was cut short"
    return f"{action.name}: {action.why}"


def _leader(workspace: Workspace) -> str:
    """Return who leads, with host and process; empty when nobody does, as far as can be told."""
    from bucle.loop.live.controlling import LEASE  # noqa: PLC0415  (only here)
    from bucle.store.processes import is_alive  # noqa: PLC0415  (only here)
    from bucle.store.sqlite_leases import SqliteLeases  # noqa: PLC0415  (only here)

    lease = SqliteLeases(workspace.home / "log.db").read(LEASE)
    if lease is None or lease.released:
        return ""
    host, _, number = lease.holder.rpartition(":")
    if host == platform.node() and number.isdigit() and not is_alive(int(number)):
        return ""
    return f"led by {lease.holder}"


def _missing(workspace: Workspace, state: State) -> dict[str, Any]:
    """Return whose word the model waits for that may answer next: roles', or else a person's."""
    candidate, gates = find_candidate(state), workspace.charter.gates
    if candidate is None:
        return {"approvals": [], "promotion": None}
    asked = missing_words(state, *candidate, approval=gates.approval, promote=gates.promote)
    words = [msgspec.to_builtins(one) for one in asked]
    roles = [one for one in words if one["role"]]
    # What is led by steps waits for a person at its last one, and a look at an earlier moment for
    # nobody; where nobody answers yet, it is all there is.
    is_led = state.deployment is not None
    is_asked = (gates.promote == "ask" and not is_led) or not state.tenures
    return {
        "approvals": roles,
        "promotion": words[0] if words and not roles and is_asked else None,
    }


def _failed(state: State) -> str:
    """Say what the last run failed on; empty when it did not."""
    run = state.runs.get(state.ended or "")
    if run is None or run.finished is None or run.finished.state == "done":
        return ""
    error = " ".join(run.finished.error.split())
    return f"{run.started.run} {run.finished.state}" + (f": {error}" if error else "")


def _next(workspace: Workspace, state: State) -> str:
    """Say in one line what the loop does next, or what it waits for."""
    from bucle.loop.live.rules import live_policy  # noqa: PLC0415  (only here)

    try:
        policy = live_policy(workspace.charter)
    except BucleError as error:
        return error.what
    (action,) = decide(state, policy, workspace.clock.now())
    if not isinstance(action, Wait):
        return tell_action(state, action)
    is_down = action.settled.startswith(("fail", "undecided")) and action.settled not in action.why
    more = f"; the last model: {action.settled}" if is_down else ""
    return f"nothing: {action.why}{more}"


def _say(terminal: Terminal, name: str, words: str) -> None:
    terminal.paragraph(words, indent=f"{name:<12}")


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
