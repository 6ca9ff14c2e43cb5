"""The Open Inference Protocol (KServe V2) over HTTP: the same predictions as tensors.

Asks the predictor and knows nothing of models. Imports nothing heavy.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from bucle.models.package import Package
from bucle.serve.app import Handler, Reply, Request
from bucle.serve.columns import read_aside, read_columns
from bucle.serve.document import read_document, require_type
from bucle.serve.predictions import Answered, Predictor
from bucle.serve.problems import ProblemError
from bucle.serve.rows import RowReader
from bucle.serve.slots import Slots
from bucle.serve.tensors import Tensor, as_tensor, datatype_of, pack, read_tensors, to_columns

__all__ = ["KServe"]

_LENGTH = b"inference-header-content-length"
_KINDS = frozenset({b"", b"application/json", b"application/octet-stream"})
_LONGEST_ID = 200
_EXAMPLE = '{"inputs": [{"name": FIELD, "shape": [1], "datatype": "FP64", "data": [1.5]}, …]}'


class _Wanted(Struct, frozen=True):
    name: str
    parameters: dict[str, Any] | None = None


class _Inference(Struct, frozen=True, kw_only=True):
    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] | None = None
    outputs: list[_Wanted] | None = None


class KServe:
    """Answers the routes under `/v2`.

    Args:
        predictor: Scores and records.
        slots: Who answers now; raises where nobody can.
        name: What clients call the model.
        version: Bucle's.
    """

    def __init__(
        self, predictor: Predictor, slots: Callable[[], Slots], *, name: str, version: str
    ) -> None:
        self._predictor = predictor
        self._slots = slots
        self._name = name
        self._version = version
        self._path = f"/v2/models/{quote(name, safe='')}"

    def routes(self) -> dict[bytes, Mapping[str, Handler]]:
        """Return path → method → handler for what is always there."""
        return {
            b"/v2": _reading(self._server),
            b"/v2/health/live": _reading(self._live),
            b"/v2/health/ready": _reading(self._ready),
            **self._model_routes(self._path, None),
        }

    def version_routes(self, path: bytes) -> Mapping[str, Handler] | None:
        """Return what a path leads to that names the champion as the version; None for another."""
        if not path.startswith(self._path.encode()):
            return None
        model = self._slots().champion.model
        return self._model_routes(f"{self._path}/versions/{model}", model).get(path)

    def _model_routes(self, path: str, model: str | None) -> dict[bytes, Mapping[str, Handler]]:
        async def infer(request: Request) -> Reply:
            return await self._infer(request, model)

        return {
            path.encode(): _reading(self._model),
            f"{path}/ready".encode(): _reading(self._model_ready),
            f"{path}/infer".encode(): {"POST": infer},
        }

    async def _server(self, request: Request) -> Reply:
        del request
        return _json(
            {"name": "bucle", "version": self._version, "extensions": ["binary_tensor_data"]}
        )

    async def _live(self, request: Request) -> Reply:
        del request
        return _json({"live": True})

    async def _ready(self, request: Request) -> Reply:
        del request
        self._slots()
        return _json({"live": True, "ready": True})

    async def _model_ready(self, request: Request) -> Reply:
        del request
        self._slots()
        return _json({"name": self._name, "ready": True})

    async def _model(self, request: Request) -> Reply:
        del request
        champion = self._slots().champion
        reader = champion.reader
        inputs = [(name, datatype_of(dtype)) for name, dtype in reader.dtypes.items()]
        return _json(
            {
                "name": self._name,
                "versions": [champion.model],
                "platform": "bucle",
                "inputs": [
                    {"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in inputs
                ],
                "outputs": [
                    {"name": name, "datatype": datatype, "shape": [-1]}
                    for name, datatype in _described(champion.package).items()
                ],
            }
        )

    async def _infer(self, request: Request, model: str | None) -> Reply:
        slots = self._slots()
        if model is not None:
            slots = _only(slots, model)
        reader = slots.champion.reader
        asked, rows = await read_aside(lambda: _rows(request, reader), size=len(request.body))
        answered = await self._predictor.answer(slots, rows, request=asked.id)
        return self._answer(asked, answered)

    def _answer(self, asked: _Inference, answered: Answered) -> Reply:
        found = _outputs(answered)
        by_default = (asked.parameters or {}).get("binary_data_output") is True
        wanted = asked.outputs or [_Wanted(name) for name in found]
        outputs, binary = [], []
        for one in wanted:
            if one.name not in found:
                raise _unknown_output(one.name, found)
            datatype, values = found[one.name]
            output: dict[str, Any] = {
                "name": one.name,
                "datatype": datatype,
                "shape": [len(values)],
            }
            if (one.parameters or {}).get("binary_data", by_default) is True:
                content = pack(datatype, values)
                output["parameters"] = {"binary_data_size": len(content)}
                binary.append(content)
            else:
                output["data"] = values
            outputs.append(output)
        body = msgspec.json.encode(
            {
                "model_name": self._name,
                "model_version": answered.served.model,
                **({"id": asked.id} if asked.id else {}),
                "parameters": {"by": answered.role},
                "outputs": outputs,
            }
        )
        if not binary:
            return Reply(body)
        length = (_LENGTH, b"%d" % len(body))
        return Reply(b"".join([body, *binary]), b"application/octet-stream", headers=(length,))


def _rows(request: Request, reader: RowReader) -> tuple[_Inference, list[Struct]]:
    asked, binary = _read(request)
    values = read_tensors(asked.inputs, binary, known=reader.dtypes)
    return asked, read_columns(reader, to_columns(asked.inputs, values, reader.dtypes))


def _read(request: Request) -> tuple[_Inference, bytes]:
    """Return what a request asks, and what follows its JSON."""
    kind = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in _KINDS:
        raise ProblemError(
            415,
            "Cannot read a body of this type",
            cause=f"Content-Type is {kind.decode('latin-1')[:60]!r}",
            attempt="Content-Type: application/json",
            code="bucle-346",
        )
    body, given = request.body, request.headers.get(_LENGTH)
    length = len(body)
    if given is not None:
        if not given.isdigit() or len(given) > 15 or int(given) > length:  # noqa: PLR2004  (digits)
            raise ProblemError(
                400,
                "Cannot read the request",
                cause=f"Inference-Header-Content-Length is {given.decode('latin-1')[:20]!r}, "
                f"and the body has {length} bytes",
                code="bucle-346",
            )
        length = int(given)
    read = read_document(body[:length], example=_EXAMPLE)
    asked = require_type(read, _Inference, example=_EXAMPLE)
    cause = _fault(asked)
    if cause:
        raise ProblemError(
            422, "Cannot read the request", cause=cause, attempt=_EXAMPLE, code="bucle-346"
        )
    return asked, body[length:]


def _fault(asked: _Inference) -> str:
    """Return what is wrong with a request whatever the model, nothing where it is right."""
    if not asked.inputs:
        return "it has no inputs"
    if len(asked.id) > _LONGEST_ID:
        return f"its id has more than {_LONGEST_ID} letters"
    names = [one.name for one in asked.outputs or ()]
    return "an output is asked for twice" if len(set(names)) < len(names) else ""


def _only(slots: Slots, model: str) -> Slots:
    """Return slots whose champion is a model and answers every row."""
    if slots.champion.model != model:
        raise ProblemError(
            404,
            f"{model} does not answer any more",
            cause=f"{slots.champion.model} does",
            attempt="ask without /versions/…",
            code="bucle-348",
        )
    return msgspec.structs.replace(slots, share=0.0)


def _described(package: Package) -> dict[str, str]:
    """Return name → datatype of what a model gives."""
    ends = {"low": "FP64", "high": "FP64"} if package.intervals else {}
    found = {"prediction": "FP64", **ends, "id": "BYTES"}
    for detail in package.signature.details:
        found.setdefault(detail.name, datatype_of(detail.dtype))
    return found


def _outputs(answered: Answered) -> dict[str, tuple[str, list[Any]]]:
    """Return name → datatype and values, for each row."""
    scored = answered.scored
    found: dict[str, tuple[str, list[Any]]] = {
        "prediction": ("FP64", [one.prediction for one in scored])
    }
    low = [one.low for one in scored]
    high = [one.high for one in scored]
    if None not in low and None not in high:
        found |= {"low": ("FP64", low), "high": ("FP64", high)}
    found["id"] = ("BYTES", list(answered.ids))
    for detail in answered.served.package.signature.details:
        values = [(one.details or {}).get(detail.name) for one in scored]
        found.setdefault(detail.name, as_tensor(detail.dtype, values))
    return found


def _unknown_output(name: str, found: Mapping[str, Any]) -> ProblemError:
    return ProblemError(
        422,
        f"There is no output {name[:80]!r}",
        cause=f"there are {', '.join(found)}",
        code="bucle-346",
    )


def _json(content: dict[str, Any]) -> Reply:
    return Reply(msgspec.json.encode(content))


def _reading(handler: Handler) -> Mapping[str, Handler]:
    return {"GET": handler, "HEAD": handler}
