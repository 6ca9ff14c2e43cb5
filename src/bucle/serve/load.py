"""A load on a server of this machine: as many requests under way as there are connections.

Each connection asks again once it has been answered, and opens anew when it is closed; redirects
are answers like any other. The rate is what the server manages, so that latency is that at full
load of so many connections. Imports nothing heavy.
"""

import asyncio
import contextlib
import http.client
import signal
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import httptools
from msgspec import Struct

from bucle.errors import OutsideError, RequestError
from bucle.serve.cpu import Taken, cpu_between
from bucle.serve.loopback import Place
from bucle.serve.measured import Noted
from bucle.serve.records import LOAD_REQUEST

__all__ = ["AskingConnection", "Load", "Progress", "Tally", "ask_once", "measure", "nobody_up"]

_OK = 200
_FIRST_FINAL = 200
_STEP_S = 0.1
_CONNECT_S = 5.0
_PATIENCE_S = 10.0
_SHORT_PATIENCE_S = 1.0
_FIRST_PATIENCE_S = 30.0
_WARM_PART, _MOST_WARM_S = 0.25, 0.5
_SHOWN = 500


class Load(Struct, frozen=True, kw_only=True):
    """What to ask of whom.

    Args:
        place: Where the server listens.
        token: What it wants to be shown.
        bodies: Bodies of requests, sent one after the other and then from the first again.
        connections: How many are open, each with one request under way.
        seconds: How long it is measured, after a moment in which the server warms up.
    """

    place: Place
    token: str
    bodies: tuple[bytes, ...]
    connections: int
    seconds: float


class Progress(Struct, frozen=True):
    """How far a load is: seconds measured, answers so far, answers a second lately."""

    seconds: float
    answers: int
    per_second: float


def ask_once(load: Load) -> str:
    """Ask one request and return the address that answered it with 200.

    Raises:
        OutsideError: Nothing answers there.
        RequestError: The answer is another one.
    """
    failure: Exception | None = None
    for address in load.place.addresses:
        connection = http.client.HTTPConnection(address, load.place.port, timeout=_FIRST_PATIENCE_S)
        try:
            with contextlib.closing(connection):
                connection.request("POST", "/predict", load.bodies[0], _headers(load, address))
                reply = connection.getresponse()
                said = reply.read(_SHOWN)
        except (OSError, http.client.HTTPException) as error:
            failure = error
            continue
        if reply.status == _OK:
            return address
        raise RequestError(
            f"Cannot load this server: it answers {reply.status} to the first request",
            cause=said.decode("utf-8", "replace"),
            attempt="bucle load --row JSON, with a row that the server takes",
            code="bucle-366",
        )
    raise OutsideError(
        f"Cannot load {load.place.at(load.place.addresses[0])}: nothing answers there",
        cause=str(failure or "no address"),
        attempt="bucle serve",
        code="bucle-364",
    ) from failure


def nobody_up() -> RequestError:
    """Return the refusal where a project has no server to ask."""
    return RequestError(
        "Cannot load: no server of this project is up",
        attempt="bucle serve, and bucle load in another terminal",
        code="bucle-364",
    )


