"""`bucle simulate`: a living project played forward in fast time, with a world that answers."""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.report_file import say_path
from bucle.cli.terminal import Terminal
from bucle.clock import from_iso
from bucle.errors import UsageError
from bucle.grammar import say_count
from bucle.loop.narration import tell_event
from bucle.loop.workspace import open_workspace
from bucle.types import Event

if TYPE_CHECKING:
    from bucle.loop.simulation.playing import Simulated
    from bucle.loop.simulation.takings import Setback

__all__ = ["SIMULATE"]

_REST = "\x1b[K"  # a terminal then forgets the rest of the line
_QUIET = frozenset({"challenger_seen", "decided", "window_judged", "drift_measured", "run_started"})


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("--days", type=int, default=365, help="how many to play (default: 365)")
    parser.add_argument("--from", dest="start", metavar="DATE", help="the first day: 2024-01-31")
    parser.add_argument("--seed", type=int, help="draw another world")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND:FROM..TO",
        help="what goes wrong, and on which days; may be given again",
    )
    parser.add_argument("--calm", action="store_true", help="nothing goes wrong")
    parser.add_argument("--keep", metavar="DIR", help="a new folder for the simulated project")


def _call(options: Namespace, terminal: Terminal) -> int:
    from bucle.loop.simulation.playing import SimulationRequest, simulate_project  # noqa: PLC0415

    if options.calm and options.fault:
        raise UsageError(
            "Cannot let nothing go wrong, and something",
            cause="--calm and --fault were given",
            attempt="one of the two",
        )
    workspace = open_workspace(project_folder(options), overrides=options.set)
    request = SimulationRequest(
        days=options.days,
        start=_day(options.start),
        seed=options.seed,
        faults=tuple(options.fault),
        is_calm=options.calm,
        keep=options.keep,
    )
    teller = _Teller(terminal, days=request.days)
    try:
        done = simulate_project(
            workspace, request, tell=teller.tell, say=teller.say, pass_day=teller.pass_day
        )
    finally:
        teller.wipe()
    terminal.answer(msgspec.to_builtins(done))
    if not terminal.json:
        _sum_up(done, terminal)
    return 0


class _Teller:
    """Tells what happens as it happens, one event a line, with its simulated date.

    Where somebody watches, the last line says how far it is.
    """

    def __init__(self, terminal: Terminal, *, days: int) -> None:
        self._terminal = terminal
        self._days = days
        self._is_watched = sys.stderr.isatty()

    def tell(self, event: Event) -> None:
        """Tell an event of the log, where it is news."""
        if event.kind in _QUIET or (event.kind == "data_added" and not _is_odd(event)):
            return
        self._line(event.at[:10], tell_event(event))

    def say(self, moment: datetime, words: str) -> None:
        """Tell what the log does not know of."""
        self._line(moment.date().isoformat(), f"* {words}")

    def pass_day(self, moment: datetime, before: int) -> None:
        """Tell how far it is."""
        if self._is_watched:
            words = f"{moment.date().isoformat()}  day {before + 1} of {self._days}"
            print(f"\r{words}{_REST}", end="", file=sys.stderr, flush=True)  # noqa: T201

    def wipe(self) -> None:
        """Take the line away that says how far it is."""
        if self._is_watched:
            print(f"\r{_REST}", end="", file=sys.stderr, flush=True)  # noqa: T201

    def _line(self, day: str, words: str) -> None:
        if not self._terminal.json:
            self.wipe()
            self._terminal.paragraph(words, indent=f"{day}  ")


def _is_odd(event: Event) -> bool:
    return bool(event.body.get("quarantined")) or event.position == 1


def _day(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return from_iso(text).date().isoformat()
    except ValueError as error:
        raise UsageError(
            f"Cannot begin on {text!r}",
            cause="a date is written 2024-01-31",
            attempt="bucle simulate --from 2024-01-31",
        ) from error


def _sum_up(done: "Simulated", terminal: Terminal) -> None:
    events, takings = done.events, done.takings
    rows = [
        ["alarms", str(events.get("alarm_raised", 0))],
        ["retrains", str(done.retrains)],
        ["promotions", str(events.get("promoted", 0) - 1)],
        ["rollbacks", str(events.get("rolled_back", 0))],
    ]
    last = from_iso(done.start) + timedelta(days=done.days - 1)
    terminal.say()
    terminal.say(f"{say_count(done.days, 'day')}, {done.start} to {last.date().isoformat()}")
    terminal.table(rows)
    if takings.best > 0:
        terminal.say()
        terminal.paragraph(
            f"What the {say_count(takings.items, 'item')} that came were expected to earn, at the "
            "prices they got, as only a simulated world knows it:"
        )
        terminal.table(
            [
                [who, f"{amount:,.0f}", f"{amount / takings.best:.1%}"]
                for who, amount in (
                    ("the loop", takings.earned),
                    ("never retrained", takings.never),
                    ("the best possible", takings.best),
                )
            ],
            header=["", done.currency, "of the best"],
        )
        for setback in takings.setbacks:
            terminal.paragraph(_tell_setback(setback, done.currency))
    folder = say_path(Path(done.folder))
    terminal.say(f"\nkept in    {folder}")
    terminal.say(f"Try: bucle log --story --project {shlex.quote(str(folder))}")


def _tell_setback(setback: "Setback", currency: str) -> str:
    """Say what a champion has cost that the loop went back from."""
    amount = f"{abs(setback.lost):,.0f} {currency} {'less' if setback.lost >= 0 else 'more'}"
    return (
        f"{setback.model} was champion from {setback.since[:10]} to {setback.until[:10]}, until "
        f"the loop went back: in that time the items earned {amount} than they would have with "
        f"{setback.former}, the champion before."
    )


SIMULATE = Handler(_arguments, _call, "bucle simulate --days 365")
