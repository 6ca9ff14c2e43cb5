"""Refusals as clients see them: problem details (RFC 9457) that name field, value and rule.

Each is an error of the one tree, so that a refusal reads the same over HTTP, in a log and on a
terminal. Imports msgspec and nothing heavy.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
from msgspec import Struct

from bucle.errors import RequestError, nearest

__all__ = [
    "MEDIA_TYPE",
    "BadRow",
    "ProblemError",
    "RowsRefusedError",
    "nothing_to_predict",
    "problem_body",
    "unreadable",
    "why_unreadable",
]

MEDIA_TYPE = b"application/problem+json"

_Pairs = tuple[tuple[bytes, bytes], ...]

_REASONS = {
    "is missing": "missing",
    "is not a field of the model": "unknown field",
    "is there twice": "twice",
    "Expected a finite number": "not finite",
}

_CUT_SHORT = "Input data was truncated"
_HALF = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class BadRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing wrong with one row; `row` counts from 0, None where the request is a single row."""

    row: int | None = None
    field: str = ""
    value: str = ""
    rule: str = ""
    did_you_mean: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        row: int | None,
        field: str,
        *,
        value: str = "",
        rule: str = "",
        near: Sequence[str] = (),
    ) -> Self:
        """Return what is wrong, with near names where a field is none of the known ones."""
        close = nearest(field, list(near)) if near else ()
        return cls(row=row, field=field, value=value, rule=rule, did_you_mean=close)

    @property
    def reason(self) -> str:
        """What kind of thing is wrong: one of a few words."""
        return _REASONS.get(self.rule) or ("type" if ", got " in self.rule else "value")

    @property
    def words(self) -> str:
        """The same in one line, with the row."""
        return f"{'the row' if self.row is None else f'row {self.row}'}: {self.fault}"

    @property
    def fault(self) -> str:
        """What is wrong in one line: field, rule and value."""
        value = f" (is {self.value})" if self.value else ""
        rule = f"{self.rule}{value}"
        if not self.field and self.rule not in _REASONS:
            return f"{rule[:1].lower()}{rule[1:]}"
        # A rule goes on with the field, or stands for itself.
        stands = self.rule[:1].isupper()
        said = f": {rule[0].lower()}{rule[1:]}" if stands else f" {rule}"
        return f"{self.field!r}{said}"


class ProblemError(RequestError):
    """A request is refused.

    Args:
        status: The HTTP status.
        what: What was refused.
        headers: Further headers of the answer; in pairs where one stands there twice.
        fields: As for every error: cause, attempt, code.
    """

    code = "bucle-330"

    def __init__(
        self,
        status: int,
        what: str,
        *,
        headers: Mapping[bytes, bytes] | _Pairs = (),
        **fields: Any,
    ) -> None:
        self.status = status
        self.headers: _Pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
        super().__init__(what, **fields)

    @property
    def errors(self) -> tuple[BadRow, ...]:
        """What is wrong row by row, where rows are what is wrong."""
        return ()


class RowsRefusedError(ProblemError):
    """Rows are not what the model takes.

    Args:
        bad: What is wrong, at most twenty of them.
    """

    code = "bucle-331"

    def __init__(self, bad: Sequence[BadRow]) -> None:
        self._bad = tuple(bad)
        super().__init__(
            422,
            "Cannot predict: " + (bad[0].words if bad else "a row is not what the model takes"),
            cause="; ".join(one.words for one in bad[1:4]),
            attempt="GET /model shows the fields and their types",
        )

    @property
    def errors(self) -> tuple[BadRow, ...]:
        """What is wrong with each row."""
        return self._bad


def problem_body(problem: ProblemError, *, named: bool = False) -> bytes:
    """Return the body of an answer that refuses; holds nothing of the server's inside.

    Args:
        problem: What is refused.
        named: Say it under the name `error` as well.
    """
    details: dict[str, Any] = {
        "type": f"urn:bucle:{problem.code}",
        "title": problem.what,
        "status": problem.status,
        "code": problem.code,
    }
    if problem.cause:
        details["detail"] = problem.cause
    if problem.attempt:
        details["try"] = problem.attempt
    if problem.errors:
        details["errors"] = problem.errors
    if named:
        details["error"] = problem.what + (f": {problem.cause}" if problem.cause else "")
    return msgspec.json.encode(details)


def unreadable(error: Exception, body: bytes = b"") -> ProblemError:
    """Return the refusal of a body that cannot be read at all."""
    return ProblemError(
        400 if not isinstance(error, msgspec.ValidationError) else 422,
        "Cannot read the request",
        cause=why_unreadable(error, body),
        attempt='{"field": value} for one row, [{…}, {…}] for several',
        code="bucle-332",
    )


def why_unreadable(error: Exception, body: bytes = b"") -> str:
    """Return in words why a body is no JSON, or not the JSON that was asked for.

    Example:
        >>> why_unreadable(msgspec.DecodeError("Input data was truncated"), b" ")
        'the body is empty'
    """
    said = str(error)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "a text in it is not in UTF-8"
    if said.startswith(_CUT_SHORT) and not body.strip():
        return "the body is empty"
    # The decoder misses the second half before it looks at what stands in its place.
    if "surrogate" in said or (said.startswith(_CUT_SHORT) and _HALF.search(body[-16:])):
        return "a text in it has half of a character (a lone surrogate, \\ud800 to \\udfff)"
    return "it ends too early" if said.startswith(_CUT_SHORT) else said


def nothing_to_predict() -> ProblemError:
    """Return the refusal of a list without rows."""
    return ProblemError(
        422,
        "Cannot predict: the request holds no row",
        attempt="[{…}]",
        code="bucle-332",
    )
