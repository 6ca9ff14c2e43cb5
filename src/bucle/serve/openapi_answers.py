"""What an answer holds beyond its number, described with the project's own names and types.

Imports nothing heavy.
"""

from typing import Any

from bucle.models.signature import Feature, Signature

__all__ = ["EXPLAIN", "with_details"]

EXPLAIN: dict[str, Any] = {
    "name": "explain",
    "in": "query",
    "required": False,
    "description": "Whether each answer says what every column added to it.",
    "schema": {"type": "boolean", "default": False},
}

_FORMATS = {"Date": "date", "Datetime": "date-time", "Time": "time", "Duration": "duration"}


def with_details(answer: dict[str, Any], signature: Signature) -> dict[str, Any]:
    """Return the schema of an answer with the details that a model gives, or without any."""
    properties = dict(answer["properties"])
    if signature.details:
        properties["details"] = {
            "type": "object",
            "description": "What the model says beside its prediction.",
            "required": [detail.name for detail in signature.details],
            "properties": {detail.name: _type_of(detail) for detail in signature.details},
            "additionalProperties": False,
        }
    else:
        properties.pop("details", None)
    return answer | {"properties": properties}


def _type_of(detail: Feature) -> dict[str, Any]:
    if detail.dtype.startswith("Float"):
        return {"type": ["number", "null"]}
    if "Int" in detail.dtype:
        return {"type": ["integer", "null"]}
    if detail.dtype == "Boolean":
        return {"type": ["boolean", "null"]}
    form = _FORMATS.get(detail.dtype.partition("[")[0])
    return {"type": ["string", "null"]} | ({"format": form} if form else {})
