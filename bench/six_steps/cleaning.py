"""Cleaning shared by several steps: what a helper module of a project looks like."""

import polars as pl

NUMBERS = ("Line Item Quantity", "Line Item Value", "Pack Price", "Unit of Measure (Per Pack)")
DATES = ("%d-%b-%y", "%m/%d/%y")
FLOOR = 0.0001


def to_number(name: str) -> pl.Expr:
    """Read a column of text as numbers; words become null."""
    return pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)


def to_date(name: str) -> pl.Expr:
    """Read a column of text as dates in either of two forms."""
    return pl.coalesce(pl.col(name).str.to_date(form, strict=False) for form in DATES)
