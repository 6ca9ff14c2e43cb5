"""`bucle log` and `bucle log verify`: read the truth and check it."""

from argparse import ArgumentParser, Namespace

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.errors import UnknownNameError, UsageError, nearest
from bucle.grammar import say_count
from bucle.loop.events import KINDS
from bucle.loop.narration import tell_event
from bucle.loop.workspace import open_log
from bucle.types import Log

__all__ = ["SHOW", "VERIFY"]

_NOT_INTACT = 1


def _show_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("--after", type=int, default=0, metavar="N", help="only events after N")
    parser.add_argument("--last", type=int, metavar="N", help="only the last N events")
    parser.add_argument("--kind", help="only events of one kind, such as promoted")


def _show(options: Namespace, terminal: Terminal) -> int:
    if options.after < 0 or (options.last is not None and options.last < 1):
        raise UsageError(
            "Cannot list events: --after counts from 0 and --last from 1",
            attempt="bucle log --last 20",
        )
    log = open_log(project_folder(options))
    if options.kind is not None:
        _check_kind(log, options.kind)
    events = [
        event
        for event in log.read(after=options.after)
        if options.kind is None or event.kind == options.kind
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
