"""What a value of a column may be, as the data contract says it: part of a model package.

Plain values that a server can check without the project's code. Imports nothing heavy; polars only
when rules are read from a contract.
"""

import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from bucle.models.signature import Signature, dtypes_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Limit", "Rule", "moment_of", "rules_of"]

Limit = float | int | str
_LIMITS = (int, float, date, time, timedelta)
_KINDS: dict[str, Any] = {"Date": date, "Datetime": datetime, "Time": time, "Duration": timedelta}
_ORDERED = ("least", "most", "above", "below")


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the values of one column may be; what is None is not limited.

    Limits of dates, moments, times of day and spans are texts in ISO 8601. `pattern` is a regular
    expression that is searched for in a text.
    """

    name: str
    nullable: bool = True
    least: Limit | None = None
    most: Limit | None = None
    above: Limit | None = None
    below: Limit | None = None
    one_of: tuple[str, ...] | None = None
    pattern: str | None = None
    shortest: int | None = None
    longest: int | None = None


def rules_of(schema: Any, signature: Signature, rows: "pl.DataFrame") -> tuple[Rule, ...]:
    """Return what a contract says of the columns a model takes.

    A step may give a column of the contract another meaning under the same name: a rule that the
    rows break on which the model was fitted is none of theirs, and is left out.

    Args:
        schema: A dataframely schema, whose columns are those of the dataset.
        signature: What the model takes.
        rows: The rows it was fitted on.
    """
    found = []
    columns = schema.columns()
    dtypes = dtypes_of(signature)
    for feature in signature.features:
        column = columns.get(feature.name)
        if column is None or not _is_same(column.dtype, dtypes[feature.name]):
            continue
        values = rows.get_column(feature.name)
        rule = _kept(_read(feature.name, column), values, feature.dtype)
        if rule != Rule(name=feature.name):
            found.append(rule)
    return tuple(found)


def moment_of(limit: Limit | None, dtype: str) -> Any:
    """Return a limit of dates or times as Python's value; None where it is none of that type.

    Example:
        >>> moment_of("2024-01-31", "Date")
        datetime.date(2024, 1, 31)
    """
    kind = _KINDS.get(dtype.partition("[")[0])
    if kind is None or not isinstance(limit, str):
        return None
    try:
        found = msgspec.convert(limit, kind)
    except msgspec.ValidationError:
        return None
    # Neither Python nor polars compares moments of a zone with moments without.
    if isinstance(found, datetime) and (found.tzinfo is not None) != ("," in dtype):
        return None
    return found


def _is_same(contracted: "pl.DataType", taken: "pl.DataType") -> bool:
    """Tell whether a model takes a column as the contract has it."""
    import polars as pl  # noqa: PLC0415  (with polars, when packaging)

    if isinstance(contracted, (pl.Categorical, pl.Enum)):
        return taken == pl.String
    if isinstance(contracted, pl.Datetime) and isinstance(taken, pl.Datetime):
        return contracted.time_zone == taken.time_zone
    if isinstance(contracted, pl.Duration):
        return isinstance(taken, pl.Duration)
    return contracted == taken


def _read(name: str, column: Any) -> Rule:
    limits: dict[str, Any] = {
        ours: value if isinstance(value, int | float) else msgspec.to_builtins(value)
        for ours, theirs in (
            ("least", "min"),
            ("most", "max"),
            ("above", "min_exclusive"),
            ("below", "max_exclusive"),
        )
        if isinstance(value := getattr(column, theirs, None), _LIMITS)
    }
    lengths: dict[str, Any] = {
        ours: value
        for ours, theirs in (("shortest", "min_length"), ("longest", "max_length"))
        if isinstance(value := getattr(column, theirs, None), int)
    }
    return Rule(
        name=name,
        nullable=bool(column.nullable),
        one_of=_words(getattr(column, "categories", None)),
        pattern=_pattern(getattr(column, "regex", None)),
        **limits,
        **lengths,
    )


def _words(found: Any) -> tuple[str, ...] | None:
    """Return a closed list of words; None where there is none."""
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        return None
    return tuple(found) or None


def _pattern(text: Any) -> str | None:
    """Return a pattern that Python reads as well: a contract's are for polars."""
    try:
        re.compile(text)
    except (re.error, TypeError):
        return None
    return str(text)


def _kept(rule: Rule, values: "pl.Series", dtype: str) -> Rule:
    """Return a rule without the parts that values break, or that cannot be compared with them."""
    import polars as pl  # noqa: PLC0415  (with polars, when packaging)
    from msgspec.structs import replace  # noqa: PLC0415  (as above)

    if values.null_count():
        rule = replace(rule, nullable=True)
    known = values.drop_nulls()
    for part, breaks in (
        ("least", lambda limit: known < limit),
        ("most", lambda limit: known > limit),
        ("above", lambda limit: known <= limit),
        ("below", lambda limit: known >= limit),
        ("one_of", lambda limit: ~known.cast(pl.String).is_in(limit)),
        ("pattern", lambda limit: ~known.str.contains(limit)),
        ("shortest", lambda limit: known.str.len_chars() < limit),
        ("longest", lambda limit: known.str.len_chars() > limit),
    ):
        limit = getattr(rule, part)
        if limit is None:
            continue
        value = moment_of(limit, dtype) if part in _ORDERED and type(limit) is str else limit
        if value is None or breaks(value).any():
            rule = replace(rule, **{part: None})
    return rule
