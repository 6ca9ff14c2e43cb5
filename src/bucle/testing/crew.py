"""The controllers of a simulated life as processes: killed, stopped, come back, taken over from.

Must not be imported by anything but tests.
"""

from collections.abc import Callable

from bucle.errors import FencedError, OutsideError, StalePositionError
from bucle.loop.control import Controller
from bucle.loop.leadership import LEASE_S, Leadership
from bucle.testing.breach import BrokenInvariantError, fail
from bucle.testing.chance import chance
from bucle.testing.interruptions import Interruptions, KilledError
from bucle.testing.invariants import Invariants
from bucle.testing.machine import Machine
from bucle.testing.options import Live, Options
from bucle.testing.simulated_log import SimulatedLog
from bucle.testing.simulated_world import SimulatedWorld
from bucle.types import Lease

__all__ = ["Crew"]

# More than kills alone use up in millions of looks; whoever is shut out uses them all.
_TRIES = 200
_LEASE = "loop"
_BEAT_S = LEASE_S / 3
_MOST_WAITING_S = 3 * LEASE_S
_LONGEST_STOP = 9
_RESTARTS = 0.03
_DAY_S = 86400.0


class _Member:
    """One process: what it knows ends with it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.life = 0
        self.leadership: Leadership | None = None
        self.controller: Controller | None = None
        self.is_down = False

    @property
    def name(self) -> str:
        """Who it is, for the log and the lease; another one after each restart."""
        return f"loop {self.number}" + (f".{self.life}" if self.life else "")

    def lease(self) -> Lease | None:
        """Return the lease that it believes to hold."""
        return self.leadership.lease if self.leadership is not None else None

    def die(self) -> None:
        """Lose everything that is not on a disk."""
        self.leadership = self.controller = None
        self.life += 1


class Crew:
    """All controllers of one project, of which one leads when there are leases.

    Args:
        options: What the seed stands for.
        world: What they act on.
        log: Where they write.
        machine: Its monotonic clock moves here.
        invariants: Told of restarts.
        interruptions: Says where a leader is stopped.
        note: Told what happens to processes.
    """

    def __init__(
        self,
        options: Options,
        world: SimulatedWorld,
        log: SimulatedLog,
        *,
        machine: Machine,
        invariants: Invariants,
        interruptions: Interruptions,
        note: Callable[[str], None],
    ) -> None:
        self.looked_at = machine.now()
        self.stale = self.fenced = self.full = self.takeovers = 0
        self._options = options
        self._has_leases = (options.live or Live()).leases
        self._world = world
        self._log = log
        self._machine = machine
        self._invariants = invariants
        self._interruptions = interruptions
        self._note = note
        self._draw = chance(options.seed, "life")
        self._is_noted = chance(options.seed, "noted")
        self._members = [_Member(number) for number in range(options.controllers)]
        self._busy: set[int] = set()
        self._led = ""
        self.is_calm = self.under_way = False
        if self._has_leases:
            invariants.leader = self._leader

    # ---- a tick ---------------------------------------------------------------

    def tick(self) -> None:
        """Let everybody look who may, again and again until he gets through or stays down."""
        if not self._has_leases:
            for member in self._members:
                self._insist(member)
            return
        self._pass_day()
        for _ in range(_TRIES):
            leader = self._find_leader()
            if leader is None or self._look(leader):
                return
            leader.is_down = self._stays_down()
        fail("no controller gets through a look")

    def controller(self) -> Controller:
        """Return the controller that looked last."""
        member = next((one for one in self._members if one.name == self._led), self._members[0])
        return self._controller(member)

    def let_others_act(self) -> None:
        """Between two effects of one process, stop it, or let another one do its own."""
        if len(self._busy) != 1:
            return
        (busy,) = self._busy
        others = [one for one in self._members if one.number != busy]
        if self._has_leases:
            if others and self._interruptions.stops_here():
                self._stop(self._members[busy], others)
        elif others and self._draw.happens(0.1):
            self._look(others[-1])

    # ---- one process ----------------------------------------------------------

    def _insist(self, member: _Member) -> None:
        for _ in range(_TRIES):
            if self._look(member) or self._stays_down():
                return
        fail(f"controller {member.number} does not get through a look")

    def _look(self, member: _Member) -> bool:
        """Let one controller look; tell whether it got through, or can do no more now."""
        self._busy.add(member.number)
        self._led = member.name
        try:
            controller = self._controller(member)
            is_noted = self._is_noted.happens(self._options.live.noted if self._options.live else 1)
            self.looked_at = self._machine.now()
            look = controller.look(self.looked_at, is_noted=is_noted)
            self._invariants.looked(controller.state)
            self.under_way = look.under_way is not None
        except KilledError:
            member.die()
        except FencedError:
            self.fenced += 1
            self._note(f"{member.name} was replaced meanwhile")
            member.controller = None
        except StalePositionError:
            self.stale += 1
            self._note(f"{member.name} was too late")
        except OutsideError:
            self.full += 1
            self._note(f"{member.name} found the disk full")
            return True
        else:
            return True
        finally:
            self._busy.discard(member.number)
        return False

    def _controller(self, member: _Member) -> Controller:
        if member.controller is None:
            rules = self._options.rules
            member.controller = Controller(
                self._world, rules, self._log, actor=member.name, fence=member.lease
            )
            self._invariants.restarted(member.controller.state)
        return member.controller

    def _stays_down(self) -> bool:
        return not self.is_calm and self._draw.happens(self._options.faults.down)

    # ---- who leads --------------------------------------------------------------

    def _leader(self) -> str:
        """Return who holds the lease, as whoever keeps it says."""
        lease = self._log.leases.read(_LEASE)
        return lease.holder if lease is not None and not lease.released else "nobody"

    def _stand(self, member: _Member) -> bool:
        """Give a sign of life; tell whether this one leads."""
        if member.leadership is None:
            member.leadership = Leadership(
                self._log.leases, _LEASE, holder=member.name, clock=self._machine
            )
        before = self._leader()
        standing = member.leadership.look()
        if standing == "lost":
            self._note(f"{member.name} leads no more")
            member.controller = None
        if standing == "leads" and before not in {member.name, "nobody"}:
            self.takeovers += 1
            self._note(f"{member.name} leads now, after {before}")
        return standing == "leads"

    def _pass_day(self) -> None:
        """Let the time since the last tick pass, with all the signs of life that were given."""
        self._machine.elapse(self._options.tick * _DAY_S)
        leader = self._leader()
        for member in sorted(self._members, key=lambda one: one.name != leader):
            if member.is_down and not self._stays_down():
                member.is_down = False
            if not member.is_down:
                self._stand(member)
                if member.name == leader and self._draw.happens(_RESTARTS):
                    self._note(f"{leader} steps down")
                    self._step_down(member)

    @staticmethod
    def _step_down(member: _Member) -> None:
        if member.leadership is not None:
            member.leadership.step_down()
        member.die()

    def _find_leader(self) -> _Member | None:
        """Return who leads now, or will when a dead leader's lease is over; None for nobody."""
        waited = 0.0
        while waited <= _MOST_WAITING_S:
            up = [one for one in self._members if not one.is_down]
            if not up:
                return None
            for member in up:
                if self._stand(member):
                    return member
            self._machine.elapse(_BEAT_S)
            waited += _BEAT_S
        message = "nobody has taken over within three lease times"
        raise BrokenInvariantError(message)

    def _stop(self, stopped: _Member, others: list[_Member]) -> None:
        """Stop a leader between two effects, as SIGSTOP does; what it does then comes too late."""
        self._note(f"{stopped.name} is stopped")
        for _ in range(self._draw.whole(1, _LONGEST_STOP)):
            self._machine.elapse(_BEAT_S)
            for other in others:
                if not other.is_down and self._stand(other):
                    self._look(other)
        self._note(f"{stopped.name} goes on")
