"""What an event is told as in a story: a sentence each, in plain words. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bucle.grammar import say_count
from bucle.loop.checks import explain_check
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    DataAdded,
    Deployed,
    Fact,
    Promoted,
    Refitted,
    RetrainAsked,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    Withdrawn,
)
from bucle.loop.narration import tell_event
from bucle.types import Event

__all__ = ["IS_PAST", "find_reasons", "say_day", "say_rows", "write_sentence"]

IS_PAST = " is champion now"
"""What the end of an alarm says where another model has become champion."""

_LOOP = "loop"


def write_sentence(
    event: Event, fact: Fact | None, reasons: Mapping[str, str], *, more: str
) -> str:
    """Write an event as a sentence, with who is behind it where that is not the loop.

    Args:
        event: What happened.
        fact: The same as far as this version understands it.
        reasons: Why each run was asked for, by its id.
        more: What else is known of it, to be said at its end.
    """
    tell = _WORDS.get(type(fact))
    words = (tell(fact, reasons) if tell is not None else tell_event(event)) + more
    by = "" if event.actor == _LOOP or not isinstance(fact, _BY_PEOPLE) else event.actor
    return _sentence(words, by)


def say_day(day: str) -> str:
    """Write a day as people do.

    Example:
        >>> say_day("2025-03-07")
        '7 March 2025'
    """
    months = "January February March April May June July August September October November December"
    year, month, number = day.split("-")
    return f"{int(number)} {months.split()[int(month) - 1]} {year}"


def find_reasons(events: list[Event]) -> dict[str, str]:
    """Return why each run was asked for, by its id: the decision that led to it says so.

    A run that takes longer than a look begins after the decision that asked for it; one that is
    done within the look is on record before it.
    """
    found: dict[str, str] = {}
    asked: list[str] = []
    ahead = ""
    for event in events:
        if event.kind == "run_started" and event.body.get("asked"):
            run = str(event.body.get("run"))
            if ahead:
                found[run], ahead = ahead, ""
            else:
                asked.append(run)
        elif event.kind == "decided" and "retrain" in event.body.get("did", ()):
            whole = str(event.body.get("why", ""))
            why, _, _ = whole.rpartition("; ")
            found |= dict.fromkeys(asked, why or whole)
            ahead = "" if asked else whole
            asked = []
    return found


def _sentence(words: str, by: str) -> str:
    """Write words as a sentence, with who is behind it."""
    told = f"{words} (by {by})" if by else words
    told = told[0].upper() + told[1:] if not told.startswith("m-") else told
    return told if told.endswith((".", "!", "?")) else f"{told}."


def say_rows(facts: list[DataAdded]) -> str:
    """Say how many rows came in."""
    added, changed = (sum(getattr(fact, name) for fact in facts) for name in ("added", "changed"))
    told = f"{say_count(added, 'row')} came in"
    return f"{told} and {changed:,} changed" if changed else told


def _data(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    words = f"{say_count(fact.read, 'row')} of {fact.dataset} were offered and {fact.added:,} added"
    if fact.quarantined:
        words += f"; {fact.quarantined:,} broke the contract and are in quarantine"
    return words


def _started(fact: Any, reasons: Mapping[str, str]) -> str:
    why = reasons.get(fact.run, "")
    began = "a retrain began" if fact.asked else "a run began"
    return f"{began}: {_SPAN.sub(_say_span, why)}" if why else began


def _finished(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    if fact.state != "done":
        return f"the training {fact.state}: {fact.error}".rstrip(": ")
    return f"it made {fact.model}" if fact.model else "it made no model"


def _verdict(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    verdict = fact.verdict
    rows = f"{say_count(verdict.rows, 'row')} that it had not seen"
    beside = f", beside the champion {verdict.champion}" if verdict.champion else ""
    if verdict.outcome == "pass":
        return f"the gate let {verdict.challenger} pass on {rows}{beside}"
    against = [one for one in verdict.checks if one.outcome == verdict.outcome]
    because = f": {explain_check(against[0])}" if against else ""
    if verdict.outcome == "fail":
        return f"the gate turned {verdict.challenger} down on {rows}{beside}{because}"
    needed = against[0].labels_needed if against else None
    more = f"; {needed:,} more labels would decide" if needed else ""
    return f"the gate could not tell on {rows}{beside}{because}{more}"


def _refitted(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    return f"it learned once more from everything, as {fact.model or fact.tested}: {fact.why}"


def _deployed(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    if fact.is_former:
        return f"{fact.model}, the champion before, stays beside the new one {fact.because}"
    if not fact.share:
        return f"{fact.model} became a shadow of the champion and answers nobody: {fact.because}"
    return (
        f"{fact.model} answers {100 * fact.share:.3g} % of the requests as a canary: {fact.because}"
    )


def _withdrawn(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    return f"{fact.model} was taken away from beside the champion: {fact.because}"


def _raised(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    about = _ABOUT.get(fact.layer, "")
    began = say_day(fact.since[:10])
    # What is said of an input leaves it to the alarm's name which one it is.
    which = f"{fact.subject}: " if fact.layer == "inputs" else ""
    return f"alarm ({fact.layer}){about}: {which}{fact.why}; it seems to have begun on {began}"


def _resolved(fact: Any, reasons: Mapping[str, str]) -> str:
    del reasons
    # The promotion stands right before it: which model is champion now needs no second word.
    why = "it was of the champion before" if IS_PAST in fact.why else fact.why
    return f"the alarm about {fact.subject} ({fact.layer}) is over: {why}"


def _say_span(found: "re.Match[str]") -> str:
    """Write `8w` as people do."""
    units = {"d": "day", "w": "week", "mo": "month", "y": "year"}
    return say_count(int(found[1]), units[found[2]])


_SPAN = re.compile(r"\b(\d+)(mo|[dwy])\b")
_ABOUT = {
    "harm": ", the champion errs more than when it was tested",
    "inputs": ", what is asked has changed",
    "contract": ", what was agreed does not hold",
}
_BY_PEOPLE = (RunStarted, Promoted, RolledBack, Deployed, Withdrawn, RetrainAsked)
_WORDS: Mapping[type, Callable[[Any, Mapping[str, str]], str]] = {
    AlarmRaised: _raised,
    AlarmResolved: _resolved,
    DataAdded: _data,
    Deployed: _deployed,
    Refitted: _refitted,
    RunFinished: _finished,
    RunStarted: _started,
    VerdictGiven: _verdict,
    Withdrawn: _withdrawn,
}
