"""The desk that asks a project's server and tells it the truth, over HTTP as any client would.

Waits for nothing but the server: what it sees is what is on record when a call returns. Imports
nothing heavy.
"""

import http.client
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bucle.errors import OutsideError
from bucle.loop.serving.following import Wish
from bucle.loop.simulation.outside import Known
from bucle.serve.records import LOAD_REQUEST
from bucle.serve.slots import stable_share

__all__ = ["Desk", "probes_of"]

_PATIENCE_S = 300.0
_SETTLE_S = 1.0
_AGAIN_S = 0.02
_OK = 200
_TAKEN = 202
_NOBODY = 503
_AT_ONCE = 500
_PROBES = 500
_COUNTED = re.compile(
    r'bucle_predictions_total\{.*role="(?:shadow|failed)".*\}|'
    r'bucle_events_total\{event="shadow left out"\}'
)
_Row = dict[str, Any]


class Desk:
    """A client of one server.

    Args:
        port: Where the server listens on this machine.
        token: What it wants to be shown.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None
        self._expected = 0
        self._is_split = False
        self._is_tried = False

    @property
    def together(self) -> int:
        """How many rows are asked for in one request.

        While a candidate is tried each row is a customer of its own: requests are what its time is
        told from, and what it gets its share of.
        """
        return 1 if self._is_tried else _AT_ONCE

    def answer(self, rows: Sequence[_Row]) -> list[dict[str, Any]]:
        """Return the answers to rows of one request, which count as wanted."""
        return self._predict(rows, {})

    def sound(self, rows: Sequence[_Row]) -> list[dict[str, Any]]:
        """Return what would be answered to rows that nobody has settled on yet.

        As what `bucle load` asks, it is no prediction that will ever have a label. One question
        for all of them has one model's answer: where two share the keys, each row is asked alone.
        """
        headers = {"X-Request-ID": LOAD_REQUEST}
        size = 1 if self._is_split else _AT_ONCE
        return [
            answer
            for at in range(0, len(rows), size)
            for answer in self._predict(rows[at : at + size], headers)
        ]

    def tell(self, known: Sequence[Known]) -> None:
        """Tell what became of answered rows."""
        for at in range(0, len(known), _AT_ONCE):
            part = known[at : at + _AT_ONCE]
            labels = [
                {"id": one.prediction, "label": one.label, "label_time": one.at} for one in part
            ]
            self._ask("POST", "/feedback", msgspec.json.encode(labels), wanted=_TAKEN)

    def follow(self, wish: Wish, row: _Row, *, keys: Sequence[str], is_tried: bool) -> bool:
        """Wait until the server lets those answer who have to; False when it does not come to it.

        Args:
            wish: Who has to answer.
            row: Something to ask.
            keys: Which of its columns name it.
            is_tried: Whether the model beside the champion is a candidate on its way.
        """
        self._is_split, self._is_tried = wish.share > 0, is_tried
        # Without keys chance says who answers, and a share is not to be seen.
        asked_of = wish if keys else msgspec.structs.replace(wish, share=0.0)
        probes = probes_of(asked_of, columns=len(keys))
        asked = [{**row, **dict.fromkeys(keys, name)} for name in probes]
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            found = [(one["model"], one.get("shadow")) for one in self.sound(asked)]
            if found == list(probes.values()):
                return True
            time.sleep(_AGAIN_S)
        return False

    def settle(self) -> None:
        """Wait until the model beside the champion has scored everything that was answered.

        What a process did not come to before it was killed is not waited for.
        """
        counted, since = -1, time.monotonic()
        while counted < self._expected:
            found = self._scored()
            if found != counted:
                counted, since = found, time.monotonic()
            elif time.monotonic() - since > _SETTLE_S:
                break
            else:
                time.sleep(_AGAIN_S)
        self._expected = counted

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _predict(self, rows: Sequence[_Row], headers: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the answers to rows that are asked in one request."""
        content = self._ask("POST", "/predict", msgspec.json.encode(rows), headers=headers)
        found: list[dict[str, Any]] = msgspec.json.decode(content)
        self._expected += sum(answer.get("shadow") is not None for answer in found)
        return found

    def _scored(self) -> int:
        """Return on how many rows a shadow has been asked, as the server counts."""
        lines = self._ask("GET", "/metrics", b"").decode().splitlines()
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if _COUNTED.match(line))

    def _ask(
        self,
        method: str,
        path: str,
        content: bytes,
        *,
        wanted: int = _OK,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Ask until there is an answer: a server that was killed comes back."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                status, body = self._once(method, path, content, headers or {})
            except (OSError, http.client.HTTPException) as error:
                self.close()
                status, body = _NOBODY, str(error).encode()
            if status == wanted:
                return body
            if status != _NOBODY or time.monotonic() > deadline:
                raise OutsideError(
                    f"Cannot go on: the simulated project's server answered {status}",
                    cause=body.decode("utf-8", "replace")[:500],
                    code="bucle-434",
                )
            time.sleep(_AGAIN_S)

    def _once(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=_PATIENCE_S
            )
        self._connection.request(method, path, content or None, {**self._headers, **headers})
        response = self._connection.getresponse()
        return response.status, response.read()


def probes_of(wish: Wish, *, columns: int) -> dict[str, tuple[str, str | None]]:
    """Return keys that tell whether a server does as it has to: who answers, and who beside.

    Of two models that share the keys, one key lies just inside of the share and one just outside:
    a server that still has another share answers one of them otherwise.

    Args:
        wish: Who has to answer.
        columns: Of how many columns a key is; each has the same value.
    """
    champion, other = wish.champion.model, wish.challenger
    if other is None:
        return {"0": (champion, None)}
    shares = {
        str(number): stable_share("|".join([str(number)] * columns), other.model)
        for number in range(_PROBES)
    }
    inside = [name for name, share in shares.items() if share < wish.share]
    outside = [name for name, share in shares.items() if share >= wish.share]
    found: dict[str, tuple[str, str | None]] = {}
    if inside:
        found[max(inside, key=shares.__getitem__)] = (other.model, champion)
    if outside:
        found[min(outside, key=shares.__getitem__)] = (champion, other.model)
    return found
