"""However two holders' acts interleave, the log has one leader's events at a time."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bucle.clock import FixedClock
from bucle.errors import FencedError
from bucle.loop.leadership import Leadership
from bucle.store.memory_log import MemoryLog
from bucle.testing.samples import draft

LEASE_S = 10.0
HOLDERS = ("a", "b")

# Who acts, and how: looks, looks and then appends under the lease it had before it was paused,
# steps down, is killed and comes back as another process; or time goes by.
ACTS = ["look", "look", "append", "append late", "append late", "step down", "restart"]
acts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(ACTS), st.sampled_from(HOLDERS)),
        st.tuples(st.just("look"), st.sampled_from(HOLDERS)),
        st.tuples(st.just("wait"), st.sampled_from([4.0, 10.0, 35.0])),
        st.tuples(st.just("wall clock"), st.sampled_from([-86400.0, -1.0])),
    ),
    min_size=30,
    max_size=60,
)


class World:
    """Processes on one log, and which token wrote which event."""

    def __init__(self) -> None:
        self.clock = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))
        self.log = MemoryLog()
        self.processes = {name: self.start(name) for name in HOLDERS}
        self.old_leases = {}
        self.tokens = []
        self.written = []

    def start(self, name):
        return Leadership(self.log.leases, "loop", holder=name, clock=self.clock, lease_s=LEASE_S)

    def act(self, act, value):
        if act in {"wait", "wall clock"}:
            self.clock.advance(value)
            return
        process = self.processes[value]
        if process.lease is not None and act != "append late":
            self.old_leases[value] = process.lease
        match act:
            case "look":
                process.look()
            case "append" if process.lease is not None:
                self.append(process.lease)
            case "append late" if value in self.old_leases:
                self.append(self.old_leases[value])
            case "step down":
                process.step_down()
            case "restart":
                self.processes[value] = self.start(value)
        if process.lease is not None and process.lease.token not in self.tokens:
            self.tokens.append(process.lease.token)

    def append(self, lease):
        standing = self.log.leases.read("loop")
        try:
            self.log.append([draft(lease.token)], fence=lease)
        except FencedError:
            assert standing.token > lease.token or standing.released
        else:
            assert standing.token == lease.token
            assert not standing.released
            self.written.append(lease.token)


@given(acts)
def test_no_two_holders_ever_write_by_turns(plan) -> None:
    world = World()
    for act, value in plan:
        world.act(act, value)
    # Each token was given once, in order; once a higher one has written, no lower one does.
    assert world.tokens == sorted(world.tokens)
    assert world.written == sorted(world.written)
    assert [event.body["number"] for event in world.log.read()] == world.written


@given(acts)
def test_whatever_happened_one_process_that_looks_leads_in_the_end(plan) -> None:
    world = World()
    for act, value in plan:
        world.act(act, value)
    survivor = world.start("d")
    for _ in range(3):
        survivor.look()
        world.clock.advance(LEASE_S)
    assert survivor.look() == "leads"
    world.append(survivor.lease)
    standing = [process.look() for process in world.processes.values()]
    assert set(standing) <= {"stands by", "lost"}
