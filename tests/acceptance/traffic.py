"""Requests from many connections at once, each with what came back of it."""

import asyncio
import json
import random
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import polars as pl
import pytest
from serving import Server

__all__ = ["Exchange", "Traffic", "answered_ids", "assert_on_record"]

_PATIENCE_S = 60.0
_AGAIN_S = 0.02


class Exchange(NamedTuple):
    """A request and its answer."""

    sizes: list[float]
    status: int
    retry_after: str
    answer: Any
    began: float
    ended: float

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The answers of its rows; none where it was refused."""
        if self.status != 200:
            return []
        return self.answer if isinstance(self.answer, list) else [self.answer]


class Traffic:
    """Asks for predictions until it is stopped, from a thread of its own.

    `exchanges` are requests that were answered, `broken` what became of those that were not.

    Args:
        server: Who is asked.
        connections: How many ask at once, each one request after the other.
        rows: How many rows a request may have; one of these is drawn.
        most: Requests after which it ends by itself.
        pause_s: How long a connection waits between two requests.
        seed: What sizes and numbers of rows are drawn from.
    """

    def __init__(
        self,
        server: Server,
        *,
        connections: int = 16,
        rows: Sequence[int] = (1, 1, 1, 7, 40),
        most: int | None = None,
        pause_s: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.server = server
        self.exchanges: list[Exchange] = []
        self.broken: list[str] = []
        self._connections, self._rows, self._pause_s = connections, rows, pause_s
        self._left = most
        self._chance = random.Random(seed)
        self._done = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        _allow_files(connections + 200)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish what is under way; stopping twice is stopping once."""
        self._done.set()
        self._thread.join()

    def finish(self) -> None:
        """Wait until all requests that were to be made are made."""
        self._thread.join()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._ask_on())

    async def _ask_on(self) -> None:
        """Ask one request after the other, over a new connection where the last one broke."""
        while not self._is_over():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            except OSError as error:
                self.broken.append(f"connect: {error!r}")
                await asyncio.sleep(_AGAIN_S)
                continue
            try:
                while not self._is_over():
                    await self._ask(reader, writer)
                    await asyncio.sleep(self._pause_s)
            except (OSError, EOFError, TimeoutError) as error:
                self.broken.append(f"request: {error!r}")
                await asyncio.sleep(_AGAIN_S)
            finally:
                writer.close()

    def _is_over(self) -> bool:
        return self._done.is_set() or self._left == 0

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._left is not None:
            self._left -= 1
        count = self._chance.choice(self._rows)
        sizes = [round(self._chance.uniform(0, 1000), 3) for _ in range(count)]
        rows = [{"size": size} for size in sizes]
        body = json.dumps(rows[0] if count == 1 else rows).encode()
        head = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n"
            f"Authorization: Bearer {self.server.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.monotonic()
        async with asyncio.timeout(_PATIENCE_S):
            writer.write(head.encode() + body)
            await writer.drain()
            said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            lines = dict(line.lower().split(": ", 1) for line in said[1:] if line)
            content = await reader.readexactly(int(lines["content-length"]))
        self.exchanges.append(
            Exchange(
                sizes=sizes,
                status=int(said[0].split()[1]),
                retry_after=lines.get("retry-after", ""),
                answer=json.loads(content),
                began=began,
                ended=time.monotonic(),
            )
        )
        if lines.get("connection") == "close":
            raise EOFError("the server closes")


def answered_ids(exchanges: Iterable[Exchange]) -> list[str]:
    """Return the ids of all rows that were answered."""
    return [row["id"] for one in exchanges for row in one.rows]


def assert_on_record(
    exchanges: Sequence[Exchange],
    kept: pl.DataFrame,
    *,
    expected: Callable[[str, list[float]], list[float]],
) -> None:
    """Require that each row was answered by one model, rightly, and is in the table once.

    Args:
        exchanges: What was asked and answered.
        kept: The table of predictions.
        expected: What a model says of sizes.
    """
    by_model: dict[str, list[tuple[float, float]]] = {}
    for one in exchanges:
        rows = one.rows
        assert len(rows) == (len(one.sizes) if one.status == 200 else 0)
        assert len({row["model"] for row in rows}) <= 1, one
        for size, row in zip(one.sizes, rows, strict=bool(rows)) if rows else ():
            by_model.setdefault(row["model"], []).append((size, row["prediction"]))
    for model, given in by_model.items():
        wanted = expected(model, [size for size, _ in given])
        # A compiled form may add up in another order.
        assert [value for _, value in given] == pytest.approx(wanted, rel=1e-9)
    times = Counter(kept["id"])
    assert [name for name, count in times.items() if count > 1] == []
    stored = {row[0]: row[1:] for row in kept.select("id", "model", "prediction").iter_rows()}
    lost = [name for name in answered_ids(exchanges) if name not in stored]
    assert lost == []
    for one in exchanges:
        for row in one.rows:
            assert stored[row["id"]] == (row["model"], row["prediction"])


def _allow_files(count: int) -> None:
    """Let this process have as many connections as asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
