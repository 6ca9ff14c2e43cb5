"""The API described with the project's own fields: as OpenAPI for programs, as a page for people.

Nothing outside is loaded, and every word that came from data is escaped. Imports msgspec only.
"""

import html
import unicodedata
from typing import Any

import msgspec

from bucle.serve.answers import Answer
from bucle.serve.bounds import describe_limit
from bucle.serve.curl import UNSEEN, curl_line
from bucle.serve.openapi_answers import EXPLAIN, with_details
from bucle.serve.openapi_protocols import ARROW, protocol_paths
from bucle.serve.slots import Served

__all__ = ["PAGE_HEADERS", "describe", "example_row", "render_page"]

_PROBLEM = "application/problem+json"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
PAGE_HEADERS = (
    (b"content-security-policy", f"{_POLICY}; frame-ancestors 'none'".encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""What a browser is told beside the page: to load nothing, and to show it in no other page."""

_NO_ANSWER = f"p-{'0' * 32}"
_CALLS = (
    "From the project's folder, where the token lies; elsewhere put the token in its place. The "
    "zeros of a label stand for the id that an answer has."
)

_REFUSALS = {
    "400": "The request cannot be read.",
    "401": "The token is missing or wrong.",
    "413": "The request is too large.",
    "415": "The body is of another type than JSON.",
    "422": "A row is not what the model takes; field, value and rule are named.",
    "503": "Too much to do, or no champion yet; ask again after Retry-After seconds.",
}


def example_row(served: Served) -> dict[str, Any]:
    """Return a typical row as JSON values, from what the model was fitted on."""
    columns = served.package.profile.get("columns", {})
    return {
        feature.name: _typical(columns.get(feature.name, {}), feature.dtype)
        for feature in served.package.signature.features
    }


def describe(served: Served, *, version: str, name: str = "model") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a server whose champion is given.

    Args:
        served: The champion.
        version: Bucle's.
        name: What clients of the Open Inference Protocol call the model.
    """
    (_, answer), components = msgspec.json.schema_components(
        [served.reader.row_type, Answer], ref_template="#/components/schemas/{name}"
    )
    row = {"$ref": "#/components/schemas/Row"}
    components["Row"] = components["Row"] | {"examples": [example_row(served)]}
    components["Answer"] = with_details(components["Answer"], served.package.signature)
    components["Problem"] = _problem_schema()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bucle", "version": version, "description": _about(served)},
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"bearer": []}, {"basic": []}],
        "paths": {
            "/predict": {"post": _predict(served, row, answer)},
            "/feedback": {"post": _feed_back(served)},
            "/retrain": {"post": _ask_for_retrain()},
            **{
                path: {"get": _reading(summary, kind)}
                for path, summary, kind in (
                    ("/model", "Who answers: engine, signature, metrics, card", "application/json"),
                    ("/healthz", "Whether the worker lives", "application/json"),
                    ("/readyz", "Whether there is a champion", "application/json"),
                    ("/metrics", "Numbers of all workers, for Prometheus", "text/plain"),
                    ("/openapi.json", "This document", "application/json"),
                    ("/docs", "This document for people", "text/html"),
                )
            },
            **protocol_paths(served, name=name, row=row, example=example_row(served)),
        },
    }


def render_page(served: Served, *, name: str = "model", host: str = "") -> bytes:
    """Return the page for people: every route with a call of it, and the fields of a row.

    Args:
        served: The champion.
        name: What clients of the Open Inference Protocol call the model.
        host: Where the page was asked for, as calls name it.
    """
    rows = "".join(
        f"<tr><td><code>{_shown(feature.name)}</code></td>"
        f"<td>{_shown(feature.dtype)}</td><td>{_shown(_rule(served, feature.name))}</td>"
        "</tr>"
        for feature in served.package.signature.features
    )
    example = _shown(msgspec.json.format(msgspec.json.encode(example_row(served))).decode())
    operations = [
        (method, path, operation)
        for path, methods in describe(served, version="", name=name)["paths"].items()
        for method, operation in methods.items()
    ]
    routes = "".join(
        f"<tr><td><code>{method.upper()} {_shown(path)}</code></td>"
        f"<td>{_shown(operation['summary'])}</td></tr>"
        for method, path, operation in operations
    )
    calls = "".join(
        f"<p>{_shown(operation['summary'])}</p>"
        f"<pre>{_shown(curl_line(method, path, operation, host=host))}</pre>"
        for method, path, operation in operations
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width">'
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        f"<title>{_shown(served.model)}</title>"
        "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;"
        "max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;"
        "display:block;overflow-x:auto}td,th{text-align:left;padding:.3rem 1rem .3rem 0;"
        "border-bottom:1px solid #8884;vertical-align:top}pre{overflow-x:auto;padding:1rem;"
        "border:1px solid #8884}</style>"
        f"<h1>{_shown(served.model)}</h1><p>{_shown(_about(served))}</p>"
        f"<h2>Routes</h2><table>{routes}</table>"
        "<h2>Fields of a row</h2><table><tr><th>field<th>type<th>rule</tr>"
        f"{rows}</table><h2>A row</h2><pre>{example}</pre>"
        "<p>One object asks for one prediction, a list of objects for several. Every request needs "
        "the token: <code>Authorization: Bearer TOKEN</code>.</p>"
        f"<h2>Calls</h2><p>{_CALLS}</p>{calls}</html>"
    ).encode()


