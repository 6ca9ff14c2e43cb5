"""Rows as requests bring them: decoded, typed and checked at once, by the model's signature.

A decoder is made once for a model and used for every request; what is wrong is worked out only
when something is wrong. Imports msgspec and nothing heavy.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bucle.errors import PackageError
from bucle.models.rules import Rule
from bucle.models.signature import Feature, Signature
from bucle.serve.bounds import Bounds
from bucle.serve.not_finite import find_not_finite
from bucle.serve.problems import BadRow, RowsRefusedError, nothing_to_predict, unreadable

__all__ = ["Row", "RowReader"]

Row = tuple[Any, ...]

_INTEGERS: dict[str, tuple[int, int]] = {
    "Int8": (-(2**7), 2**7 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt8": (0, 2**8 - 1),
    "UInt16": (0, 2**16 - 1),
    "UInt32": (0, 2**32 - 1),
    "UInt64": (0, 2**64 - 1),
}
_astuple = msgspec.structs.astuple
_only_key = attrgetter("k0")
_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_META: Any = Meta  # its limits are given by name
_LARGEST_HELD = 2**63 - 1
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<at>.*)`)?$", re.DOTALL)
_NAMED = re.compile(
    r"^Object (?P<how>missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL
)
_INDEX = re.compile(r"^\[(?P<index>\d+)\]")
_TEMPORAL = re.compile(r"Date|Time|Duration")
_TEXT = frozenset({str, type(None)})
_COLON = ord(":")
_LONG_BYTES = 8192
_MOST_REPORTED = 20
_MOST_SHOWN = 80


class RowReader:
    """Reads the rows of one model from JSON.

    Every feature must be there and no other field but those of the key. A field is null only
    where its rule allows it. Numbers are finite; whole numbers stand for numbers with decimals,
    words never for numbers.

    Args:
        signature: What the model takes.
        rules: What the contract says of its columns.
        keys: Fields that name a row and may come with it, without being a feature.

    Raises:
        PackageError: A name or a rule is one that no decoder can be made for.
    """

    def __init__(
        self, signature: Signature, *, rules: Iterable[Rule] = (), keys: Sequence[str] = ()
    ) -> None:
        self.features = tuple(feature.name for feature in signature.features)
        self.dtypes = {feature.name: feature.dtype for feature in signature.features}
        self.keys = tuple(name for name in keys if name not in self.features)
        self.rules: Mapping[str, Rule] = {rule.name: rule for rule in rules}
        fields: list[Any] = [
            (f"f{number}", _type_of(feature, self.rules.get(feature.name)))
            for number, feature in enumerate(signature.features)
        ]
        fields += [(f"k{number}", str | int | None, None) for number in range(len(self.keys))]
        self.fields = names = (*self.features, *self.keys)
        _require_names(names)
        self.row_type: type[Struct] = msgspec.defstruct(
            "Row",
            fields,
            rename={field[0]: name for field, name in zip(fields, names, strict=True)},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._one = msgspec.json.Decoder(self.row_type)
        self._many = msgspec.json.Decoder(self.row_type | list[self.row_type])  # type: ignore[name-defined]
        self._width = len(self.features)
        self._bounds = Bounds(signature, self.rules) or None
        self._is_plain = not any(_TEMPORAL.match(dtype) for dtype in self.dtypes.values())

    def read(self, body: bytes) -> tuple[list[Struct], bool]:
        """Return the rows of a request, and whether it was one row rather than a list of them.

        Raises:
            RowsRefusedError: A row is not what the model takes; all that is wrong is named.
            ProblemError: The body is no JSON, or holds no row.
        """
        try:
            found = self._many.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._explain(body, error) from None
        rows: list[Struct] = found if isinstance(found, list) else [found]
        if not rows:
            raise nothing_to_predict()
        # With no more colons than fields each is there once; texts may hold some of their own.
        colons = body.count(b":") if len(body) < _LONG_BYTES else _count_colons(body)
        if colons > self._width * len(rows) and colons > self._fields(rows):
            self._refuse_twins(body)
        if self._bounds is not None:
            self._refuse_beyond(self._bounds, rows, several=rows is found)
        return rows, rows is not found

    def read_values(self, rows: Iterable[Mapping[str, Any]]) -> list[Struct]:
        """Return rows that were decoded elsewhere, checked in the same way.

        Raises:
            RowsRefusedError: A row is not what the model takes.
        """
        return self.read(msgspec.json.encode(list(rows)))[0]

    def values(self, row: Struct) -> Row:
        """Return a row's features in the order of the signature."""
        return _astuple(row)[: self._width]

    def columns(self, rows: Iterable[Struct]) -> list[Row]:
        """Return the values of rows by field: the features, then the keys."""
        return list(zip(*map(_astuple, rows), strict=True))

    def pack(self, columns: Sequence[Row]) -> bytes:
        """Return columns in the form in which `PredictionColumns` holds them."""
        if self._is_plain and all(_is_text(column) for column in columns[self._width :]):
            return _pack(columns)
        # MessagePack has its own moments, which forget their zone, and no very large numbers.
        return _encode(columns)

    def encode(self, row: Struct) -> bytes:
        """Return a row as JSON, under the names of its fields."""
        return _encode(row)

    def key(self, row: Struct) -> str | None:
        """Return what names a row, None where nothing does."""
        if not self.keys:
            return None
        if len(self.keys) == 1:
            only = _only_key(row)
            return None if only is None else str(only)
        return _join(_astuple(row)[self._width :])

    def key_column(self, columns: Sequence[Row]) -> list[str | None] | None:
        """Return what names each row; None where nothing names any of them."""
        own = columns[self._width :]
        # A column of nothing is found quickly: most clients send no key.
        if not own or any(column.count(None) == len(column) for column in own):
            return None
        return [_join(parts) for parts in zip(*own, strict=True)]

    def _fields(self, rows: list[Struct]) -> int:
        """Return how many fields rows have at least: their features, and keys that are not null."""
        count = self._width * len(rows)
        if self.keys:
            for row in rows:
                own = _astuple(row)[self._width :]
                count += len(own) - own.count(None)
        return count

    def _explain(self, body: bytes, error: Exception) -> Exception:
        """Return what is wrong with a body, row by row where it can be read at all."""
        if not isinstance(error, msgspec.ValidationError):
            return self._unread(body, error)
        first = body.lstrip()[:1]
        if first not in (b"[", b"{"):
            return unreadable(error, body)
        several = first == b"["
        try:
            parts = msgspec.json.decode(body, type=list[msgspec.Raw]) if several else [body]
        except (msgspec.DecodeError, RecursionError) as fault:
            return self._unread(body, fault)
        bad: list[BadRow] = []
        for number, part in enumerate(parts):
            content = bytes(part)
            try:
                self._one.decode(content)
            except msgspec.ValidationError as fault:
                bad.append(self._fault(number if several else None, content, fault))
                if len(bad) == _MOST_REPORTED:
                    break
        return RowsRefusedError(bad) if bad else unreadable(error, body)

    def _unread(self, body: bytes, error: Exception) -> Exception:
        """Return why a body is no JSON; with the field where that is for a number that is none."""
        known = (*self.features, *self.keys)
        odd = find_not_finite(body, known, most=_MOST_REPORTED)
        return RowsRefusedError(odd) if odd else unreadable(error, body)

    def _fault(self, number: int | None, content: bytes, fault: Exception) -> BadRow:
        found = _PLACE.match(str(fault))
        what, at = (found["what"], found["at"] or "") if found else (str(fault), "")
        named = _NAMED.match(what)
        if named:
            how = (
                "is missing"
                if named["how"].startswith("missing")
                else "is not a field of the model"
            )
            near = (*self.features, *self.keys) if how.startswith("is not") else ()
            return BadRow.of(number, _cut(named["name"]), rule=how, near=near)
        field = at.removeprefix(".")
        rule = self.rules.get(field)
        if rule is not None and rule.one_of and what.startswith("Invalid enum value"):
            what = f"is none of {_cut(', '.join(map(repr, rule.one_of)))}"
        return BadRow.of(number, field, value=_shown(content, field), rule=_in_words(what))

    def _refuse_beyond(self, bounds: Bounds, rows: list[Struct], *, several: bool) -> None:
        """Raise when a date or a time is beyond a limit of the contract."""
        found = bounds.broken([_astuple(row) for row in rows], most=_MOST_REPORTED)
        if found:
            raise RowsRefusedError(
                [msgspec.structs.replace(one, row=at if several else None) for at, one in found]
            )

    def _refuse_twins(self, body: bytes) -> None:
        """Raise when an object names a field twice: no reader agrees on which one counts."""
        twins: list[str] = []

        def pairs(found: list[tuple[str, Any]]) -> None:
            seen: set[str] = set()
            for name, _ in found:
                if name in seen and not twins:
                    twins.append(name)
                seen.add(name)

        json.loads(body, object_pairs_hook=pairs)
        if twins:
            raise RowsRefusedError([BadRow.of(None, twins[0], rule="is there twice")])


