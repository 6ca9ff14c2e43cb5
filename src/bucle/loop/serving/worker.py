"""One worker: a process that answers requests, and swaps its model when the log says so.

`python -m bucle.loop.serving.worker` is started by the supervisor and by nobody else.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvicorn

from bucle.errors import BucleError, OutsideError
from bucle.loop.serving.following import Follower, Wanted
from bucle.loop.serving.loading import load_model
from bucle.loop.serving.routes import make_routes, nobody_yet
from bucle.loop.serving.worker_settings import WorkerSettings
from bucle.loop.workspace import Workspace, open_workspace
from bucle.serve.app import App, Limits
from bucle.serve.connection import BoundedConnection, close_slow
from bucle.serve.counts import Counts, share
from bucle.serve.guard import Guard
from bucle.serve.journal import Journal
from bucle.serve.predictions import Predictor
from bucle.serve.slots import Served, Slots

__all__ = ["Worker", "main"]

_LOOK_S = 0.2
_SWEEP_S = 1.0
_REQUEST_S = 30.0
_DRAIN_S = 30
_IDLE_S = 60
_KEPT_WARM = 3


class Worker:
    """Serves one project from one process.

    Args:
        workspace: The project.
        settings: As the supervisor gave them.
    """

    def __init__(self, workspace: Workspace, settings: WorkerSettings) -> None:
        self._workspace = workspace
        self._settings = settings
        self._follower = Follower(workspace)
        self._slots: Slots | None = None
        self._warm: dict[str, Served] = {}
        self._refused: Wanted | None = None
        self._folder = workspace.home / "serve"
        self.counts = Counts()

    async def run(self) -> None:
        """Answer until the supervisor goes or says so; what is under way is finished."""
        settings = self._settings
        journal = Journal(self._folder / "log", name=f"worker_{settings.number}")
        predictor = Predictor(self._require_slots, journal, self.counts)
        routes = make_routes(
            predictor,
            self._require_slots,
            self.counts,
            journal,
            folder=self._folder,
            worker=settings.number,
        )
        app = App(
            routes,
            Guard(settings.token, settings.hosts),
            self.counts,
            Limits(body_bytes=settings.body_bytes),
        )
        server = _server(app)
        await self._look()
        tasks = [
            asyncio.create_task(self._follow()),
            asyncio.create_task(self._sweep(server)),
            asyncio.create_task(_watch(settings.lifeline, server)),
        ]
        listener = socket.socket(fileno=settings.listener)
        # After a restart nobody waits for this word any more.
        with contextlib.suppress(BrokenPipeError):
            os.write(settings.ready, b"+")
        os.close(settings.ready)
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for served in self._warm.values():
                served.engine.close()
            journal.close()

    def _require_slots(self) -> Slots:
        if self._slots is None:
            raise nobody_yet()
        return self._slots

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._look()

    async def _look(self) -> None:
        """Take over the model that the log wants; one that cannot be used changes nothing."""
        try:
            wanted = self._follower.wanted()
            if wanted is None or wanted == self._refused:
                return
            # Promoted once more after something else, it is tried once more.
            self._refused = None
            if self._slots is not None and self._slots.champion.model == wanted.model:
                return
            served = self._warm.get(wanted.model)
            if served is None:
                served = await self._load(wanted)
        except Exception as error:  # noqa: BLE001  (to follow the log matters more than any model)
            self.counts.noted("look failed")
            self._say(f"cannot follow the log: {type(error).__name__}: {error}")
            return
        if served is not None:
            self._swap(served)

    async def _load(self, wanted: Wanted) -> Served | None:
        """Return a model ready to answer; None, and the reason told, where it is refused."""
        try:
            return await asyncio.to_thread(load_model, self._workspace, wanted)
        except OutsideError as error:
            # A disk or a busy trial may do better the next time.
            self._say(error.render())
        except BucleError as error:
            self._refused = wanted
            self.counts.noted("package refused")
            self._say(error.render())
        return None

    def _swap(self, served: Served) -> None:
        """Let another model answer from the next request on; requests under way keep theirs."""
        self._warm.pop(served.model, None)
        self._warm[served.model] = served
        self._slots = Slots(champion=served)
        self._refused = None
        self.counts.noted("swap")
        while len(self._warm) > _KEPT_WARM:
            oldest = next(iter(self._warm))
            self._warm.pop(oldest).engine.close()

    async def _sweep(self, server: uvicorn.Server) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            closed = close_slow(server.server_state.connections, seconds=_REQUEST_S)
            if closed:
                self.counts.noted("slow connection closed", closed)
            with contextlib.suppress(BucleError):
                share(self.counts, self._folder, worker=self._settings.number)

    def _say(self, words: str) -> None:
        sys.stderr.write(f"worker {self._settings.number}: {words}\n")
        sys.stderr.flush()


def main() -> int:
    """Read the settings from standard input and serve."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerSettings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workspace = open_workspace(Path(settings.root), overrides=settings.overrides)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(Worker(workspace, settings).run())
    return 0


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415  (not there on every system)

    return uvloop.new_event_loop()


def _server(app: App) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        loop="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    return uvicorn.Server(config)


async def _watch(lifeline: int, server: uvicorn.Server) -> None:
    """End when the supervisor has gone: nobody else would ever end this process."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(lifeline, gone.set)
    await gone.wait()
    loop.remove_reader(lifeline)
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
