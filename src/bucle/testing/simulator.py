"""A life of the loop from one seed: faults of every kind, and invariants after every event.

`python -m bucle.testing.simulator SEED` lives it again and tells it. Must not be imported by
anything but tests.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from bucle.clock import to_iso
from bucle.errors import RequestError
from bucle.ids import digest_bytes
from bucle.loop.narration import tell_event
from bucle.loop.state import State, fold, state_bytes
from bucle.testing.breach import BrokenInvariantError, fail
from bucle.testing.chance import chance
from bucle.testing.crew import Crew
from bucle.testing.interruptions import Interruptions
from bucle.testing.invariants import Invariants
from bucle.testing.machine import Machine
from bucle.testing.options import MODES, Options, draw_options
from bucle.testing.people import People
from bucle.testing.simulated_log import SimulatedLog
from bucle.testing.simulated_world import SimulatedWorld
from bucle.testing.spells import draw_spells, is_inside
from bucle.testing.windows import moment_of
from bucle.types import Event

__all__ = ["Life", "Lived", "SimulationError", "live", "main"]

_SHOWN = 12
_DAY_S = 86400.0


class SimulationError(AssertionError):
    """A life broke a promise; the text says the seed, the choices, and how to see it again."""


class Lived(Struct, frozen=True, kw_only=True):
    """How a life went; `digest` is that of the last state, the same in every process.

    `stale` and `fenced` count writes that came too late, `full` those for which there was no space,
    `takeovers` how often another controller came to lead, `served` the models that answered, in
    their order.
    """

    events: int
    kills: int
    points: int
    retrains: int
    promotions: int
    stale: int
    fenced: int
    full: int
    takeovers: int
    served: tuple[str, ...]
    digest: str
    state: State


class Life:
    """One simulated life of the loop.

    Args:
        options: What the seed stands for.
        kill_at: Kill once, at this point between two effects, and nowhere else.
        stop_at: Stop a leader once, at this point, until another may lead.
        tell: Told of every event and fault in one line.
    """

    def __init__(
        self,
        options: Options,
        *,
        kill_at: int | None = None,
        stop_at: int | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.options = options
        self.invariants = Invariants(options, elapsed_s=self._elapsed_s, gain=self._gain)
        self._points = {"--kill-at": kill_at, "--stop-at": stop_at}
        self.interruptions = Interruptions(
            options, kill_at=kill_at, stop_at=stop_at, on_kill=self._killed
        )
        self.log = SimulatedLog(options, self.interruptions, self._witness)
        self.world = SimulatedWorld(
            options, self.interruptions, self.invariants.acted, ledger=self.invariants.ledger
        )
        self.people = People(self.world, self.log)
        self.machine = Machine(self._true_time)
        self.crew = Crew(
            options,
            self.world,
            self.log,
            machine=self.machine,
            invariants=self.invariants,
            interruptions=self.interruptions,
            note=self._note,
        )
        self._tell = tell
        self._draw = chance(options.seed, "jumps")
        self._kills = 0
        self._served: list[str] = []
        self._last: list[Event | str] = []

    # ---- a whole life --------------------------------------------------------

    def live(self) -> Lived:
        """Live it to its end.

        Raises:
            SimulationError: An invariant was broken.
        """
        try:
            self._live()
        except (BrokenInvariantError, RequestError) as broken:
            raise SimulationError(self._report(str(broken))) from broken
        ledger = self.invariants.ledger
        state = fold(self.log.kept.read())
        return Lived(
            events=len(ledger.hashes),
            kills=self._kills,
            points=self.interruptions.passed,
            retrains=ledger.asked_runs(),
            promotions=len(ledger.reigns),
            stale=self.crew.stale,
            fenced=self.crew.fenced,
            full=self.crew.full,
            takeovers=self.crew.takeovers,
            served=tuple(self._served),
            digest=digest_bytes(state_bytes(state)),
            state=state,
        )

    def _live(self) -> None:
        options, world = self.options, self.world
        full = draw_spells(options, "full", share=options.faults.full)
        self.log.is_full = lambda: is_inside(full, world.today)
        if options.begins_with == "champion":
            self.people.found(self.machine.now())
        self.interruptions.others = self._let_others_act
        while world.today < options.days:
            self._jump()
            self.people.may_act(self.machine.now(), share=options.faults.people)
            self.crew.tick()
            world.today += options.tick
        self._quiet_down()
        self.invariants.finish(self.log.kept)

    def _quiet_down(self) -> None:
        """Live on without faults, and see that everything comes to its end."""
        options, world = self.options, self.world
        self.interruptions.is_calm = self.crew.is_calm = True
        self.log.is_full = lambda: False
        self.machine.offset = timedelta()
        world.truth.shock(world.today)
        world.signals.surge()
        world.service.recover(world.today)
        self.people.leave(self.machine.now())
        trained = self.invariants.ledger.trainings()
        end = world.today + options.quiet
        began_s = world.today * _DAY_S
        while world.today < end:
            self.crew.tick()
            now = self.crew.looked_at
            if not self.crew.under_way:
                self.invariants.settled(self.crew.controller().state, now)
            self.invariants.gets_on(since_s=began_s)
            self.people.may_approve(now)
            world.today += options.tick
        is_due = options.rules.triggers and self.invariants.ledger.champion
        if options.quiet and is_due and self.invariants.ledger.trainings() == trained:
            fail("the loop never trained again after the faults stopped")

    def _true_time(self) -> datetime:
        """Return what a right clock shows; no two facts of a loop that serves share a moment."""
        written = len(self.invariants.ledger.hashes) if self.options.live else 0
        return moment_of(self.world.today) + timedelta(microseconds=written)

    def _elapsed_s(self) -> float:
        return self.world.today * _DAY_S

    def _gain(self, model: str, champion: str) -> float:
        return self.world.service.gain(model, champion, self.world.today)

    def _let_others_act(self) -> None:
        """Between two effects of one process, let people and other processes do theirs."""
        share = self.options.faults.people / 4
        self.people.may_act(self.machine.now(), share=share)
        self.crew.let_others_act()

    def _jump(self) -> None:
        """Set the clock wrong, forth or back, or right again."""
        if self._draw.happens(self.options.faults.jumps):
            days = self._draw.choose((-1.0, 1.0)) * self._draw.choose((0.05, 1.0, 30.0, 365.0))
            self.machine.offset = timedelta(days=self._draw.choose((0.0, days, days)))
            self._note(f"the clock is set to {to_iso(self.machine.now())}")

    # ---- what is told --------------------------------------------------------

    def _witness(self, event: Event) -> None:
        self._note(event)
        self.invariants.see(event)
        service = self.world.service
        service.follow(event, self.world.today)
        served = service.answers_with
        if self._served and served is None:
            fail("nothing answers any more")
        if served is not None and served not in self._served[-1:]:
            self._served.append(served)

    def _killed(self, where: str) -> None:
        self._kills += 1
        self._note(f"killed {where}")

    def _note(self, what: Event | str) -> None:
        self._last.append(what)
        if len(self._last) > 2 * _SHOWN:
            del self._last[:_SHOWN]
        if self._tell is not None:
            self._tell(_line(self.world.today, what))

    def _report(self, broken: str) -> str:
        """Return what somebody needs who wants to understand a failure."""
        options, day = self.options, f"{self.world.today:g}"
        recent = [_line(None, what) for what in self._last[-_SHOWN:]]
        return "\n".join(
            [
                f"seed {options.seed} ({options.mode}), day {day}, broke a promise: {broken}",
                "options:",
                *(f"  {line}" for line in options.lines()),
                "last events:",
                *(f"  {line}" for line in recent),
                "see it again:",
                f"  {self._command()}",
            ]
        )

    def _command(self) -> str:
        """Return what lives this very life again, with options that were not drawn spelled out."""
        options = self.options
        words = [f"python -m bucle.testing.simulator {options.seed} --mode {options.mode}"]
        words += [f"{name} {point}" for name, point in self._points.items() if point is not None]
        if options != draw_options(options.seed, mode=options.mode):
            words.append(f"--options '{msgspec.json.encode(options).decode()}'")
        return " ".join(words)


def live(options: Options, *, kill_at: int | None = None, stop_at: int | None = None) -> Lived:
    """Live one life.

    Raises:
        SimulationError: An invariant was broken.

    Example:
        >>> live(Options(seed=7, days=10, policy="every:1w")).retrains
        1
    """
    return Life(options, kill_at=kill_at, stop_at=stop_at).live()


def _line(day: float | None, what: Event | str) -> str:
    begin = "" if day is None else f"{day:7.2f}  "
    if isinstance(what, str):
        return f"{begin}      ** {what}"
    return f"{begin}{what.position:>5} {what.at[:16]} {what.actor:<5} {tell_event(what)}"


def main(arguments: list[str] | None = None) -> int:
    """Live a seed again and tell it; return 1 when it breaks a promise."""
    parser = argparse.ArgumentParser(prog="python -m bucle.testing.simulator", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--mode", choices=MODES, default="safety")
    parser.add_argument("--kill-at", type=int, help="kill once, at this point and nowhere else")
    parser.add_argument("--stop-at", type=int, help="stop a leader once, at this point")
    parser.add_argument("--options", help="as JSON, instead of those that the seed draws")
    parser.add_argument("--quiet", action="store_true", help="only how it ended")
    asked = parser.parse_args(arguments)
    options = draw_options(asked.seed, mode=asked.mode)
    if asked.options:
        options = msgspec.json.decode(asked.options, type=Options)

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")

    say("\n".join(options.lines()))
    try:
        tell = None if asked.quiet else say
        points = {"kill_at": asked.kill_at, "stop_at": asked.stop_at}
        lived = Life(options, **points, tell=tell).live()
    except SimulationError as broken:
        say(str(broken))
        return 1
    say(
        f"{lived.events} events, {lived.retrains} retrains, {lived.promotions} promotions,"
        f" {lived.kills} kills, {lived.stale} stale and {lived.fenced} fenced writes,"
        f" {lived.takeovers} takeovers; state {lived.digest}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
