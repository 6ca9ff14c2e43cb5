"""MLflow's scoring protocol: `/invocations` and what stands beside it, answered by the predictor.

Takes JSON in its four forms, and CSV. Imports nothing heavy.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from bucle.errors import nearest
from bucle.serve.app import Handler, Reply, Request
from bucle.serve.columns import read_aside, read_columns, read_records, require_room
from bucle.serve.document import read_document, require_type
from bucle.serve.predictions import Predictor
from bucle.serve.problems import ProblemError, nothing_to_predict
from bucle.serve.rows import RowReader
from bucle.serve.slots import Slots

__all__ = ["Mlflow"]

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_EXAMPLE = '{"dataframe_split": {"columns": [FIELD, …], "data": [[VALUE, …], …]}}'
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_MISSING = frozenset({"", "NaN", "nan"})
_FLAGS = {"true": True, "false": False}


class _Split(Struct, frozen=True):
    data: list[list[Any]]
    columns: list[str] | None = None


class Mlflow:
    """Answers the routes of MLflow's scoring server.

    Args:
        predictor: Scores and records.
        slots: Who answers now; raises where nobody can.
        version: Bucle's.
    """

    def __init__(self, predictor: Predictor, slots: Callable[[], Slots], *, version: str) -> None:
        self._predictor = predictor
        self._slots = slots
        self._version = version

    def routes(self) -> dict[bytes, Mapping[str, Handler]]:
        """Return path → method → handler."""
        return {
            b"/invocations": {"POST": self._invoke},
            b"/ping": {"GET": self._ping, "HEAD": self._ping},
            b"/health": {"GET": self._ping, "HEAD": self._ping},
            b"/version": {"GET": self._tell, "HEAD": self._tell},
        }

    async def _ping(self, request: Request) -> Reply:
        del request
        self._slots()
        return Reply(b"\n", b"text/plain; charset=utf-8")

    async def _tell(self, request: Request) -> Reply:
        del request
        return Reply(f"bucle {self._version}".encode(), b"text/plain; charset=utf-8")

    async def _invoke(self, request: Request) -> Reply:
        kind = _kind(request)
        slots = self._slots()
        reader = slots.champion.reader
        read = _read_csv if kind == b"text/csv" else _read_json
        rows = await read_aside(lambda: read(reader, request.body), size=len(request.body))
        answered = await self._predictor.answer(slots, rows)
        told: dict[str, Any] = {
            "predictions": [one.prediction for one in answered.scored],
            "ids": answered.ids,
            "model": answered.served.model,
        }
        if answered.served.package.signature.details:
            told["details"] = [one.details for one in answered.scored]
        return Reply(msgspec.json.encode(told))


def _kind(request: Request) -> bytes:
    given = request.headers.get(b"content-type", b"")
    name, _, rest = given.lower().partition(b";")
    plain = rest.replace(b" ", b"").replace(b'"', b"") in {b"", b"charset=utf-8"}
    if name.strip() not in {b"application/json", b"text/csv"} or not plain:
        raise ProblemError(
            415,
            "Cannot read a body of this type",
            cause=f"Content-Type is {given.decode('latin-1')[:60]!r}",
            attempt="Content-Type: application/json, or text/csv, in UTF-8",
            code="bucle-346",
        )
    return name.strip()


def _read_json(reader: RowReader, body: bytes) -> list[Struct]:
    read = require_type(read_document(body, example=_EXAMPLE), dict[str, Any], example=_EXAMPLE)
    forms = [name for name in read if name in _FORMS]
    if len(forms) != 1:
        raise _wrong(
            f"there must be one of {', '.join(_FORMS)}; there is {', '.join(read)[:80] or 'none'}"
        )
    if read.pop("params", None):
        raise ProblemError(
            422,
            "Cannot take params: the model has none",
            cause="what a model was fitted with cannot be changed by a request",
            code="bucle-349",
        )
    form = forms[0]
    content = read.pop(form)
    if read:
        name = next(iter(read))[:80]
        near = nearest(name, [*_FORMS, "params"])
        raise _wrong(f"{name!r} is none of its fields" + (f"; {near[0]!r} is" if near else ""))
    if form == "dataframe_split":
        split = require_type(_without_index(content), _Split, example=_EXAMPLE)
        return _read_table(reader, split.data, split.columns or reader.features)
    if form == "dataframe_records":
        return read_records(reader, require_type(content, list[Any], example=_EXAMPLE))
    return _read_tensors(reader, content)


def _without_index(content: Any) -> Any:
    """Return a split frame without its index and the names of its axes, which nobody needs."""
    if type(content) is not dict:
        return content
    return {name: part for name, part in content.items() if name in {"columns", "data"}}


def _read_tensors(reader: RowReader, content: Any) -> list[Struct]:
    """Return rows that came as a list of objects or of lists, or as an object of columns."""
    if type(content) is dict:
        return read_columns(reader, {name: _as_column(part) for name, part in content.items()})
    if type(content) is not list:
        raise _wrong("rows are a list, or an object of columns")
    if not content:
        raise nothing_to_predict()
    require_room(len(content))
    if type(content[0]) is dict:
        return read_records(reader, content)
    if type(content[0]) is not list and len(reader.features) == 1:
        content = [[value] for value in content]
    table = require_type(content, list[list[Any]], example=_EXAMPLE)
    return _read_table(reader, table, reader.features)


def _as_column(part: Any) -> list[Any]:
    """Return a column; a lone value is a column of one, a list of lists of one is flat."""
    if type(part) is not list:
        return [part]
    if part and all(type(value) is list and len(value) == 1 for value in part):
        return [value[0] for value in part]
    return part


def _read_table(
    reader: RowReader, data: Sequence[Sequence[Any]], columns: Sequence[str]
) -> list[Struct]:
    if not data:
        raise nothing_to_predict()
    require_room(len(data))
    if len(set(columns)) < len(columns):
        raise _wrong("two columns have one name")
    for number, row in enumerate(data):
        if len(row) != len(columns):
            raise _wrong(f"row {number} has {len(row)} values for {len(columns)} columns")
    return read_columns(reader, dict(zip(columns, zip(*data, strict=True), strict=True)))


def _read_csv(reader: RowReader, body: bytes) -> list[Struct]:
    try:
        text = body.decode("utf-8-sig")
        lines: list[list[Any]] = []
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            if row:
                require_room(len(lines))
                lines.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _wrong(str(error)[:200]) from None
    if not lines:
        raise nothing_to_predict()
    columns, *data = lines
    types = [reader.dtypes.get(name, "String") for name in columns]
    for row in data:
        for place, (dtype, value) in enumerate(zip(types, row, strict=False)):
            row[place] = _typed(dtype, value)
    return _read_table(reader, data, columns)


def _typed(dtype: str, text: str) -> Any:
    """Return a field of CSV as its column's type, as it is where it is none."""
    if text in _MISSING:
        return None
    if "Int" in dtype and _WHOLE.fullmatch(text):
        return int(text)
    if ("Int" in dtype or "Float" in dtype) and _NUMBER.fullmatch(text):
        return float(text)
    return _FLAGS.get(text.lower(), text) if dtype == "Boolean" else text


def _wrong(cause: str) -> ProblemError:
    return ProblemError(
        422, "Cannot read the request", cause=cause, attempt=_EXAMPLE, code="bucle-346"
    )
