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
from bucle.errors import RequestError, StalePositionError
from bucle.ids import digest_bytes
from bucle.loop.control import Controller
from bucle.loop.narration import tell_event
from bucle.loop.state import State, fold, state_bytes
from bucle.testing.chance import chance
from bucle.testing.interruptions import Interruptions, KilledError
from bucle.testing.invariants import BrokenInvariantError, Invariants
from bucle.testing.options import MODES, Options, draw_options
from bucle.testing.people import People
from bucle.testing.simulated_log import SimulatedLog
from bucle.testing.simulated_world import SimulatedWorld
from bucle.testing.windows import moment_of
from bucle.types import Event

__all__ = ["Life", "Lived", "SimulationError", "live", "main"]

_TRIES = 40
_SHOWN = 12


class SimulationError(AssertionError):
    """A life broke a promise; the text says the seed, the choices, and how to see it again."""


class Lived(Struct, frozen=True, kw_only=True):
    """How a life went; `digest` is that of the last state, the same in every process."""

    events: int
    kills: int
    points: int
    retrains: int
    promotions: int
    stale: int
    digest: str
    state: State


class Life:
    """One simulated life of the loop.

    Args:
        options: What the seed stands for.
        kill_at: Kill once, at this point between two effects, and nowhere else.
        tell: Told of every event and fault in one line.
    """

    def __init__(
        self,
        options: Options,
        *,
        kill_at: int | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.options = options
        self.invariants = Invariants(options)
        self._kill_at = kill_at
        self.interruptions = Interruptions(options, kill_at=kill_at, on_kill=self._killed)
        self.log = SimulatedLog(options, self.interruptions, self._witness)
        self.world = SimulatedWorld(options, self.interruptions, self.invariants.acted)
        self.people = People(self.world, self.log)
        self._tell = tell
        self._draw = chance(options.seed, "life")
        self._offset = timedelta()
        self._controllers: list[Controller | None] = [None] * options.controllers
        self._busy: set[int] = set()
        self._stale = 0
        self._kills = 0
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
            retrains=sum(bool(asked) for asked, _ in ledger.begun.values()),
            promotions=len(ledger.reigns),
            stale=self._stale,
            digest=digest_bytes(state_bytes(state)),
            state=state,
        )

    def _live(self) -> None:
        options, world = self.options, self.world
        if options.begins_with == "champion":
            self.people.found(self.now)
        self.interruptions.others = self._let_others_act
        while world.today < options.days:
            self._jump()
            self.people.may_act(self.now, share=options.faults.people)
            self._tick()
            world.today += options.tick
        self._quiet_down()
        self.invariants.finish(self.log.kept)

    def _quiet_down(self) -> None:
        """Live on without faults, and see that everything comes to its end."""
        options, world = self.options, self.world
        self.interruptions.is_calm = True
        self._offset = timedelta()
        self.world.truth.shock(self.world.today)
        trained = self._asked_runs()
        end = world.today + options.quiet
        while world.today < end:
            now = self.now
            self._tick()
            self.invariants.settled(self._controller(0).state, now)
            world.today += options.tick
        is_due = options.rules.triggers and self.invariants.ledger.champion
        if options.quiet and is_due and self._asked_runs() == trained:
            raise BrokenInvariantError("the loop never trained again after the faults stopped")

    def _asked_runs(self) -> int:
        return sum(bool(asked) for asked, _ in self.invariants.ledger.begun.values())

    @property
    def now(self) -> datetime:
        """What the clock of the machine says, right or wrong."""
        return moment_of(self.world.today) + self._offset

    # ---- one tick ------------------------------------------------------------

    def _tick(self) -> None:
        for number in range(len(self._controllers)):
            for _ in range(_TRIES):
                if self._look(number) or self._stays_down():
                    break
            else:
                raise BrokenInvariantError(f"controller {number} does not get through a look")

    def _look(self, number: int) -> bool:
        """Let one controller look; tell whether it got through."""
        self._busy.add(number)
        try:
            self._controller(number).look(self.now)
        except KilledError:
            self._controllers[number] = None
        except StalePositionError:
            self._stale += 1
            self._note(f"controller {number} was too late")
        else:
            return True
        finally:
            self._busy.discard(number)
        return False

    def _controller(self, number: int) -> Controller:
        known = self._controllers[number]
        if known is None:
            known = Controller(self.world, self.options.rules, self.log)
            self._controllers[number] = known
            self.invariants.restarted(known.state)
        return known

    def _stays_down(self) -> bool:
        is_calm = self.interruptions.is_calm
        return not is_calm and self._draw.happens(self.options.faults.down)

    def _let_others_act(self) -> None:
        """Between two effects of one process, let people and another process do theirs."""
        if len(self._busy) == 1:
            self.people.may_act(self.now, share=self.options.faults.people / 4)
            idle = set(range(len(self._controllers))) - self._busy
            if idle and self._draw.happens(0.1):
                self._look(idle.pop())

    def _jump(self) -> None:
        """Set the clock wrong, forth or back, or right again."""
        if self._draw.happens(self.options.faults.jumps):
            days = self._draw.choose((-1.0, 1.0)) * self._draw.choose((0.05, 1.0, 30.0, 365.0))
            self._offset = timedelta(days=self._draw.choose((0.0, days, days)))
            self._note(f"the clock is set to {to_iso(self.now)}")

    # ---- what is told --------------------------------------------------------

    def _witness(self, event: Event) -> None:
        self._note(event)
        self.invariants.see(event)

    def _killed(self, where: str) -> None:
        self._kills += 1
        self._note(f"killed {where}")

    def _note(self, what: Event | str) -> None:
        self._last.append(what)
        if len(self._last) > 2 * _SHOWN:
            del self._last[:_SHOWN]
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
        if self._kill_at is not None:
            words.append(f"--kill-at {self._kill_at}")
        if options != draw_options(options.seed, mode=options.mode):
            words.append(f"--options '{msgspec.json.encode(options).decode()}'")
        return " ".join(words)


def live(options: Options, *, kill_at: int | None = None) -> Lived:
    """Live one life.

    Raises:
        SimulationError: An invariant was broken.

    Example:
        >>> live(Options(seed=7, days=10, policy="every:1w")).retrains
        1
    """
    return Life(options, kill_at=kill_at).live()


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
        tell = (lambda _: None) if asked.quiet else say
        lived = Life(options, kill_at=asked.kill_at, tell=tell).live()
    except SimulationError as broken:
        say(str(broken))
        return 1
    say(
        f"{lived.events} events, {lived.retrains} retrains, {lived.promotions} promotions,"
        f" {lived.kills} kills, {lived.stale} stale writes; state {lived.digest}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
