"""The log as a story: what happened, when, by whom and why, without the looks that did nothing.

Pure: from events to chapters. What belongs together, from an alarm or a retrain to its outcome, is
one chapter.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from bucle.errors import LogError
from bucle.grammar import say_count
from bucle.loop.checks import explain_check
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    DataAdded,
    Decided,
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
    read_fact,
)
from bucle.loop.narration import tell_event
from bucle.types import Event

__all__ = ["Chapter", "Sentence", "say_day", "tell_story"]

_SILENT = frozenset({"challenger_seen", "drift_measured", "gain_estimated", "window_judged"})
_LOOP = "loop"
_BACK = "Back to an earlier champion"


class Sentence(Struct, frozen=True, kw_only=True):
    """What happened on a day, in plain words; `event` is its place in the log."""

    day: str
    words: str
    event: int


class Chapter(Struct, frozen=True, kw_only=True):
    """What belongs together: a title, empty for what stands alone, and its sentences in order."""

    title: str
    sentences: tuple[Sentence, ...]

    @property
    def first(self) -> str:
        """The day on which it begins."""
        return self.sentences[0].day

    @property
    def last(self) -> str:
        """The day on which it ends."""
        return self.sentences[-1].day


def tell_story(events: Iterable[Event]) -> tuple[Chapter, ...]:
    """Return the story of a log.

    Args:
        events: In their order, from the first one; kinds that are not known are told by name.
    """
    listed = list(events)
    teller = _Teller(_reasons(listed))
    for event in listed:
        teller.take(event)
    return teller.finish()


class _Teller:
    """Puts events into chapters as they come."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons
        self._chapters: list[Chapter] = []
        self._open: list[Sentence] = []
        self._episode = ""
        self._data: list[tuple[Event, DataAdded]] = []

    def take(self, event: Event) -> None:
        """Take the next event in."""
        try:
            fact = read_fact(event)
        except LogError:
            fact = None
        if isinstance(fact, DataAdded) and self._is_usual(fact):
            self._data.append((event, fact))
            return
        if isinstance(fact, Decided) or event.kind in _SILENT:
            return
        is_first = not self._episode and _opens(fact)
        if is_first or not (self._episode or isinstance(fact, _IN_PASSING)):
            self._flush_data(event.at[:10])
        if is_first:
            self._close("")
            self._episode = _opening(fact)
        self._open.append(
            Sentence(day=event.at[:10], words=self._words(event, fact), event=event.position)
        )
        outcome = _outcome(fact)
        if isinstance(fact, RolledBack):
            self._close(_BACK)
        elif self._episode and outcome:
            self._close(f"{self._episode}: {outcome}")

    def finish(self) -> tuple[Chapter, ...]:
        """Close what is open and return everything."""
        self._close(f"{self._episode}: not over yet" if self._episode else "")
        if self._data:
            self._flush_data(self._data[-1][0].at[:10])
            self._close("")
        return tuple(self._chapters)

    def _close(self, title: str) -> None:
        if self._open:
            self._chapters.append(Chapter(title=title, sentences=tuple(self._open)))
        self._open, self._episode = [], ""

    def _is_usual(self, fact: DataAdded) -> bool:
        """Tell whether rows came in as they do every day."""
        return not fact.quarantined and not fact.removed and bool(self._chapters or self._open)

    def _flush_data(self, day: str) -> None:
        """Tell in one sentence what came in since something else began."""
        if not self._data:
            return
        facts, last = [fact for _, fact in self._data], self._data[-1][0]
        words = _say_rows(facts)
        first = self._data[0][0].at[:10]
        if first != day:
            words += f" since {say_day(first)}"
        self._data = []
        self._open.append(Sentence(day=day, words=f"{words}.", event=last.position))

    def _words(self, event: Event, fact: Fact | None) -> str:
        tell = _WORDS.get(type(fact))
        words = tell(fact, self._reasons) if tell is not None else tell_event(event)
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


def _sentence(words: str, by: str) -> str:
    """Write words as a sentence, with who is behind it."""
    told = f"{words} (by {by})" if by else words
    told = told[0].upper() + told[1:] if not told.startswith("m-") else told
    return told if told.endswith((".", "!", "?")) else f"{told}."


# ---- chapters ---------------------------------------------------------------


def _opens(fact: Fact | None) -> bool:
    if isinstance(fact, AlarmRaised):
        return fact.layer == "harm"
    return isinstance(fact, RetrainAsked | RolledBack | RunStarted | VerdictGiven)


def _opening(fact: Fact | None) -> str:
    if isinstance(fact, AlarmRaised):
        return "An alarm of harm"
    if isinstance(fact, RolledBack):
        return _BACK
    return "A retrain that was asked for" if isinstance(fact, RetrainAsked) else "A new model"


def _outcome(fact: Fact | None) -> str:
    """Say how an episode ended; empty where it goes on."""
    match fact:
        case RunFinished(state="failed" | "stopped"):
            return f"it {fact.state}"
        case VerdictGiven() if fact.verdict.outcome != "pass":
            return "the champion stays"
        case Withdrawn():
            return "it was taken away"
        case Promoted():
            return "it became champion"
    return ""


def _reasons(events: list[Event]) -> dict[str, str]:
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


# ---- sentences --------------------------------------------------------------


def _say_rows(facts: list[DataAdded]) -> str:
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
    why = "it was of the champion before" if _IS_PAST in fact.why else fact.why
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
_IS_PAST = " is champion now"
_IN_PASSING = (AlarmRaised, AlarmResolved, Deployed)
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
