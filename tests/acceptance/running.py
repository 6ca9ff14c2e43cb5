"""A server on a thread of the test, over real sockets, for an app of the test's own."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import uvicorn
import uvloop

from bucle.serve.app import App
from bucle.serve.connection import BoundedConnection, close_slow

__all__ = ["PATIENCE_S", "Running", "await_so", "statuses", "until_closed"]

PATIENCE_S = 30.0


class Running:
    """Runs an app; connections that are slow for `slow_s` are closed, and counted in `closed`."""

    def __init__(
        self, app: App, *, slow_s: float = PATIENCE_S, http: type[Any] = BoundedConnection
    ) -> None:
        self.closed = 0
        self._slow_s = slow_s
        config = uvicorn.Config(
            app,
            http=http,
            ws="none",
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        await_so(lambda: self.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self._listener.close()

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def ask(self, content: bytes) -> bytes:
        """Send bytes, and return all that comes back until the server closes."""
        with self.connect() as one:
            one.sendall(content)
            return until_closed(one)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        sweeping = asyncio.create_task(self._sweep())
        await self.server.serve(sockets=[self._listener])
        sweeping.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.closed += close_slow(self.server.server_state.connections, seconds=self._slow_s)


def until_closed(one: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    found = []
    with suppress(ConnectionResetError):
        while piece := one.recv(65_536):
            found.append(piece)
    return b"".join(found)


def statuses(answer: bytes) -> list[int]:
    """Return the status of each answer."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def await_so(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.005)
