"""One worker: a process that answers requests, and swaps its model when the log says so.

`python -m bucle.loop.serving.worker` is started by the supervisor and by nobody else.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import warnings
from functools import partial
from pathlib import Path

import msgspec
import uvicorn

from bucle.clock import SharedClock
from bucle.errors import BucleError, PackageError
from bucle.loop.orders import RetrainAsked
from bucle.loop.serving.caution import Caution, caution_path
from bucle.loop.serving.following import Follower, Wish
from bucle.loop.serving.loading import load_model
from bucle.loop.serving.routes import make_routes, nobody_yet
from bucle.loop.serving.voice import tell
from bucle.loop.serving.warming import Warming
from bucle.loop.serving.worker_settings import WorkerSettings
from bucle.loop.workspace import Workspace, open_workspace
from bucle.serve.app import App, Limits, Quick
from bucle.serve.connection import allow_connections, close_slow, take_refused
from bucle.serve.counts import Counts, share
from bucle.serve.guard import Guard
from bucle.serve.journal import Journal
from bucle.serve.pairing import Pairing
from bucle.serve.predictions import Predictor
from bucle.serve.quick import QuickConnection
from bucle.serve.slots import Served, Slots, line_up

__all__ = ["Worker", "main"]

_LOOK_S = 0.2
_SOON_S = 0.03
_SWEEP_S = 1.0
_REQUEST_S = 30.0
_DRAIN_S = 30
_COLLECT_AFTER = 50_000
"""Objects made and kept before cycles among them are looked for: a request leaves none behind."""
_IDLE_S = 60
_PAIRING_S = 5.0


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
        self._wish: Wish | None = None
        self._shunned: set[str] = set()
        self._serving: tuple[str, str | None, float] | None = None
        self._warming = Warming(partial(load_model, workspace), self._refused)
        self._folder = workspace.home / "serve"
        # In simulated time whole days wait for whoever has to answer from now on.
        self._look_s = _SOON_S if isinstance(workspace.clock, SharedClock) else _LOOK_S
        self._caution = Caution(caution_path(self._folder, settings.number))
        self.counts = Counts()

    async def run(self) -> None:
        """Answer until the supervisor goes or says so; what is under way is finished."""
        settings = self._settings
        journal = Journal(self._folder / "log", name=f"worker_{settings.number}")
        pairing = Pairing(journal, self.counts)
        predictor = Predictor(self._require_slots, journal, self.counts, pairing)
        routes = make_routes(
            predictor,
            self._require_slots,
            self.counts,
            journal,
            folder=self._folder,
            worker=(settings.server, settings.number),
            name=self._workspace.charter.project.name,
            ask=self._ask,
        )
        app = App(
            routes,
            Guard(settings.token, settings.hosts),
            self.counts,
            Limits(body_bytes=settings.body_bytes),
            quick=Quick(handlers={b"/predict": predictor.predict_now}, keep=predictor.keep),
            complain=self._say,
        )
        server = _server(app)
        await self._warming.settle(self._finds_somebody)
        tasks = [
            asyncio.create_task(self._follow()),
            asyncio.create_task(pairing.run()),
            asyncio.create_task(self._sweep(server)),
            asyncio.create_task(_watch(settings.lifeline, server)),
        ]
        listener = socket.socket(fileno=settings.listener)
        self._share()
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
            await pairing.finish(seconds=_PAIRING_S)
            self._warming.close()
            self._caution.survived()
            journal.close()

    def _ask(self, because: str) -> int:
        """Put a request for a retrain on record."""
        (event,) = self._workspace.record(RetrainAsked(because=because))
        return event.position

    def _require_slots(self) -> Slots:
        if self._slots is None:
            raise nobody_yet()
        return self._slots

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            self._look()

    def _look(self) -> None:
        """Let those answer who have to and can; one that cannot be used changes nothing."""
        try:
            wish = self._follower.wish()
            if wish is not None:
                self._heed(wish)
        except Exception as error:  # noqa: BLE001  (to follow the log matters more than any model)
            self.counts.noted("look failed")
            self._say(f"cannot follow the log: {type(error).__name__}: {error}")

    def _finds_somebody(self) -> bool:
        self._look()
        return self._slots is not None

    def _heed(self, wish: Wish) -> None:
        if wish != self._wish:
            # Asked for once more after something else, a model is tried once more.
            self._warming.give_another_chance()
            self._wish = wish
        champion = self._warming.take(wish.champion)
        if champion is None:
            return
        challenger = self._challenger(wish)
        found = (champion.model, challenger.model if challenger else None, wish.share)
        if found != self._serving:
            self._serving = found
            self._swap(champion, challenger, wish)
        elif wish.earlier:
            # Loaded before anybody asks, so that a rollback has nothing to wait for.
            self._warming.take(wish.earlier)

    def _challenger(self, wish: Wish) -> Served | None:
        if wish.challenger is None:
            return None
        served = self._warming.take(wish.challenger)
        if served is None or self._caution.dares(served.model):
            return served
        if served.model not in self._shunned:
            self._shunned.add(served.model)
            self.counts.predicted(served.model, "shunned", 0)
            self._refused("challenger refused", f"workers died with {served.model}: left out")
        return None

    def _swap(self, champion: Served, challenger: Served | None, wish: Wish) -> None:
        """Let others answer from the next request on; requests under way keep theirs."""
        places = None
        if challenger is not None:
            try:
                places = line_up(champion.package.signature, challenger.package.signature)
            except PackageError as error:
                challenger = None
                self._refused("challenger refused", error.render())
        if self._slots is None or self._slots.champion is not champion:
            self.counts.noted("swap")
        self._slots = Slots(
            champion=champion, challenger=challenger, share=wish.share, places=places
        )
        beside = [(challenger.model, "challenger")] if challenger is not None else []
        self.counts.let_in((champion.model, "champion"), *beside)
        self._warming.keep([served.model for served in self._slots.all])

    def _refused(self, event: str, why: str) -> None:
        self.counts.noted(event)
        self._say(why)

    async def _sweep(self, server: uvicorn.Server) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._caution.look()
            closed = close_slow(server.server_state.connections, seconds=_REQUEST_S)
            if closed:
                self.counts.noted("slow connection closed", closed)
            refused = take_refused()
            if refused:
                self.counts.noted("refused unread", refused)
            self._share()

    def _share(self) -> None:
        with contextlib.suppress(BucleError):
            share(
                self.counts,
                self._folder,
                server=self._settings.server,
                worker=self._settings.number,
            )

    def _say(self, words: str) -> None:
        tell(f"worker {self._settings.number}", words)


def main() -> int:
    """Read the settings from standard input and serve."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerSettings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a model finds odd about a row could be said as often as somebody sends one.
    warnings.simplefilter("ignore")
    gc.set_threshold(_COLLECT_AFTER)
    workspace = open_workspace(Path(settings.root), loaded=settings.loaded)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(Worker(workspace, settings).run())
    return 0


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415  (not there on every system)

    return uvloop.new_event_loop()


def _server(app: App) -> uvicorn.Server:
    allow_connections()
    config = uvicorn.Config(
        app,
        http=QuickConnection,
        ws="none",
        loop="none",
        lifespan="off",
        # Nobody before this server is believed about who asks.
        proxy_headers=False,
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