def _count_colons(body: bytes) -> int:
    """Return how many colons a long body holds."""
    import numpy as np  # noqa: PLC0415  (four times as fast, and here with the model already)

    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == _COLON))


def _is_text(column: Row) -> bool:
    """Tell whether a column holds words and nulls only."""
    return _TEXT.issuperset(map(type, column))


def _join(parts: Row) -> str | None:
    """Return the name that keys give a row; None where one of them is missing."""
    return None if None in parts else "|".join(map(str, parts))


def _type_of(feature: Feature, rule: Rule | None) -> Any:
    """Return the type that a field must have, its limits included."""
    limits = _limits(rule) if rule else {}
    base: Any
    if feature.dtype in _INTEGERS:
        least, most = _INTEGERS[feature.dtype]
        base = Annotated[int, _META(**_whole(limits, least, min(most, _LARGEST_HELD)))]
    elif feature.dtype.startswith("Float"):
        limits = _tighter(limits)
        base = Annotated[float, _META(**limits)] if limits else float
    elif feature.dtype == "Boolean":
        base = bool
    elif feature.dtype == "String":
        base = _text(rule)
    elif feature.dtype == "Date":
        base = date
    elif feature.dtype == "Time":
        base = Annotated[time, Meta(tz=False)]
    elif feature.dtype.startswith("Datetime"):
        base = Annotated[datetime, Meta(tz="," in feature.dtype)]
    elif feature.dtype.startswith("Duration"):
        base = timedelta
    else:
        return None  # the model has seen nothing else in this column
    return base | None if rule is None or rule.nullable else base


