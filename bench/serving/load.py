"""Ask a server over connections that stay open: `python -m bench.serving.load < REQUEST.json`.

Prints one line of JSON. A connection asks again when it has been answered, so that as many
requests are under way as there are connections; it stops after a number of answers or of seconds.
Of several bodies each request has the next.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import uvloop

__all__ = ["main"]

_LENGTH = b"content-length:"


class _Connection(asyncio.Protocol):
    """Asks, waits for the answer, and asks again."""

    def __init__(self, asked: Iterator[bytes], load: "_Load") -> None:
        self._asked = asked
        self._load = load
        self._held = b""
        self._sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._held = data
            return
        head = data[:end].lower()
        at = head.find(_LENGTH)
        if at < 0:
            # In chunks: the last one is empty.
            is_whole = data.endswith(b"0\r\n\r\n")
        else:
            until = head.find(b"\r", at)
            length = int(head[at + 15 : until if until > 0 else None])
            is_whole = len(data) >= end + 4 + length
        if not is_whole:
            self._held = data
            return
        self._held = b""
        load = self._load
        load.taken.append(time.perf_counter() - self._sent)
        if not data.startswith(b"HTTP/1.1 200"):
            load.errors += 1
            load.last_error = data[:400].decode("utf-8", "replace")
        load.last = data
        if load.is_over():
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._load.left()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._asked))


class _Load:
    def __init__(self, connections: int, most: int, seconds: float) -> None:
        self.taken: list[float] = []
        self.errors = 0
        self.last = b""
        self.last_error = ""
        self._open = connections
        self._most = most
        self._until = time.perf_counter() + seconds
        self.done = asyncio.Event()

    def is_over(self) -> bool:
        return len(self.taken) >= self._most or time.perf_counter() >= self._until

    def left(self) -> None:
        self._open -= 1
        if not self._open:
            self.done.set()


def _request(wish: dict[str, Any], body: bytes) -> bytes:
    lines = [
        f"POST {wish['path']} HTTP/1.1",
        f"host: 127.0.0.1:{wish['port']}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in wish.get("headers", {}).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _ask(wish: dict[str, Any]) -> dict[str, Any]:
    bodies = wish["bodies"] if "bodies" in wish else [wish["body"]]
    # All connections take from one row of requests, so that none is asked again too soon.
    asked = cycle([_request(wish, body.encode()) for body in bodies])
    load = _Load(wish["connections"], wish["most"], wish["seconds"])
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(wish["connections"]):
        await loop.create_connection(lambda: _Connection(asked, load), "127.0.0.1", wish["port"])
    await asyncio.wait_for(load.done.wait(), wish["seconds"] + 60)
    taken = time.perf_counter() - began
    times = sorted(load.taken)
    return {
        "requests": len(times),
        "seconds": taken,
        "errors": load.errors,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "answer": load.last.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")[:2000],
        "error": load.last_error,
    }


def main() -> None:
    """Read what to ask, ask it, print how it went."""
    wish = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_ask(wish))))


if __name__ == "__main__":
    main()
