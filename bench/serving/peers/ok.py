"""An app that only answers: what a server costs by itself."""

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["app"]

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"15")],
}
_BODY = {"type": "http.response.body", "body": b'{"status":"ok"}'}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read a request and answer it."""
    del scope
    while (await receive()).get("more_body", False):
        pass
    await send(_START)
    await send(_BODY)
