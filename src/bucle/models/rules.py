"""What a value of a column may be, as the data contract says it: part of a model package.

Plain values that a server can check without the project's code. Imports nothing heavy; polars only
when rules are read from a contract.
"""

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bucle.models.signature import Signature

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Rule", "rules_of"]


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the values of one column may be; what is None is not limited.

    `pattern` is a regular expression that is searched for in a text.
    """

    name: str
    nullable: bool = True
    least: float | int | None = None
    most: float | int | None = None
    above: float | int | None = None
    below: float | int | None = None
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
    for feature in signature.features:
        column = columns.get(feature.name)
        if column is None or str(column.dtype).split("(", maxsplit=1)[0] != feature.dtype:
            continue
        rule = _kept(_read(feature.name, column), rows.get_column(feature.name))
        if rule != Rule(name=feature.name):
            found.append(rule)
    return tuple(found)


def _read(name: str, column: Any) -> Rule:
    limits: dict[str, Any] = {
        ours: value
        for ours, theirs in (
            ("least", "min"),
            ("most", "max"),
            ("above", "min_exclusive"),
            ("below", "max_exclusive"),
        )
        if isinstance(value := getattr(column, theirs, None), int | float)
    }
    lengths: dict[str, Any] = {
        ours: value
        for ours, theirs in (("shortest", "min_length"), ("longest", "max_length"))
        if isinstance(value := getattr(column, theirs, None), int)
    }
    return Rule(
        name=name,
        nullable=bool(column.nullable),
        pattern=_pattern(getattr(column, "regex", None)),
        **limits,
        **lengths,
    )


def _pattern(text: Any) -> str | None:
    """Return a pattern that Python reads as well: a contract's are for polars."""
    try:
        re.compile(text)
    except (re.error, TypeError):
        return None
    return str(text)


def _kept(rule: Rule, values: "pl.Series") -> Rule:
    """Return a rule without the parts that values break."""
    from msgspec.structs import replace  # noqa: PLC0415  (with polars, when packaging)

    if values.null_count():
        rule = replace(rule, nullable=True)
    known = values.drop_nulls()
    for part, breaks in (
        ("least", lambda limit: known < limit),
        ("most", lambda limit: known > limit),
        ("above", lambda limit: known <= limit),
        ("below", lambda limit: known >= limit),
        ("pattern", lambda limit: ~known.str.contains(limit)),
        ("shortest", lambda limit: known.str.len_chars() < limit),
        ("longest", lambda limit: known.str.len_chars() > limit),
    ):
        limit = getattr(rule, part)
        if limit is not None and breaks(limit).any():
            rule = replace(rule, **{part: None})
    return rule
