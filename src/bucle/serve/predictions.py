"""Predictions over HTTP: rows in, numbers out, each with an id that is on record before it leaves.

Knows no protocol but its own; the KServe and MLflow routes translate to it. Imports nothing heavy.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct, field

from bucle.serve.answers import Answer
from bucle.serve.app import Later, Reply, Request
from bucle.serve.columns import is_long, read_aside, require_room
from bucle.serve.counts import Counts
from bucle.serve.engines import MOST_AT_ONCE, Scored, Scores
from bucle.serve.journal import Journal
from bucle.serve.many_rows import ManyRows, score_together
from bucle.serve.moments import timer
from bucle.serve.pairing import Pairing
from bucle.serve.problems import ProblemError
from bucle.serve.recording import BY_COLUMN, Said, record_rows
from bucle.serve.records import Prediction, PredictionColumns, PredictionIds
from bucle.serve.rows import Row
from bucle.serve.slots import Served, Slots

__all__ = ["Answered", "Predictor", "Role", "answers_of", "request_id", "require_json"]

Role = Literal["champion", "canary"]

_CANARY_S = 2.0
"""How long a canary may take before the champion answers in its place."""

_MOST_MISSES = 5
_LONGEST_ID = 128
_encode = msgspec.json.Encoder().encode


class Answered(Struct, frozen=True):
    """Rows that were scored and are on record: by whom, with which ids."""

    served: Served
    role: Role
    ids: tuple[str, ...]
    scored: list[Scored]
    shadow: str | None = None


class _Held(Struct):
    """What is not on record yet: rows that were answered, and many rows that wait to be scored."""

    slots: Slots
    records: list[Prediction | PredictionColumns] = field(default_factory=list)
    values: list[Row] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    many: list[ManyRows] = field(default_factory=list)


class Predictor:
    """Scores rows by whoever the slots say, and records each before it is answered.

    Args:
        slots: Who answers now; asked once for each request.
        journal: Where predictions are recorded.
        counts: Where they are counted.
        pairing: Takes answered rows for the other model to score.
    """

    def __init__(
        self, slots: Callable[[], Slots], journal: Journal, counts: Counts, pairing: Pairing
    ) -> None:
        self._slots = slots
        self._journal = journal
        self._counts = counts
        self._pairing = pairing
        self._ids = PredictionIds()
        self._held: _Held | None = None
        self._misses = 0
        self._distrusted: Slots | None = None

    async def predict(self, request: Request) -> Reply:
        """Answer `POST /predict`: one object for a row, a list for several."""
        require_json(request)
        slots, body = self._slots(), request.body
        reader = slots.champion.reader
        rows, is_one = await read_aside(lambda: reader.read(body), size=len(body))
        answered = await self.answer(slots, rows, request=request_id(request))
        return _reply(answered, is_one=is_one)

    def predict_now(self, request: Request) -> Reply | Later | None:
        """Answer `POST /predict` like `predict`; None where that would have to wait.

        What is answered is on record once `keep` has returned, and must not leave before; many rows
        are scored by then.
        """
        headers = request.headers
        if headers.get(b"content-type") != b"application/json" or is_long(request.body):
            return None
        if b"arrow" in headers.get(b"accept", b""):
            return None
        slots = self._slots()
        champion = slots.champion
        held = self._held
        if not champion.engine.is_quick or slots.share or (held and held.slots is not slots):
            return None
        began = timer()
        rows, is_one = champion.reader.read(request.body)
        said = Said(champion.model, "champion", request_id(request), began)
        if len(rows) > BY_COLUMN:
            if len(rows) > MOST_AT_ONCE:
                return None
            columns = champion.reader.columns(rows)
            # Let go of while the processor still has them at hand.
            del rows
            return self._take_columns(slots, columns, said)
        values = [champion.reader.values(row) for row in rows]
        scored = champion.engine.score_now(values)
        if scored is None:
            return None
        ids = self._ids.take(len(rows))
        records = record_rows(champion.reader, rows, scored, ids=ids, said=said)
        if held is None:
            self._held = held = _Held(slots)
        held.records += records
        held.values += values
        held.ids += ids
        other = slots.beside(champion)
        shadow = None if other is None else other.model
        return _reply(Answered(champion, "champion", ids, scored, shadow), is_one=is_one)

    def _take_columns(self, slots: Slots, columns: Sequence[Row], said: Said) -> Later:
        """Take many rows under their ids, and let them wait for `keep`."""
        champion, reader = slots.champion, slots.champion.reader
        held = self._held
        if held is None:
            self._held = held = _Held(slots)
        other = slots.beside(champion)
        many = ManyRows(
            columns,
            columns[: len(reader.features)],
            reader.pack(columns),
            self._ids.take(len(columns[0])),
            said,
            None if other is None else other.model,
        )
        held.many.append(many)
        return many

    def keep(self) -> None:
        """Put on record what `predict_now` has answered since, all of it or nothing.

        Raises:
            BacklogFullError: As for `answer`; none of it may be answered.
        """
        held, self._held = self._held, None
        if held is None:
            return
        slots, champion = held.slots, held.slots.champion
        score_together(champion.engine, held.many)
        scored = [(many, many.scores) for many in held.many if many.scores is not None]
        held.records += [many.record(champion.reader, scores) for many, scores in scored]
        self._journal.append_many(held.records)
        if held.ids:
            self._follow(slots, champion, "champion", held.values, held.ids)
        for many, scores in scored:
            self._follow_columns(slots, many, scores)

    async def answer(self, slots: Slots, rows: Sequence[Struct], *, request: str = "") -> Answered:
        """Score rows, record them, and return what may be answered.

        All rows of a request are answered by one model: that of the first row's key, or of its id.
        Where a canary cannot answer, the champion does.

        Args:
            slots: Who answers.
            rows: As the champion's reader read them.
            request: What the client calls its request.

        Raises:
            ProblemError: A row is refused, or there is too much to do.
            BacklogFullError: The disk refuses, and memory holds as much as was agreed.
        """
        require_room(len(rows))
        began = timer()
        reader = slots.champion.reader
        ids = self._ids.take(len(rows))
        values = [reader.values(row) for row in rows]
        served = slots.choose(reader.key(rows[0]) or ids[0])
        role: Role = "champion"
        scored: list[Scored] | None = None
        if served is not slots.champion:
            scored = await self._dare(slots, served, values)
            served, role = (slots.champion, role) if scored is None else (served, "canary")
        if scored is None:
            scored = served.engine.score_now(values)
        if scored is None:
            scored = await served.engine.score(values)
        said = Said(served.model, role, request, began)
        self._journal.append_many(record_rows(reader, rows, scored, ids=ids, said=said))
        shadow = self._follow(slots, served, role, values, ids)
        return Answered(served, role, ids, scored, shadow)

    def _follow(
        self, slots: Slots, served: Served, role: Role, values: Sequence[Row], ids: Sequence[str]
    ) -> str | None:
        """Count what is on record, and let the other model score the same rows; return its id."""
        self._counts.predicted(served.model, role, len(ids))
        if served.treated is not None:
            served.treated.count(slots.fit(served, values), self._counts)
        other = slots.beside(served)
        if other is None:
            return None
        self._pairing.add(other, slots.fit(other, values), ids)
        return other.model

    def _follow_columns(self, slots: Slots, many: ManyRows, scores: Scores) -> None:
        """Do what `_follow` does, for rows that the champion has answered by column."""
        champion = slots.champion
        self._counts.predicted(champion.model, "champion", len(many.ids))
        if champion.treated is not None:
            for found in champion.treated.find(many.features, known=scores.known):
                self._counts.treated(*found)
        other = slots.beside(champion)
        if other is not None:
            rows = list(zip(*many.features, strict=True))
            self._pairing.add(other, slots.fit(other, rows), many.ids)

    async def _dare(self, slots: Slots, canary: Served, rows: Sequence[Row]) -> list[Scored] | None:
        """Return what a canary says; None, and the failure counted, where it says nothing.

        One that fails again and again is asked no more until somebody deploys or promotes.
        """
        if slots is self._distrusted:
            return None
        asked = slots.fit(canary, rows)
        try:
            scored = canary.engine.score_now(asked)
            if scored is None:
                async with asyncio.timeout(_CANARY_S):
                    scored = await canary.engine.score(asked)
        except Exception:  # noqa: BLE001  (whatever fails in a canary is no failure of the server)
            self._counts.predicted(canary.model, "failed", len(rows))
            self._misses += 1
            if self._misses >= _MOST_MISSES:
                self._distrusted = slots
                self._counts.noted("canary stopped")
            return None
        self._misses = 0
        return scored


def answers_of(answered: Answered) -> list[Answer]:
    """Return what a client learns of each row."""
    return [_answer(answered, *one) for one in zip(answered.ids, answered.scored, strict=True)]


def _answer(answered: Answered, name: str, one: Scored) -> Answer:
    return Answer(
        one.prediction,
        name,
        answered.served.model,
        None if one.low is None or one.high is None else (one.low, one.high),
        answered.role,
        answered.shadow,
        one.details,
    )


def _reply(answered: Answered, *, is_one: bool) -> Reply:
    if is_one:
        return Reply(_encode(_answer(answered, answered.ids[0], answered.scored[0])))
    return Reply(_encode(answers_of(answered)))


def request_id(request: Request) -> str:
    """Return what the client calls its request in `X-Request-ID`; nothing where that is no name.

    Example:
        >>> request_id(Request({b"x-request-id": b"order 7"}, b"", b""))
        'order 7'
    """
    given = request.headers.get(b"x-request-id")
    if given is None or len(given) > _LONGEST_ID:
        return ""
    text = given.decode("latin-1")
    return text if text.isascii() and text.isprintable() else ""


def require_json(request: Request) -> None:
    """Raise ProblemError (415) where a request's body is of another type."""
    kind = request.headers.get(b"content-type", b"")
    if kind != b"application/json" and not _is_json(kind):
        raise ProblemError(
            415,
            "Cannot read a body of this type",
            cause=f"Content-Type is {kind.decode('latin-1')[:60]!r}",
            attempt="Content-Type: application/json",
            code="bucle-332",
        )


def _is_json(kind: bytes) -> bool:
    """Tell whether a content type is JSON in UTF-8, which all JSON is."""
    name, _, rest = kind.lower().partition(b";")
    return name.strip() == b"application/json" and rest.strip() in (b"", b"charset=utf-8")
