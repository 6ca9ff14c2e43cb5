"""The process that controls a project: it leads, or stands by until it may.

`python -m bucle.loop.live.controlling` is started by the supervisor; it may be killed anywhere.
"""

import os
import platform
import signal
import sys
import threading
from pathlib import Path

import msgspec

from bucle.charter.intervals import seconds_in
from bucle.clock import SystemClock
from bucle.errors import BucleError, LeaseTakenError, NotDurableError, StalePositionError
from bucle.loop.alarms.delivery import AlarmDelivery, start_delivery
from bucle.loop.arrivals import Arrivals, parse_watched
from bucle.loop.control import Controller
from bucle.loop.leadership import Leadership, Standing
from bucle.loop.live.deeds import ACTOR
from bucle.loop.live.jobs import ProcessJobs
from bucle.loop.live.rounds import Rounds
from bucle.loop.live.rules import live_policy
from bucle.loop.live.world import LiveWorld, Pace
from bucle.loop.serving.companions import CompanionSettings
from bucle.loop.serving.lifeline import stop_with
from bucle.loop.serving.voice import tell
from bucle.loop.workspace import Workspace, open_workspace
from bucle.store.sqlite_leases import SqliteLeases

__all__ = ["LEASE", "main"]

LEASE = "loop"
_TICK_S = 0.5
_NOTED_S = 3600.0
_OUTSIDE_FAILED = 3


class _Controlling:
    """One process's part in the loop: it leads while it holds the lease, and else looks on."""

    def __init__(self, workspace: Workspace, settings: CompanionSettings) -> None:
        self._workspace = workspace
        self._settings = settings
        self._leadership = Leadership(
            SqliteLeases(workspace.home / "log.db"),
            LEASE,
            holder=f"{platform.node()}:{os.getpid()}",
            clock=SystemClock(),
        )
        self._policy = live_policy(workspace.charter)
        self._rounds = Rounds(workspace.clock)
        self._jobs = ProcessJobs()
        self._controller: Controller | None = None
        self._delivery: AlarmDelivery | None = None
        self._standing = ""
        self._said = ""

    def tick(self) -> None:
        """Give a sign of life, and look at the project where this process leads."""
        standing = self._leadership.look()
        if standing != self._standing:
            self._standing = standing
            self._say(self._describe(standing))
        if standing != "leads":
            self._resign()
            return
        if self._controller is None:
            self._controller = self._begin()
            self._delivery = start_delivery(self._workspace, say=self._say)
        try:
            is_noted = self._rounds.is_due("noted", _NOTED_S)
            self._controller.look(self._workspace.clock.now(), is_noted=is_noted)
        except StalePositionError:
            return  # somebody wrote meanwhile: the next look begins with what they wrote
        except LeaseTakenError:
            self._resign()
            return
        self._said = ""

    def close(self) -> None:
        """End jobs, and let another lead: at once, or where that cannot be kept, in ten seconds."""
        self._resign()
        try:
            self._leadership.step_down()
        except BucleError as error:
            self.complain(error)

    def complain(self, error: BucleError) -> None:
        """Say what went wrong, once as long as it is the same."""
        words = error.render()
        if words != self._said:
            self._said = words
            self._say(words)

    def _begin(self) -> Controller:
        workspace, watch = self._workspace, self._workspace.charter.watch
        datasets = workspace.charter.data
        watched = [parse_watched(one, datasets=datasets) for one in self._settings.watched]
        world = LiveWorld(
            workspace,
            self._policy,
            self._jobs,
            arrivals=Arrivals(workspace, watched),
            lease=lambda: self._leadership.lease,
            pace=Pace(watch_s=seconds_in(watch.every)),
            say=self._say,
        )
        return Controller(
            world,
            self._policy,
            workspace.log,
            actor=ACTOR,
            fence=lambda: self._leadership.lease,
        )

    def _describe(self, standing: Standing) -> str:
        if standing == "stands by":
            return f"standing by: {self._leadership.leader} leads"
        return "leading" if standing == "leads" else "another process leads now"

    def _resign(self) -> None:
        if self._delivery is not None:
            self._delivery.stop()
            self._delivery = None
        if self._controller is not None:
            self._jobs.close()
            self._controller = None

    @staticmethod
    def _say(words: str) -> None:
        tell("loop", words)


def main() -> int:
    """Control the project until the supervisor goes or says so."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=CompanionSettings)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_with(settings.lifeline, stopping)
    workspace = open_workspace(Path(settings.root), loaded=settings.loaded, actor=ACTOR)
    controlling = _Controlling(workspace, settings)
    try:
        while not stopping.is_set():
            try:
                controlling.tick()
            except NotDurableError as error:
                # What this process knows of the log may not be so: another one reads it anew.
                controlling.complain(error)
                return _OUTSIDE_FAILED
            except BucleError as error:
                controlling.complain(error)
            stopping.wait(_TICK_S)
    finally:
        controlling.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
