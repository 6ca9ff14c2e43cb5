"""`bucle log` and `bucle log verify`: read the truth and check it."""

from argparse import ArgumentParser, Namespace
from itertools import groupby
from operator import attrgetter

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.clock import from_iso, to_iso
from bucle.errors import UnknownNameError, UsageError, nearest
from bucle.grammar import say_count
from bucle.loop.events import KINDS
from bucle.loop.narration import tell_event
from bucle.loop.story import tell_story
from bucle.loop.workspace import open_log
from bucle.types import Log

__all__ = ["SHOW", "VERIFY"]

_NOT_INTACT = 1


def _show_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("--after", type=int, default=0, metavar="N", help="only events after N")
    parser.add_argument("--last", type=int, metavar="N", help="only the last N events")
    parser.add_argument("--kind", help="only events of one kind, such as promoted")
    parser.add_argument("--since", metavar="DATE", help="only what happened on that day or later")
    parser.add_argument("--story", action="store_true", help="tell in words what happened, and why")


def _show(options: Namespace, terminal: Terminal) -> int:
    if options.after < 0 or (options.last is not None and options.last < 1):
        raise UsageError(
            "Cannot list events: --after counts from 0 and --last from 1",
            attempt="bucle log --last 20",
        )
    since = _since(options.since)
    log = open_log(project_folder(options))
    if options.story and not terminal.json:
        return _tell_story(options, terminal, log, since)
    if options.kind is not None:
        _check_kind(log, options.kind)
    events = [
        event
        for event in log.read(after=options.after)
        if (options.kind is None or event.kind == options.kind) and event.at >= since
    ]
    events = events[-options.last :] if options.last else events
    if terminal.json:
        terminal.answer([msgspec.to_builtins(event) for event in events])
        return 0
    if not events:
        terminal.say("No events.")
    terminal.table(
        [
            [str(event.position), event.at[:19].replace("T", " "), event.actor, tell_event(event)]
            for event in events
        ],
        header=["event", "at (UTC)", "by", "what"] if events else [],
    )
    return 0


def _since(text: str | None) -> str:
    """Return a moment as the log writes it; the beginning of everything for None."""
    if text is None:
        return ""
    try:
        return to_iso(from_iso(text))
    except ValueError as error:
        raise UsageError(
            f"Cannot read the date {text!r} of --since",
            cause="a date is written 2024-01-31",
            attempt="bucle log --since 2024-01-31",
        ) from error


def _tell_story(options: Namespace, terminal: Terminal, log: Log, since: str) -> int:
    if options.after or options.last is not None or options.kind is not None:
        raise UsageError(
            "Cannot tell a story of single events",
            cause="--after, --last and --kind choose events; a story needs what lies between",
            attempt="bucle log --story --since 2024-01-31",
        )
    chapters = [one for one in tell_story(log.read()) if one.last >= since[:10]]
    if not chapters:
        terminal.say("Nothing happened.")
    for number, chapter in enumerate(chapters):
        if number:
            terminal.say()
        if chapter.title:
            span = chapter.first if chapter.first == chapter.last else ""
            span = span or f"{chapter.first} to {chapter.last}"
            terminal.say(f"{chapter.title} ({span})")
        for day, sentences in groupby(chapter.sentences, key=attrgetter("day")):
            words = " ".join(sentence.words for sentence in sentences)
            terminal.paragraph(words, indent=f"  {day}  ")
    return 0


def _check_kind(log: Log, kind: str) -> None:
    """Refuse a kind that neither this Bucle nor the log knows."""
    known = {*KINDS, *(event.kind for event in log.read())}
    if kind not in known:
        raise UnknownNameError(
            f"There is no kind of event {kind!r}",
            cause="kinds are " + ", ".join(sorted(known)),
            did_you_mean=nearest(kind, sorted(known)),
            attempt="bucle log",
            code="bucle-240",
        )


def _verify_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument(
        "--head", metavar="HASH", help="a head written down earlier, which must still be there"
    )


def _verify(options: Namespace, terminal: Terminal) -> int:
    log = open_log(project_folder(options))
    seen = log.verify()
    reason, intact = seen.reason, seen.intact
    if intact and options.head and not _has_hash(log, options.head):
        intact, reason = False, f"no event has the hash {options.head}"
    terminal.answer(
        {
            "events": seen.events,
            "head": seen.head,
            "intact": intact,
            "damaged": seen.damaged,
            "reason": reason,
        }
    )
    if not terminal.json:
        terminal.say(f"{say_count(seen.events, 'event')}, head {seen.head}")
        terminal.say("intact" if intact else f"NOT intact: {reason}")
        if intact and reason:
            terminal.paragraph(reason, indent="  ! ")
            terminal.say("Try: bucle log verify --head HASH, with a head written down elsewhere")
    return 0 if intact else _NOT_INTACT


def _has_hash(log: Log, wanted: str) -> bool:
    return any(event.hash == wanted for event in log.read())


SHOW = Handler(_show_arguments, _show, "bucle log --last 20")
VERIFY = Handler(_verify_arguments, _verify, "bucle log verify --json")
