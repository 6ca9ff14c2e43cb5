"""A retrain asked for over HTTP: somebody's word, put on record like one on the command line.

Imports nothing heavy.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bucle.errors import BucleError
from bucle.serve.app import Reply, Request
from bucle.serve.predictions import require_json
from bucle.serve.problems import ProblemError, why_unreadable

__all__ = ["Asking"]


class Asking:
    """Takes requests for a retrain.

    Args:
        ask: Puts one on record, with its reason, and returns the event's position; may wait.
    """

    def __init__(self, ask: Callable[[str], int]) -> None:
        self._ask = ask

    async def take(self, request: Request) -> Reply:
        """Answer `POST /retrain`: it is on record, and the loop takes it up at its next look."""
        require_json(request)
        because = _read(request.body)
        loop = asyncio.get_running_loop()
        try:
            # The log waits for the disk, and no answer may wait for it.
            event = await loop.run_in_executor(None, self._ask, because)
        except BucleError as error:
            raise ProblemError(
                503,
                "Cannot put the retrain on record",
                cause=f"{error.what}: {error.cause}" if error.cause else error.what,
                headers={b"retry-after": b"5"},
                attempt="once more in a few seconds",
                code="bucle-435",
            ) from error
        return Reply(msgspec.json.encode({"event": event}), status=202)


class _Request(Struct, forbid_unknown_fields=True):
    because: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


def _read(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Request).because.strip()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(
            422,
            "Cannot read the request for a retrain",
            cause=why_unreadable(error, body),
            attempt='{"because": "the new prices are in"}',
            code="bucle-436",
        ) from error
