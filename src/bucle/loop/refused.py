"""What came in and was refused: which files, since when, and the alarm about them. Pure.

Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from bucle.grammar import say_count
from bucle.loop.events import DataAdded
from bucle.loop.observations import AlarmRaised, AlarmResolved, DataRefused

__all__ = [
    "Refusal",
    "Refused",
    "after_addition",
    "after_refusal",
    "alarms_of",
    "examples_of",
    "say_refused",
    "since_of",
]

_LAYER = "contract"
_KIND = "schema"
_MOST_EXAMPLES = 3


class Refusal(Struct, frozen=True, kw_only=True):
    """A file that was refused, or without a name a dataset's own source, with when."""

    at: str
    fact: DataRefused


Refused = dict[str, dict[str, Refusal]]
"""What is refused now: by dataset, then by file, the latest last; no dataset is there with none."""


def after_refusal(known: Refused, at: str, fact: DataRefused) -> Refused:
    """Return what is refused after a fact that says so, or that it is over."""
    own = {name: one for name, one in known.get(fact.dataset, {}).items() if name != fact.file}
    if not fact.over:
        own[fact.file] = Refusal(at=at, fact=fact)
    return _with(known, fact.dataset, own)


def after_addition(known: Refused, fact: DataAdded) -> Refused:
    """Return what is still refused after rows came in: no file that they came from."""
    if fact.dataset not in known:
        return known
    taken = {file.name for file in fact.files} | ({""} if fact.origin == "source" else set())
    own = {name: one for name, one in known[fact.dataset].items() if name not in taken}
    return _with(known, fact.dataset, own)


def alarms_of(
    refused: Refused, alarms: Mapping[str, AlarmRaised], facts: Sequence[DataRefused], *, at: str
) -> tuple[AlarmRaised | AlarmResolved, ...]:
    """Return the alarms that begin and end: one for each dataset, however many files there are.

    Args:
        refused: What is on record.
        alarms: Those that are open, by name.
        facts: What is about to be on record.
        at: The moment of it.
    """
    after = refused
    for fact in facts:
        after = after_refusal(after, at, fact)
    raised = [
        AlarmRaised(
            layer=_LAYER,
            subject=f"{dataset}: {_KIND}",
            since=since_of(own),
            why=say_refused(own),
            examples=tuple({"id": name, "value": words} for name, words in examples_of(own)),
        )
        for dataset, own in after.items()
    ]
    ended = [
        AlarmResolved(layer=one.layer, subject=one.subject, why=_why_over(one, facts))
        for one in alarms.values()
        if _is_own(one) and one.name not in {alarm.name for alarm in raised}
    ]
    return (*ended, *(one for one in raised if one.name not in alarms))


def say_refused(own: Mapping[str, Refusal]) -> str:
    """Say in one line which files of a dataset are refused, and why the last one is."""
    last = list(own.values())[-1].fact
    what = last.file or "its source"
    if len(own) > 1:
        return f"{say_count(len(own), 'file')} were refused, the last {what}: {last.reason}"
    return f"{what} was refused: {last.reason}"


def examples_of(own: Mapping[str, Refusal]) -> list[tuple[str, str]]:
    """Return the files that were refused last, with why."""
    newest = list(own.values())[-_MOST_EXAMPLES:]
    return [(one.fact.file or one.fact.dataset, one.fact.reason) for one in newest]


def since_of(own: Mapping[str, Refusal]) -> str:
    """Return the day since which something of a dataset is refused."""
    return min(one.at for one in own.values())[:10]


def _with(known: Refused, dataset: str, own: dict[str, Refusal]) -> Refused:
    others = {name: files for name, files in known.items() if name != dataset}
    return others | {dataset: own} if own else others


def _is_own(alarm: AlarmRaised) -> bool:
    """Tell whether an alarm is about files: that about a column's values names the column."""
    dataset, _, kind = alarm.subject.rpartition(": ")
    return alarm.layer == _LAYER and kind == _KIND and "." not in dataset


def _why_over(alarm: AlarmRaised, facts: Sequence[DataRefused]) -> str:
    dataset = alarm.subject.rpartition(": ")[0]
    ended = [fact for fact in facts if fact.dataset == dataset and fact.over]
    if ended:
        return f"{ended[-1].file or 'its source'}: {ended[-1].over}"
    return "what was refused was mended and taken"