def _limits(rule: Rule) -> dict[str, Any]:
    named = {"ge": rule.least, "le": rule.most, "gt": rule.above, "lt": rule.below}
    return {
        name: limit
        for name, limit in named.items()
        if isinstance(limit, int | float) and math.isfinite(limit)
    }


def _tighter(limits: dict[str, Any]) -> dict[str, Any]:
    """Return at most one limit for each side: of two, the one that lets less pass."""
    found = dict(limits)
    if "ge" in found and "gt" in found:
        found.pop("ge" if found["gt"] >= found["ge"] else "gt")
    if "le" in found and "lt" in found:
        found.pop("le" if found["lt"] <= found["le"] else "lt")
    return found


def _whole(limits: dict[str, Any], least: int, most: int) -> dict[str, int]:
    """Return limits of whole numbers: the tighter ones, and those of the type."""
    low = max(
        least, math.ceil(limits.get("ge", least)), math.floor(limits.get("gt", least - 1)) + 1
    )
    high = min(most, math.floor(limits.get("le", most)), math.ceil(limits.get("lt", most + 1)) - 1)
    return {"ge": low, "le": high}


def _text(rule: Rule | None) -> Any:
    if rule is None:
        return str
    if rule.one_of:
        return Literal[rule.one_of]
    limits = {
        "pattern": rule.pattern,
        "min_length": rule.shortest,
        "max_length": rule.longest,
    }
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return Annotated[str, _META(**given)] if given else str


def _shown(content: bytes, field: str) -> str:
    """Return a value as it came, cut short; empty where it cannot be found."""
    try:
        row = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        row = {}
    found = row.get(field)
    return _cut((content if found is None else bytes(found)).decode("utf-8", "replace"))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _require_names(names: Iterable[str]) -> None:
    for name in names:
        if '"' in name or "\\" in name or any(letter < " " for letter in name):
            raise PackageError(
                f"Cannot serve a model with a column called {name!r}",
                cause="a field over HTTP has no quote, no backslash and no control character",
                attempt="rename the column in a step of pipeline.py, and bucle run",
                code="bucle-331",
            )


_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "date": "a date such as 2024-01-31",
    "datetime": "a moment such as 2024-01-31T12:00:00Z",
    "time": "a time such as 12:00:00",
    "duration": "a span such as PT1H",
    "object": "an object",
    "array": "a list",
}


def _in_words(what: str) -> str:
    """Return a decoder's complaint in the words of the API."""
    what = re.sub(r"^Invalid (?:RFC3339 encoded|ISO8601) ([a-z]+)$", r"Expected `\1`", what)
    return re.sub(r"`([a-z]+(?: \| [a-z]+)*)`", _plain, what)


def _plain(found: "re.Match[str]") -> str:
    return " or ".join(_WORDS.get(part, part) for part in found[1].split(" | "))
