"""What of a contract a server can check, and what of it the rows themselves do not keep."""

import dataframely as dy
import polars as pl

from bucle.models.rules import Rule, rules_of
from bucle.models.signature import signature_of


class Sales(dy.Schema):
    size = dy.Float64(min=0, max_exclusive=9)
    code = dy.String(regex="^[A-Z]", min_length=2, max_length=4)
    count = dy.Int64(nullable=True, min_exclusive=0, max=7)
    odd = dy.String(regex=r"\p{Greek}+")
    other = dy.Float64(min=0)


ROWS = pl.DataFrame(
    {
        "size": [1.0, 8.0],
        "code": ["AB", "C12"],
        "count": [1, None],
        "odd": ["α", "β"],
        "new": [1, 2],
    }
)


def rules(frame: pl.DataFrame) -> dict[str, Rule]:
    signature = signature_of(frame, kind="regression", target="price")
    return {rule.name: rule for rule in rules_of(Sales, signature, frame)}


def test_limits_lengths_and_patterns_are_kept() -> None:
    found = rules(ROWS)
    assert found["size"] == Rule(name="size", nullable=False, least=0, below=9)
    assert found["code"] == Rule(
        name="code", nullable=False, pattern="^[A-Z]", shortest=2, longest=4
    )
    assert found["count"] == Rule(name="count", above=0, most=7)
    # A pattern that only polars reads is left to the contract.
    assert found["odd"] == Rule(name="odd", nullable=False)
    assert "new" not in found


def test_a_rule_that_the_rows_break_is_none_of_theirs() -> None:
    frame = ROWS.with_columns(pl.Series("size", [-1.0, 12.0]), pl.Series("code", ["a", None]))
    found = rules(frame)
    assert found["size"] == Rule(name="size", nullable=False)
    assert found["code"] == Rule(name="code", longest=4)


def test_a_column_of_another_type_is_another_column() -> None:
    assert "size" not in rules(ROWS.with_columns(pl.col("size").cast(pl.String)))
