"""A simulation from beginning to end: a copy of the project, its clock, its world, its days.

Imports polars.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from msgspec import Struct

from bucle.charter.settings import Charter
from bucle.clock import CLOCK_VARIABLE, SharedClock, from_iso
from bucle.errors import RequestError
from bucle.ids import canonical_json
from bucle.loop.live.deeds import ACTOR
from bucle.loop.replay.living import LivingWorld, open_world
from bucle.loop.simulation.grounds import choose_folder, copy_project, make_clock
from bucle.loop.simulation.hosting import Host
from bucle.loop.simulation.mishaps import MISHAPS, Mishap, parse_mishap, usual_mishaps, usual_traps
from bucle.loop.simulation.outside import Outside, misprints_of, open_outside, shocks_of
from bucle.loop.simulation.simulation import Scene, Simulation
from bucle.loop.simulation.takings import Takings
from bucle.loop.simulation.warm import WarmWorkers
from bucle.loop.workspace import Workspace, open_workspace
from bucle.types import Event

__all__ = ["Simulated", "SimulationRequest", "simulate_project"]

_DAY = timedelta(days=1)
_LEAST_PAST = 26 * 7 * _DAY
_TOLD = ("alarm_raised", "deployed", "promoted", "rolled_back", "verdict_given", "withdrawn")
_FORMATS = (".csv", ".parquet")


class SimulationRequest(Struct, frozen=True, kw_only=True):
    """What is to be simulated.

    `start` is a date in ISO 8601; without one the simulation ends with what the world knows.
    Without `faults` what usually goes wrong does, without `keep` the project holds the result. A
    `seed` draws another world, where the world can.
    """

    days: int
    start: str | None = None
    seed: int | None = None
    faults: tuple[str, ...] = ()
    is_calm: bool = False
    keep: str | None = None


class Simulated(Struct, frozen=True, kw_only=True):
    """What a simulation came to.

    `events` counts what happened by the kind of event. `decisions` is a digest of what was decided
    and when: the same for the same project, seed and request.
    """

    folder: str
    start: str
    days: int
    mishaps: tuple[Mishap, ...]
    events: dict[str, int]
    retrains: int
    takings: Takings
    currency: str
    decisions: str


def simulate_project(
    workspace: Workspace,
    request: SimulationRequest,
    *,
    tell: Callable[[Event], object] = lambda _: None,
    say: Callable[[datetime, str], object] = lambda *_: None,
    pass_day: Callable[[datetime, int], object] = lambda *_: None,
) -> Simulated:
    """Play a project forward in its own world, in a copy of it; the project itself is only read.

    Args:
        workspace: The project.
        request: What is asked for.
        tell: Told each event of the copy's log as it comes.
        say: Told what else happens, with the moment of it.
        pass_day: Told each day that begins, and how many there were before it.

    Raises:
        RequestError: The project has no world (bucle-430), or the request does not fit it.
        OutsideError: The server of the copy does not come up (bucle-434), or the disk failed.
    """
    reference = _require_world(workspace.charter)
    folder = choose_folder(workspace, request.keep)
    copy_project(workspace, folder)
    clock_file = make_clock(folder, from_iso("2000-01-01"))
    with _simulated_time(clock_file), closing(WarmWorkers()) as workers:
        copy = open_workspace(folder, overrides=workspace.overrides, actor=ACTOR, executor=workers)
        clock = cast("SharedClock", copy.clock)
        # The server comes up while this process reads the world and trains the first model.
        with Host(copy, say=lambda words: say(clock.now(), words)) as host:
            world = _open_world(folder, reference, seed=request.seed)
            scene, outside = _set_scene(copy, world, request)
            clock.move(scene.start)
            simulation = Simulation(
                copy, clock, outside, scene, tell=tell, say=say, pass_day=pass_day
            )
            takings = simulation.play(host)
        events = list(copy.log.read())
    return Simulated(
        folder=str(folder),
        start=scene.start.date().isoformat(),
        days=scene.days,
        mishaps=simulation.mishaps,
        events=dict(Counter(event.kind for event in events)),
        retrains=sum(1 for event in events if event.kind == "run_started") - 1,
        takings=takings,
        currency=copy.charter.charter.money.currency,
        decisions=_digest(events),
    )


def _require_world(charter: Charter) -> str:
    if charter.replay.world:
        return charter.replay.world
    raise RequestError(
        "Cannot simulate: this project has no world that answers",
        cause="recorded history never answers to a price that nobody asked",
        attempt="bucle new shop --template consignment has one; or name a class of yours as "
        "`world` in [replay]",
        code="bucle-430",
    )


def _open_world(folder: Path, reference: str, *, seed: int | None) -> LivingWorld:
    """Open a world; with a seed it is drawn anew first, in the copy."""
    world = open_world(folder, reference)
    if seed is None:
        return world
    draw = getattr(world, "draw", None)
    if not callable(draw):
        raise RequestError(
            f"Cannot draw the world {reference!r} anew with the seed {seed}",
            cause="it has no method draw(seed): it is the only one of its kind",
            attempt="leave --seed out",
            code="bucle-433",
        )
    draw(seed)
    return open_world(folder, reference)


def _set_scene(
    copy: Workspace, world: LivingWorld, request: SimulationRequest
) -> tuple[Scene, Outside]:
    charter = copy.charter
    name, books = _find_books(copy)
    target = charter.pipeline.target or ""
    outside = open_outside(world, charter.data[name], target=target)
    first, last = outside.span
    start = from_iso(request.start) if request.start else last - request.days * _DAY
    if request.days < 1 or start < first + _LEAST_PAST or start + request.days * _DAY > last:
        earliest = (first + _LEAST_PAST).date()
        raise RequestError(
            f"Cannot simulate {request.days} days from {start.date()}",
            cause=f"the world has items until {last.date()}, and a first model needs half a year "
            f"of them: from {earliest} on",
            attempt=f"bucle simulate --from {earliest} --days {(last - first - _LEAST_PAST).days}",
            code="bucle-431",
        )
    mishaps = _mishaps(request, start, world)
    outside.begin(start, mishaps)
    is_usual = not request.is_calm and not request.faults
    scene = Scene(
        start=start,
        days=request.days,
        books=books,
        mishaps=mishaps,
        traps=usual_traps(misprints_of(world)) if is_usual else (),
        exploration=max(charter.replay.explore, default=0.0),
    )
    return scene, outside


def _mishaps(request: SimulationRequest, start: datetime, world: LivingWorld) -> tuple[Mishap, ...]:
    if request.is_calm:
        return ()
    if not request.faults:
        return usual_mishaps(start, request.days, shocks=shocks_of(world))
    known = {**MISHAPS, **shocks_of(world), **misprints_of(world)}
    return tuple(parse_mishap(text, start=start, known=known) for text in request.faults)


def _find_books(copy: Workspace) -> tuple[str, Path]:
    """Return the dataset that the world fills, and the one file that it is read from."""
    found = [name for name, one in copy.charter.data.items() if one.event_time and one.label_time]
    source = copy.charter.data[found[0]].source if len(found) == 1 else ()
    named = source if isinstance(source, str) else (source[0] if len(source) == 1 else "")
    path = copy.root / named
    if not named or path.suffix not in _FORMATS:
        raise RequestError(
            "Cannot simulate: there is no one file that the world could write its books to",
            cause="one dataset must have event_time, label_time, and one CSV or Parquet file",
            code="bucle-433",
        )
    return found[0], path


@contextmanager
def _simulated_time(clock_file: Path) -> Iterator[None]:
    """Let this process, and all that it starts, read the time from a file."""
    before = os.environ.get(CLOCK_VARIABLE)
    os.environ[CLOCK_VARIABLE] = str(clock_file)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CLOCK_VARIABLE]
        else:
            os.environ[CLOCK_VARIABLE] = before


def _digest(events: Sequence[Event]) -> str:
    """Return a digest of what was decided: when, what, and on which model."""
    told = [
        [event.at, event.kind, event.body.get("model", ""), event.body.get("outcome", "")]
        for event in events
        if event.kind in _TOLD
    ]
    return hashlib.sha256(canonical_json(told)).hexdigest()[:16]
