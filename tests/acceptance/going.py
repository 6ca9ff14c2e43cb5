"""A live loop in this process, over a real project: its world, its jobs, and time that tests move.

What stands in for processes does each job at once, with the project opened anew, as theirs does.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bucle.clock import CLOCK_VARIABLE, SharedClock
from bucle.errors import StalePositionError
from bucle.loop.arrivals import Arrivals, parse_watched
from bucle.loop.control import Controller
from bucle.loop.live.deeds import ACTOR
from bucle.loop.live.inline import InlineJobs
from bucle.loop.live.rules import live_policy
from bucle.loop.live.world import LiveWorld, Pace
from bucle.loop.workspace import Workspace, open_workspace
from bucle.types import Event

__all__ = ["BEGAN", "Living"]

BEGAN = datetime(2025, 8, 4, tzinfo=UTC)


class Living:
    """A project whose loop looks when it is told to, at the moment it is told.

    Args:
        folder: The project.
        monkeypatch: For the clock that everything opened later goes by.
        watched: Places to watch, as `--watch-source` takes them.
        settings: What `--set` would say.
    """

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        *settings: str,
        watched: Sequence[str] = (),
    ) -> None:
        file = folder.parent / f"{folder.name}.clock"
        file.write_bytes(bytes(8))
        monkeypatch.setenv(CLOCK_VARIABLE, str(file))
        self.clock = SharedClock(file)
        self.clock.move(BEGAN)
        self.folder, self.settings, self.watched = folder, settings, watched
        self.said: list[str] = []

    def opened(self) -> Workspace:
        """Open the project as it is now, as a person with the same settings would."""
        return open_workspace(self.folder, overrides=self.settings, actor="ana")

    def begin(self) -> "Living":
        """Start a controller, which knows nothing but the log."""
        workspace = open_workspace(self.folder, overrides=self.settings, actor=ACTOR)
        policy, data = live_policy(workspace.charter), workspace.charter.data
        places = [parse_watched(one, datasets=data) for one in self.watched]
        world = LiveWorld(
            workspace,
            policy,
            InlineJobs(),
            arrivals=Arrivals(workspace, places),
            pace=Pace(watch_s=10.0),
            say=self.said.append,
        )
        self.controller = Controller(world, policy, workspace.log, actor=ACTOR)
        return self

    def look(self, *, days: float = 0.0, times: int = 6) -> list[Event]:
        """Let days pass, then look some times, 20 seconds apart; return what came on record."""
        self.clock.move(self.clock.now() + timedelta(days=days))
        before = self.controller.state.position
        for _ in range(times):
            self.clock.move(self.clock.now() + timedelta(seconds=20))
            # A job wrote meanwhile: the next look begins with what it wrote, as in the process.
            with contextlib.suppress(StalePositionError):
                self.controller.look(self.clock.now(), is_noted=False)
        return list(self.opened().log.read(after=before))

    def runs(self, events: Sequence[Event]) -> int:
        """Tell how many runs began."""
        return sum(one.kind == "run_started" for one in events)
