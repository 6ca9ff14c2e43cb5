"""`POST /predict` in Arrow IPC: columns in, columns out, the same predictions as in JSON.

What is sent is polars' to write, and polars is loaded with the first such request only; what is
received it never sees.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bucle.models.signature import dtypes_of
from bucle.serve.app import Reply, Request
from bucle.serve.arrow import ArrowColumn, read_arrow
from bucle.serve.columns import read_aside, read_columns
from bucle.serve.predictions import Answered, Predictor, answers_of, request_id, require_json
from bucle.serve.problems import BadRow, RowsRefusedError
from bucle.serve.rows import RowReader
from bucle.serve.slots import Slots

__all__ = ["ARROW_TYPES", "ArrowPredictor"]

_STREAM = b"application/vnd.apache.arrow.stream"
ARROW_TYPES = (_STREAM, b"application/vnd.apache.arrow.file")
_FAMILIES = {
    "Boolean": {"flag"},
    "String": {"text"},
    "Date": {"date"},
    "Time": {"time"},
    "Datetime": {"moment"},
    "Duration": {"span"},
    "Float": {"whole", "number"},
    "Int": {"whole"},
    "UInt": {"whole"},
}
_SHOWN = 20


class ArrowPredictor:
    """Answers `POST /predict`, in JSON or in Arrow.

    Args:
        predictor: Scores and records; answers what is in JSON altogether.
        slots: Who answers now; raises where nobody can.
    """

    def __init__(self, predictor: Predictor, slots: Callable[[], Slots]) -> None:
        self._predictor = predictor
        self._slots = slots

    def predict(self, request: Request) -> Awaitable[Reply]:
        """Answer in the type that is asked for: by `Accept`, else by that of the request."""
        headers = request.headers
        kind = headers.get(b"content-type", b"")
        if b"arrow" in kind or b"arrow" in headers.get(b"accept", b""):
            return self._predict(request, kind.partition(b";")[0].strip().lower())
        return self._predictor.predict(request)

    async def _predict(self, request: Request, kind: bytes) -> Reply:
        accept = request.headers.get(b"accept", b"")
        in_arrow = _STREAM in accept or (kind in ARROW_TYPES and b"json" not in accept)
        if kind not in ARROW_TYPES and not in_arrow:
            return await self._predictor.predict(request)
        slots = self._slots()
        reader = slots.champion.reader
        rows = await read_aside(lambda: _rows(request, kind, reader), size=len(request.body))
        answered = await self._predictor.answer(slots, rows, request=request_id(request))
        if not in_arrow:
            return Reply(msgspec.json.encode(answers_of(answered)))
        # Loading it takes a while the first time, and others must not wait.
        await asyncio.to_thread(import_module, "polars")
        return Reply(_write(answered), _STREAM)


def _rows(request: Request, kind: bytes, reader: RowReader) -> list[Struct]:
    if kind not in ARROW_TYPES:
        require_json(request)
        return reader.read(request.body)[0]
    columns = read_arrow(request.body)
    _require_families(reader, columns)
    return read_columns(reader, {name: one.values for name, one in columns.items()}, exact=True)


def _require_families(reader: RowReader, columns: dict[str, ArrowColumn]) -> None:
    """Raise when a column's type is not that of its feature: then all of its values are wrong."""
    bad = []
    for name, dtype in reader.dtypes.items():
        fitting = _FAMILIES.get(dtype.partition("[")[0].rstrip("0123456789"))
        found = columns[name].family if name in columns else "null"
        if fitting is not None and found != "null" and found not in fitting:
            rule = f"is a column of type {found}, not of {dtype}"
            bad.append(BadRow.of(None, name, rule=rule))
    if bad:
        raise RowsRefusedError(bad[:_SHOWN])


def _write(answered: Answered) -> bytes:
    import polars as pl  # noqa: PLC0415  (only where Arrow is asked for)

    scored, signature = answered.scored, answered.served.package.signature
    columns: dict[str, tuple[Sequence[Any], Any]] = {
        "prediction": ([one.prediction for one in scored], pl.Float64),
        "low": ([one.low for one in scored], pl.Float64),
        "high": ([one.high for one in scored], pl.Float64),
        "id": (answered.ids, pl.String),
        "model": ([answered.served.model] * len(scored), pl.String),
        "by": ([answered.role] * len(scored), pl.String),
    }
    for name, dtype in dtypes_of(replace(signature, features=signature.details)).items():
        columns.setdefault(name, ([(one.details or {}).get(name) for one in scored], dtype))
    frame = pl.DataFrame(
        {name: pl.Series(values, dtype=dtype) for name, (values, dtype) in columns.items()}
    )
    # The oldest form of texts is the one that every reader of Arrow knows.
    content = io.BytesIO()
    frame.write_ipc_stream(content, compat_level=pl.CompatLevel.oldest())
    return content.getvalue()
