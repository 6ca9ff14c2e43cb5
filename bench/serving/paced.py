"""Ask a server so many times a second: `python -m bench.serving.paced REQUEST`, until stdin ends.

Prints one line of JSON: when each request was due, how long its answer took from then on, and which
model gave it. A request that is due while all connections are busy waits, and that counts.
"""

import asyncio
import json
import sys
import time
from collections import deque
from typing import Any

import uvloop

__all__ = ["main"]


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self, pace: "_Pace") -> None:
        self._pace = pace
        self._held = b""
        self._due = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._pace.is_free(self)

    def send(self, due: float) -> None:
        self._due = due
        self._transport.write(self._pace.asked)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, ended, body = self._held.partition(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        if not ended or len(body) < int(head[at + 15 :].split(b"\r", 1)[0]):
            return
        self._held = b""
        self._pace.taken(self._due, head, body)
        self._pace.is_free(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._pace.broken += not self._pace.is_over
        del error


class _Pace:
    def __init__(self, asked: bytes) -> None:
        self.asked = asked
        self.broken = 0
        self.is_over = False
        self.found: list[tuple[float, float, str]] = []
        self._free: deque[_Connection] = deque()
        self._due: deque[float] = deque()

    def is_free(self, connection: _Connection) -> None:
        if self._due:
            connection.send(self._due.popleft())
        else:
            self._free.append(connection)

    def is_due(self, moment: float) -> None:
        if self._free:
            self._free.popleft().send(moment)
        else:
            self._due.append(moment)

    def taken(self, due: float, head: bytes, body: bytes) -> None:
        found = json.loads(body)
        first = found[0] if isinstance(found, list) else found
        model = first.get("model", "") if head.startswith(b"HTTP/1.1 200") else head[:12].decode()
        self.found.append((due, time.time() - due, model))


async def _ask(wish: dict[str, Any]) -> dict[str, Any]:
    body = wish["body"].encode()
    lines = [
        f"POST {wish['path']} HTTP/1.1",
        f"host: 127.0.0.1:{wish['port']}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in wish["headers"].items()),
    ]
    pace = _Pace("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    loop = asyncio.get_running_loop()
    for _ in range(wish["connections"]):
        await loop.create_connection(lambda: _Connection(pace), "127.0.0.1", wish["port"])
    stopped = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), stopped.set)
    due = time.time()
    while not stopped.is_set():
        now = time.time()
        while due <= now:
            pace.is_due(due)
            due += 1 / wish["rate"]
        await asyncio.sleep(0.001)
    await asyncio.sleep(1.0)
    pace.is_over = True
    due_, taken, model = zip(*pace.found, strict=True)
    return {"due": due_, "taken": taken, "model": model, "broken": pace.broken}


def main() -> None:
    """Read what to ask, ask it, print how it went."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_ask(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
