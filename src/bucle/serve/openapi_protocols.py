"""The routes of other protocols in the API's description: Open Inference Protocol and MLflow.

Their bodies are described as wide as they are; fields and rules are those of a row all the same.
Imports nothing heavy.
"""

from typing import Any
from urllib.parse import quote

from bucle.serve.slots import Served
from bucle.serve.tensors import datatype_of

__all__ = ["ARROW", "protocol_paths"]

_FRAME = {"schema": {"type": "string", "format": "binary"}}
ARROW = {
    "application/vnd.apache.arrow.stream": _FRAME,
    "application/vnd.apache.arrow.file": _FRAME,
}
_JSON = "application/json"
_PROBLEM = "application/problem+json"
_BINARY = "application/octet-stream"
_REFUSALS = {
    "400": "The request cannot be read.",
    "413": "The request is too large.",
    "415": "The body is of a type that is not read.",
    "422": "A row is not what the model takes; field, value and rule are named.",
}
_ALWAYS = {
    "401": "The token is missing or wrong.",
    "503": "Too much to do, or no champion yet; ask again after Retry-After seconds.",
}
_NULL = {"type": "null"}
_NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
_NUMBERS = {"type": "array", "items": {"type": "number"}}


def protocol_paths(
    served: Served, *, name: str, row: dict[str, Any], example: dict[str, Any]
) -> dict[str, Any]:
    """Return path → method → operation.

    Args:
        served: The champion.
        name: What clients of the Open Inference Protocol call the model.
        row: The schema of a row.
        example: A row that the model takes.
    """
    model = f"/v2/models/{quote(name, safe='')}"
    version = f"{model}/versions/{quote(served.model)}"
    paths: dict[str, Any] = {
        "/invocations": {"post": _invoke(row, example)},
        "/ping": {
            "get": _reading("Whether there is a champion, as MLflow asks", kind="text/plain")
        },
        "/health": {"get": _reading("The same", kind="text/plain")},
        "/version": {"get": _reading("Bucle's version, as MLflow asks", kind="text/plain")},
        "/v2": {"get": _asking("Who serves, and which extensions", has="name")},
        "/v2/health/live": {"get": _asking("Whether the worker lives", has="live")},
        "/v2/health/ready": {"get": _asking("Whether there is a champion", has="ready")},
    }
    for path, what in ((model, "the model"), (version, "the model by its id")):
        paths |= {
            path: {"get": _asking(f"Inputs and outputs of {what}", has="name inputs")},
            f"{path}/ready": {"get": _asking(f"Whether {what} answers", has="ready")},
            f"{path}/infer": {"post": _infer(served, what, example)},
        }
    return paths


def _invoke(row: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "minItems": 1, "items": row}
    table = {"type": "array", "minItems": 1, "items": {"type": "array"}}
    columns = {"type": "object"}
    forms = {
        "dataframe_split": {
            "type": "object",
            "required": ["data"],
            "properties": {
                "data": table,
                "columns": {"anyOf": [{"type": "array", "items": {"type": "string"}}, _NULL]},
            },
        },
        "dataframe_records": rows,
        "instances": {"anyOf": [rows, table, columns, {"type": "array", "minItems": 1}]},
        "inputs": {"anyOf": [rows, table, columns, {"type": "array", "minItems": 1}]},
    }
    schema = {
        "oneOf": [
            {
                "type": "object",
                "required": [form],
                "additionalProperties": False,
                "properties": {form: one, "params": {}},
            }
            for form, one in forms.items()
        ]
    }
    answer = {
        "type": "object",
        "required": ["predictions", "ids", "model"],
        "properties": {
            "predictions": _NUMBERS,
            "ids": {"type": "array", "items": {"type": "string"}},
            "model": {"type": "string"},
        },
    }
    return {
        "summary": "Predict rows in the forms of MLflow's scoring server",
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {"schema": schema, "example": {"dataframe_records": [example]}},
                "text/csv": {"schema": {"type": "string", "minLength": 1}},
            },
        },
        "responses": {
            "200": _answer("Predictions, and the ids that feedback names.", {_JSON: answer}),
            **_refusals(_PROBLEM),
        },
    }


def _infer(served: Served, what: str, example: dict[str, Any]) -> dict[str, Any]:
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"type": "string"},
            "shape": {
                "type": "array",
                "minItems": 1,
                "maxItems": 8,
                "items": {"type": "integer", "minimum": 0},
            },
            "datatype": {"type": "string"},
            "parameters": {"anyOf": [{"type": "object"}, _NULL]},
            "data": {"type": "array"},
        },
    }
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 200},
            "parameters": {"anyOf": [{"type": "object"}, _NULL]},
            "inputs": {"type": "array", "minItems": 1, "items": tensor},
            "outputs": {"anyOf": [{"type": "array", "items": _NAMED}, _NULL]},
        },
    }
    inputs = [
        {"name": name, "shape": [1], "datatype": datatype_of(dtype), "data": [example.get(name)]}
        for name, dtype in served.reader.dtypes.items()
    ]
    answer = {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {"outputs": {"type": "array", "items": {"type": "object"}}},
    }
    binary = {"type": "string", "format": "binary"}
    content = {
        _JSON: {"schema": schema, "example": {"inputs": inputs}},
        _BINARY: {"schema": binary},
    }
    return {
        "summary": f"Predict rows as tensors by {what}",
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": _answer("Predictions.", {_JSON: answer, _BINARY: binary}),
            **_refusals(_JSON),
        },
    }


def _asking(summary: str, *, has: str) -> Any:
    """Return a route that reads under `/v2`, whose refusals are plain JSON."""
    return _reading(summary, refused=_JSON, has=has)


def _reading(summary: str, *, kind: str = _JSON, refused: str = _PROBLEM, has: str = "") -> Any:
    schema = {"type": "object", "required": has.split()} if has else {}
    refusals = {code: _refusal(words, refused) for code, words in _ALWAYS.items()}
    return {
        "summary": summary,
        "responses": {"200": _answer(summary, {kind: schema}), **refusals},
    }


def _refusals(kind: str) -> dict[str, Any]:
    return {code: _refusal(words, kind) for code, words in (_REFUSALS | _ALWAYS).items()}


def _refusal(words: str, kind: str) -> dict[str, Any]:
    return _answer(words, {kind: {"$ref": "#/components/schemas/Problem"}})


def _answer(words: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": words,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }
