"""A project at work in simulated time: the days of `bucle simulate`, one after the other.

The loop is the live one: its controller, jobs and server, on a log and tables of their own. Only
the clock is another, and who asks. Imports polars.
"""

import io
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bucle.charter.intervals import seconds_in
from bucle.clock import SharedClock
from bucle.errors import RequestError
from bucle.loop.arrivals import Arrivals
from bucle.loop.control import Controller
from bucle.loop.live.deeds import ACTOR
from bucle.loop.live.inline import InlineJobs
from bucle.loop.live.rules import live_policy
from bucle.loop.live.world import LiveWorld, Pace
from bucle.loop.registry import open_champion
from bucle.loop.serving.following import Follower, Wish
from bucle.loop.simulation.asking import Asker
from bucle.loop.simulation.desk import Desk
from bucle.loop.simulation.hosting import Host
from bucle.loop.simulation.mishaps import BOOKS_STILL, KILL, Mishap, Trap
from bucle.loop.simulation.outside import Outside
from bucle.loop.simulation.takings import Takings, Till
from bucle.loop.training import run_project
from bucle.loop.workspace import Workspace
from bucle.models.package import Package, open_package
from bucle.store.files import write_whole
from bucle.types import Event

__all__ = ["Scene", "Simulation"]

_MORNING, _EVENING = timedelta(hours=9), timedelta(hours=20)
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_CLOSING = 19
_MOST_LOOKS = 40
_EXPORT_DAYS = 7
_NOTED_DAYS = 7
_FAILED = "bucle-"


class Scene(Struct, frozen=True, kw_only=True):
    """What is simulated: from which day on, for how many, and what goes wrong.

    `books` is the file that the dataset is read from; `exploration` the spread of the chance in
    what is proposed. `traps` go wrong once new champions have come.
    """

    start: datetime
    days: int
    books: Path
    mishaps: tuple[Mishap, ...] = ()
    traps: tuple[Trap, ...] = ()
    exploration: float = 0.0


class Simulation:
    """Plays one project forward, a day at a time.

    Args:
        workspace: The copy that it plays in, opened with the clock.
        clock: The time of every process.
        outside: Where items come from and go to.
        scene: What is simulated.
        tell: Told each event of the log as it comes.
        say: Told what else happens, with the moment.
        pass_day: Told each day that begins, and how many there were before it.
    """

    def __init__(
        self,
        workspace: Workspace,
        clock: SharedClock,
        outside: Outside,
        scene: Scene,
        *,
        tell: Callable[[Event], object],
        say: Callable[[datetime, str], object],
        pass_day: Callable[[datetime, int], object],
    ) -> None:
        self._workspace = workspace
        self._clock = clock
        self._outside = outside
        self._scene = scene
        self._tell = tell
        self._say = say
        self._pass_day = pass_day
        self._mishaps = scene.mishaps
        self._traps = scene.traps
        self._champions = 0
        self._is_questioned = False
        self._position = 0
        self._follower = Follower(workspace)
        self._wish: Wish | None = None
        self._sample: dict[str, Any] = {}

    @property
    def mishaps(self) -> tuple[Mishap, ...]:
        """What went wrong so far, and what is certain to."""
        return self._mishaps

    def play(self, host: Host) -> Takings:
        """Live through all days and return what they brought.

        Args:
            host: The server of the copy.

        Raises:
            RequestError: There is no first champion to begin with (bucle-433).
            OutsideError: The server does not come up (bucle-434).
        """
        workspace, scene = self._workspace, self._scene
        self._write_books(scene.start)
        run_project(workspace)
        self._report()
        first = _require_champion(workspace)
        desk = Desk(host.port, host.token)
        asker = Asker(desk, _names(first, self._outside), wait=self._wait)
        till = Till(self._outside.world, exploration=scene.exploration)
        loop = _Loop(workspace, say=self._note)
        with closing(desk), closing(asker):
            for number in range(scene.days):
                host.check()
                self._pass_day(scene.start + number * _DAY, number)
                self._begin(scene.start + number * _DAY, host, desk, loop)
                self._trade(asker, till)
                desk.settle()
                self._end(number, desk, loop, asker)
        return till.takings(first.estimator, workspace.state().tenures, self._open)

    def _open(self, model: str) -> Any:
        """Return the estimator of a model that was champion."""
        record = self._workspace.state().models[model]
        folder, root = self._workspace.packages, self._workspace.root
        return open_package(folder, model, project=root, digest=record.digest).estimator

    def _begin(self, day: datetime, host: Host, desk: Desk, loop: "_Loop") -> None:
        """Let the day begin, with what goes wrong on it."""
        self._clock.move(day + _MORNING)
        ready = [trap for trap in self._traps if self._champions > trap.champions]
        if ready:
            last = self._scene.start + self._scene.days * _DAY
            sprung = tuple(trap.spring(day, last=last) for trap in ready)
            self._traps = tuple(trap for trap in self._traps if trap not in ready)
            self._mishaps = (*self._mishaps, *sprung)
            self._outside.befall(sprung)
        if self._is_questioned:
            self._mend(day)
        for mishap in self._mishaps:
            if mishap.start == day or mishap.start < day == self._scene.start:
                self._say(day, mishap.told)
                if mishap.kind == KILL:
                    host.kill_worker()
                    # Whoever comes up first must not answer for those who have to.
                    self._follow(desk, loop)
            elif mishap.end == day and mishap.kind != KILL:
                self._say(day, f"over: {mishap.told}")

    def _mend(self, day: datetime) -> None:
        """Let people find what is hidden: the loop went back, and somebody has asked why."""
        self._is_questioned, self._traps = False, ()
        self._mishaps = tuple(
            msgspec.structs.replace(one, end=day) if one.hidden and one.covers(day) else one
            for one in self._mishaps
        )
        self._outside.mend(self._mishaps)

    def _wait(self) -> None:
        """Let a minute pass, unless the evening is near."""
        moment = self._clock.now() + _MINUTE
        if moment.hour < _CLOSING:
            self._clock.move(moment)

    def _trade(self, asker: Asker, till: Till) -> None:
        """Let items come, be priced and go on the shelf."""
        now = self._clock.now()
        came = self._outside.arrivals(now - _MORNING)
        if not came.height:
            return
        proposed = self._outside.world.propose(came, asker, self._scene.exploration, now)
        self._sample = asker.as_rows(proposed.head(1))[0]
        self._outside.live(proposed, asker.settle_on(proposed))
        till.take(came, proposed, now)

    def _end(self, number: int, desk: Desk, loop: "_Loop", asker: Asker) -> None:
        """Tell what became known, bring the books up to date, and let the loop look.

        Meanwhile the server says what it would ask for the items of the next day: on most evenings
        nothing happens that would let another model answer.
        """
        now = self._scene.start + number * _DAY + _EVENING
        self._clock.move(now)
        desk.tell(self._outside.told(now))
        tomorrow = self._outside.arrivals(self._scene.start + (number + 1) * _DAY)
        if self._wish is not None and tomorrow.height and number + 1 < self._scene.days:
            asker.ask_ahead(tomorrow)
        if number % _EXPORT_DAYS == 0:
            self._write_books(now)
        loop.look(now, is_noted=number % _NOTED_DAYS == 0)
        self._report()
        wish = self._follower.wish()
        is_other = wish is not None and wish != self._wish and bool(self._sample)
        asker.wait_ahead(is_kept=not is_other)
        if wish is not None and is_other:
            self._wish = wish
            self._follow(desk, loop)

    def _follow(self, desk: Desk, loop: "_Loop") -> None:
        """Wait until the server lets those answer who have to."""
        key = self._outside.settings.key
        keys = (key,) if isinstance(key, str) else key
        if self._wish is None:
            return
        if not desk.follow(self._wish, self._sample, keys=keys, is_tried=loop.tries):
            self._note("the server does not follow the log")

    def _write_books(self, now: datetime) -> None:
        if self._outside.goes_on(BOOKS_STILL, now):
            return
        content = io.BytesIO()
        books = self._outside.books(now)
        if self._scene.books.suffix == ".parquet":
            books.write_parquet(content)
        else:
            books.write_csv(content)
        write_whole(self._scene.books, content.getvalue())

    def _report(self) -> None:
        """Tell what has come to the log."""
        for event in self._workspace.log.read(after=self._position):
            self._position = event.position
            self._champions += event.kind == "promoted"
            self._is_questioned |= event.kind == "rolled_back"
            self._tell(event)

    def _note(self, words: str) -> None:
        self._say(self._clock.now(), words)