def _shown(text: str) -> str:
    """Return a text that can neither become part of the page nor turn the words around it."""
    return html.escape("".join(map(_visible, text)))


def _visible(letter: str) -> str:
    if letter == "\n" or unicodedata.category(letter) not in UNSEEN:
        return letter
    return f"\\u{ord(letter):04x}"


def _about(served: Served) -> str:
    signature = served.package.signature
    what = "the probability of yes for" if signature.kind == "classification" else "a number for"
    return f"{served.model} predicts {what} {signature.target}; engine: {served.engine.name}."


def _predict(served: Served, row: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    def one_or_many(schema: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}

    return {
        "summary": "Predict one row, or several",
        "parameters": [EXPLAIN] if served.package.can_explain else [],
        "requestBody": _in_arrow(_json_body(one_or_many(row), example=example_row(served))),
        "responses": {
            "200": _in_arrow(_json_answer("Predictions.", one_or_many(answer))),
            **_refusals(),
        },
    }


def _ask_for_retrain() -> dict[str, Any]:
    because = {"type": "string", "minLength": 1, "maxLength": 500, "pattern": r"\S"}
    schema = {
        "type": "object",
        "required": ["because"],
        "additionalProperties": False,
        "properties": {"because": because},
    }
    asked = {"type": "object", "properties": {"event": {"type": "integer"}}}
    return {
        "summary": "Ask the loop for a new model",
        "requestBody": _json_body(schema, example={"because": "prices have changed"}),
        "responses": {"202": _json_answer("It is on record.", asked), **_refusals()},
    }


def _feed_back(served: Served) -> dict[str, Any]:
    label = {
        "type": "object",
        "required": ["id", "label"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "pattern": "^p-[0-9a-f]{32}$"},
            "label": {"type": ["number", "string", "boolean"]},
            "label_time": {"type": ["string", "null"], "format": "date-time"},
            "source": {"type": "string"},
        },
    }
    schema = {"anyOf": [label, {"type": "array", "items": label, "minItems": 1}]}
    kept = {"type": "object", "properties": {"kept": {"type": "integer"}}}
    return {
        "summary": "Tell the truth about predictions",
        "requestBody": _json_body(schema, example=_example_label(served)),
        "responses": {"202": _json_answer("Labels are kept.", kept), **_refusals()},
    }


def _example_label(served: Served) -> dict[str, Any]:
    classes = served.package.signature.classes
    return {"id": _NO_ANSWER, "label": classes[-1] if classes else 1}


def _reading(summary: str, kind: str) -> dict[str, Any]:
    refusals = {code: one for code, one in _refusals().items() if code in ("401", "503")}
    return {"summary": summary, "responses": {"200": _answer(summary, kind, {}), **refusals}}


def _json_body(schema: dict[str, Any], *, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": True, "content": content}


def _json_answer(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return _answer(words, "application/json", schema)


def _answer(words: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {kind: {"schema": schema}}}


def _in_arrow(described: dict[str, Any]) -> dict[str, Any]:
    """Return a body that may be in Arrow as well."""
    return described | {"content": described["content"] | ARROW}


def _refusals() -> dict[str, Any]:
    problem = {"$ref": "#/components/schemas/Problem"}
    return {code: _answer(words, _PROBLEM, problem) for code, words in _REFUSALS.items()}


def _problem_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "try": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object"}},
        },
    }


def _rule(served: Served, name: str) -> str:
    """Return in words what the contract says of a field."""
    rule = served.reader.rules.get(name)
    if rule is None:
        return "may be null"
    said = [] if not rule.nullable else ["may be null"]
    for sign, limit in (("≥", rule.least), (">", rule.above), ("≤", rule.most), ("<", rule.below)):
        if limit is not None:
            said.append(f"{sign} {describe_limit(limit)}")
    if rule.one_of:
        said.append("one of " + ", ".join(rule.one_of))
    if rule.pattern:
        said.append(f"fits {rule.pattern}")
    return "; ".join(said)


def _typical(known: dict[str, Any], dtype: str) -> Any:
    """Return a value that is common in a column, null where nothing is known of it."""
    kind = known.get("kind")
    if kind == "number":
        middle = (known.get("quantiles") or {}).get("0.5")
        return round(middle) if middle is not None and "Int" in dtype else middle
    if kind == "word":
        top = known.get("top") or [[None]]
        return top[0][0]
    if kind == "flag":
        return True
    if kind == "date":
        return str(known.get("first", ""))[:10] or None
    if kind == "moment":
        text = str(known.get("first", "")) or None
        return text if text is None or "," in dtype else text.removesuffix("Z")
    return None
