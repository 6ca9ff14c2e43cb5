"""Numbers as people read them in a verdict. Pure text; imports nothing."""

import math

__all__ = ["LIKENESS", "say_amount", "say_percent", "warn_of_tail"]

LIKENESS = "likeness"
"""What the check is called that lays new rows beside those before."""

_FEW_DIGITS = 1_000
_MANY_DIGITS = 10_000_000
_WIDE_PERCENT = 1_000.0
_SMALL = 0.001
_HEAVY = 0.5


def say_amount(value: float | None) -> str:
    """Write a measured amount with three or four meaningful digits.

    Example:
        >>> say_amount(0.41273), say_amount(12345.6), say_amount(None), say_amount(float("inf"))
        ('0.4127', '12,346', '?', '?')
    """
    if value is None or not math.isfinite(value):
        return "?"
    if abs(value) >= _MANY_DIGITS:
        return f"{value:.3g}"
    if abs(value) >= _FEW_DIGITS:
        return f"{value:,.0f}"
    if value == 0 or abs(value) >= _SMALL:
        return f"{value:.4g}"
    return f"{value:.2e}"


def say_percent(value: float | None, *, signed: bool = False) -> str:
    """Write a share as a percentage with one decimal.

    Example:
        >>> say_percent(0.052), say_percent(0.052, signed=True), say_percent(-2.0)
        ('5.2 %', '+5.2 %', '-200.0 %')
    """
    if value is None or not math.isfinite(value):
        return "?"
    # A rounded minus zero would read as a loss.
    rounded = round(100.0 * value, 1) + 0.0
    if abs(rounded) >= _WIDE_PERCENT:
        return f"{rounded:+.3g} %" if signed else f"{rounded:.3g} %"
    return f"{rounded:+.1f} %" if signed else f"{rounded:.1f} %"


def warn_of_tail(tail: float) -> str:
    """Warn when so few rows carry the spread that an interval is too narrow; else empty.

    Example:
        >>> warn_of_tail(0.3), warn_of_tail(0.9)
        ('', '; careful: very few rows carry 90 % of the spread, the interval is too narrow')
    """
    if tail <= _HEAVY:
        return ""
    return (
        f"; careful: very few rows carry {100.0 * tail:.0f} % of the spread, "
        "the interval is too narrow"
    )