class _Loop:
    """The controller of a live project, whose jobs are done where they are asked for."""

    def __init__(self, workspace: Workspace, *, say: Callable[[str], None]) -> None:
        policy = live_policy(workspace.charter)
        every_s = seconds_in(workspace.charter.watch.every)
        self._jobs = InlineJobs(workspace, is_held=True)
        world = LiveWorld(
            workspace,
            policy,
            self._jobs,
            arrivals=Arrivals(workspace, quiet_s=0.0),
            # A former champion is looked at with all the rest: labels come no sooner for it.
            pace=Pace(watch_s=every_s, former_s=every_s, arrivals_s=0.0),
            say=self._heed,
        )
        self._say = say
        self._controller = Controller(world, policy, workspace.log, actor=ACTOR)

    @property
    def tries(self) -> bool:
        """Whether a candidate is on its way."""
        deployed = self._controller.state.deployment
        return deployed is not None and not deployed.is_former

    def _heed(self, words: str) -> None:
        """Tell what failed; what succeeded is told by the log."""
        if _FAILED in words:
            self._say(words)

    def look(self, now: datetime, *, is_noted: bool) -> None:
        """Look, decide and act until nothing is left to do at this moment."""
        for number in range(_MOST_LOOKS):
            look = self._controller.look(now, is_noted=is_noted and not number)
            # Between two looks, as if another process did it: a look sees one state of the log.
            worked = self._jobs.work()
            if number and not (look.did or look.under_way or worked):
                return


def _require_champion(workspace: Workspace) -> Package:
    package = open_champion(workspace, workspace.state())
    if package is None:
        raise RequestError(
            "Cannot simulate: the first model is not good enough to begin with",
            cause="the gate did not let it pass on what the world knows at the start",
            attempt="--from with a later day",
            code="bucle-433",
        )
    return package


def _names(package: Package, outside: Outside) -> list[str]:
    """Return the columns that the model takes, and the key."""
    key = outside.settings.key
    features = [column.name for column in package.signature.features]
    return [*features, *((key,) if isinstance(key, str) else key)]
