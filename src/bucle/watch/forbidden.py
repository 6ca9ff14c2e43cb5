"""Values that the contract forbids, counted in rows that were answered all the same.

A server refuses them, so they are there only when the contract was another one, or was not asked.
Imports polars.
"""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl
from msgspec import Struct

from bucle.models.rules import Rule
from bucle.watch.examples import ROW, Example, say_value

__all__ = ["Forbidden", "find_forbidden"]

_EXAMPLES = 3
_LIMITS = ("least", "most", "above", "below")


class Forbidden(Struct, frozen=True, kw_only=True):
    """How many rows of a day have a null, or another value, that a column must not have."""

    column: str
    is_null: bool
    rows: int
    examples: tuple[Example, ...]


def find_forbidden(
    rows: pl.DataFrame, rules: Iterable[Rule], dtypes: Mapping[str, pl.DataType]
) -> tuple[Forbidden, ...]:
    """Count what rules forbid, by column.

    Limits of numbers, spans and dates are checked, lists and lengths of words and patterns; those
    of moments are not.

    Args:
        rows: With `ROW` and the columns of the rules; dates as text in ISO 8601.
        rules: What the contract says.
        dtypes: The types of the columns as a model takes them.
    """
    found: list[Forbidden] = []
    for rule in rules:
        if rule.name not in rows.columns:
            continue
        column = pl.col(rule.name)
        if not rule.nullable:
            found += _count(rows, rule.name, column.is_null(), is_null=True)
        breaks = _breaks(rule, rows.schema[rule.name], dtypes.get(rule.name))
        if breaks:
            found += _count(rows, rule.name, pl.any_horizontal(breaks), is_null=False)
    return tuple(found)


def _count(
    rows: pl.DataFrame, column: str, is_broken: pl.Expr, *, is_null: bool
) -> Sequence[Forbidden]:
    broken = rows.filter(is_broken.fill_null(value=False))
    if not broken.height:
        return ()
    return (
        Forbidden(
            column=column,
            is_null=is_null,
            rows=broken.height,
            examples=tuple(
                Example(id=str(name), value=say_value(value))
                for name, value in broken.head(_EXAMPLES).select(ROW, column).iter_rows()
            ),
        ),
    )


def _breaks(rule: Rule, held: pl.DataType, taken: pl.DataType | None) -> list[pl.Expr]:
    """Return what is true of a row whose value the rule forbids."""
    column = pl.col(rule.name)
    found: list[pl.Expr] = []
    is_date = taken == pl.Date and held == pl.String
    for name in _LIMITS:
        limit = getattr(rule, name)
        if limit is None or not (is_date if isinstance(limit, str) else held.is_numeric()):
            continue
        found.append(
            {
                "least": column < limit,
                "most": column > limit,
                "above": column <= limit,
                "below": column >= limit,
            }[name]
        )
    if held == pl.String and not is_date:
        if rule.one_of is not None:
            found.append(~column.is_in(list(rule.one_of)))
        if rule.shortest is not None:
            found.append(column.str.len_chars() < rule.shortest)
        if rule.longest is not None:
            found.append(column.str.len_chars() > rule.longest)
        if rule.pattern is not None:
            found.append(~column.str.contains(rule.pattern, strict=False))
    return found