def measure(
    load: Load,
    *,
    address: str,
    cpu: Callable[[], dict[int, Taken]] = dict,
    tell: Callable[[Progress], object] = lambda _: None,
) -> Noted:
    """Ask again and again, and return what was noted; Ctrl-C ends it early.

    Args:
        load: What to ask.
        address: The number to connect to, as `ask_once` has returned it.
        cpu: Returns what the server's processes have taken of a processor.
        tell: Told how far it is, ten times a second.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_measure(load, address, cpu, tell))


async def _measure(
    load: Load,
    address: str,
    cpu: Callable[[], dict[int, Taken]],
    tell: Callable[[Progress], object],
) -> Noted:
    stopped = asyncio.Event()
    # Where signals cannot be waited for, Ctrl-C ends everything as it does elsewhere.
    with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    tally = Tally()
    requests = cycle([_request(load, address, body) for body in load.bodies])
    asking = [
        asyncio.ensure_future(_keep_asking(tally, requests, address, load.place.port))
        for _ in range(load.connections)
    ]
    try:
        await _pause(stopped, min(load.seconds * _WARM_PART, _MOST_WARM_S))
        before, own = cpu(), time.process_time()
        tally.begin()
        await _watch(tally, stopped, load.seconds, tell)
        tally.is_over, until = True, time.perf_counter()
        await _finish(asking, stopped)
        own = time.process_time() - own
        spent = cpu_between(before, cpu())
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return Noted(
        seconds=max(until, tally.last) - tally.began,
        taken=tally.taken,
        statuses=tally.statuses,
        errors=tally.errors,
        unanswered=tally.unanswered,
        own_cpu_s=own,
        spent=spent,
        is_stopped=stopped.is_set(),
    )


async def _pause(stopped: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopped.wait()


async def _watch(
    tally: "Tally", stopped: asyncio.Event, seconds: float, tell: Callable[[Progress], object]
) -> None:
    """Tell how far it is until the time is over."""
    seen, at = 0, tally.began
    while not stopped.is_set():
        left = tally.began + seconds - time.perf_counter()
        if left <= 0:
            return
        await _pause(stopped, min(_STEP_S, left))
        now, answers = time.perf_counter(), len(tally.taken)
        tell(Progress(now - tally.began, answers, (answers - seen) / max(now - at, 1e-9)))
        seen, at = answers, now


async def _finish(asking: Sequence[asyncio.Future[None]], stopped: asyncio.Event) -> None:
    """Wait for what is under way, for so long at most."""
    began = time.perf_counter()
    while not all(one.done() for one in asking):
        patience = _SHORT_PATIENCE_S if stopped.is_set() else _PATIENCE_S
        if time.perf_counter() - began > patience:
            return
        await asyncio.wait(asking, timeout=_STEP_S)


async def _keep_asking(tally: "Tally", requests: Iterator[bytes], address: str, port: int) -> None:
    """Ask over one connection after the other until it is over."""
    loop = asyncio.get_running_loop()
    while not tally.is_over:
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, connection = await loop.create_connection(
                    lambda: AskingConnection(tally, requests), address, port
                )
        except (OSError, TimeoutError):
            tally.errors += 1
            await asyncio.sleep(_STEP_S)
            continue
        try:
            is_broken = await connection.ended
        except asyncio.CancelledError:
            connection.give_up()
            raise
        if is_broken:
            # Whatever fails, fails again at once.
            await asyncio.sleep(_STEP_S)


class Tally:
    """What is noted while connections ask; only of requests sent since `begin`."""

    def __init__(self) -> None:
        self.is_over = False
        self.began = self.last = 0.0
        self._forget()

    def _forget(self) -> None:
        self.taken = array("d")
        self.statuses: Counter[int] = Counter()
        self.errors = self.unanswered = 0

    def begin(self) -> None:
        """Forget what was noted while the server warmed up."""
        self._forget()
        self.began = self.last = time.perf_counter()

    def answered(self, status: int, sent: float) -> None:
        """Note an answer that is whole, to a request that was sent then."""
        now = time.perf_counter()
        if not self.began or sent < self.began:
            return
        self.last = now
        self.statuses[status] += 1
        if status == _OK:
            self.taken.append(now - sent)


class AskingConnection(asyncio.Protocol):
    """Asks, waits for the whole answer, and asks again.

    `ended` tells, once it has ended, whether it broke.

    Args:
        tally: Where answers are noted; says when it is over.
        requests: What to send next.
    """

    def __init__(self, tally: Tally, requests: Iterator[bytes]) -> None:
        self._tally = tally
        self._requests = requests
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._sent = 0.0
        self._whole = 0
        self._status, self._stays_open = 0, True
        self._is_broken = False
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask first."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read a piece of an answer; when that is whole, ask again."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break()
            return
        if not self._whole:
            return
        if self._whole > 1 or not self._sent:
            # More answers than questions: whose is which, nobody can tell.
            self._break()
            return
        self._whole = 0
        sent, self._sent = self._sent, 0.0
        self._tally.answered(self._status, sent)
        if self._stays_open:
            self._ask()
        else:
            self._transport.close()

    def on_message_complete(self) -> None:
        """Count an answer that is whole; one that only says "go on" is none."""
        # The parser knows neither any more once this has returned.
        status = self._parser.get_status_code()
        if status >= _FIRST_FINAL:
            self._whole += 1
            self._status, self._stays_open = status, self._parser.should_keep_alive()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note what was asked in vain."""
        del exc
        if self._sent:
            self._sent = 0.0
            self._break()
        if not self.ended.done():
            self.ended.set_result(self._is_broken)

    def give_up(self) -> None:
        """Wait no longer."""
        if self._sent:
            self._sent = 0.0
            self._tally.unanswered += 1
        self._transport.abort()

    def _ask(self) -> None:
        if self._tally.is_over:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def _break(self) -> None:
        if not self._is_broken:
            self._is_broken = True
            self._tally.errors += 1
        self._sent = 0.0
        self._transport.abort()


def _headers(load: Load, address: str) -> dict[str, str]:
    return {
        "Host": load.place.at(address),
        "Authorization": f"Bearer {load.token}",
        "Content-Type": "application/json",
        "X-Request-ID": LOAD_REQUEST,
    }


def _request(load: Load, address: str, body: bytes) -> bytes:
    headers = _headers(load, address) | {"Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /predict HTTP/1.1\r\n{lines}\r\n".encode("ascii") + body


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  (not there on every system)
    except ImportError:
        return None
    return uvloop.new_event_loop
