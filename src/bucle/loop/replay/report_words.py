"""Text and numbers as the report of a replay shows them. Pure text; imports nothing heavy.

Whatever came from a project passes through `escaped` or `named` before it stands in the page.
"""

import html
import math
import re
from collections.abc import Callable, Iterable

__all__ = [
    "column_of",
    "counted",
    "escaped",
    "finite",
    "named",
    "say_axis",
    "say_level",
    "say_share",
]

# Nothing of Bucle reaches these; sums of them stay finite.
_LARGEST = 1e300
_WIDE = 1e15
_SMALL = 1e-4
_WIDE_PERCENT, _FULL = 1e6, 100.0
_UNITS = ((1e9, " bn"), (1e6, " M"), (1e3, " k"))
# Control characters, lone surrogates and what reverses the text after it have no place in a page.
# Mere marks of direction stay, because names are isolated from the text around them.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
_NONE = "–"


def escaped(text: str) -> str:
    r"""Return text that a page shows as it is, also inside a quoted attribute.

    Example:
        >>> escaped('<b> & "c"\x00')
        '&lt;b&gt; &amp; &quot;c&quot;\ufffd'
    """
    return html.escape(_UNFIT.sub("\ufffd", text), quote=True)


def named(text: str) -> str:
    """Return a name of the project, kept apart from the direction of the text around it.

    Example:
        >>> named("never")
        '<bdi>never</bdi>'
    """
    return f"<bdi>{escaped(text)}</bdi>"


def finite(value: float | None) -> float | None:
    """Return a number that can be drawn; None for one that cannot.

    Example:
        >>> finite(2.0), finite(float("inf")), finite(None)
        (2.0, None, None)
    """
    if value is None or not math.isfinite(value):
        return None
    return min(max(value, -_LARGEST), _LARGEST)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is needed.

    Example:
        >>> counted(1, "period"), counted(12345, "row")
        ('1 period', '12,345 rows')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def say_share(value: float | None, *, signed: bool = False) -> str:
    """Write a share as a percentage that keeps a meaningful digit.

    Example:
        >>> say_share(0.1484, signed=True), say_share(-0.015), say_share(7.2, signed=True)
        ('+14.8 %', '−1.5 %', '+720 %')
    """
    number = finite(value)
    if number is None:
        return _NONE
    percent = 100.0 * number
    if abs(percent) >= _WIDE_PERCENT:
        text = f"{percent:.1e}"
    else:
        # A rounded minus zero would read as a loss.
        rounded = round(percent, 1) + 0.0
        text = f"{rounded:,.{0 if abs(rounded) >= _FULL else 1}f}"
    return _sign(float(text.replace(",", "")), signed=signed) + _minus(text) + " %"


def say_axis(value: float) -> str:
    """Write the label of a tick, as short as it can be.

    Example:
        >>> say_axis(0.25), say_axis(2_500_000.0), say_axis(0.0), say_axis(1e20)
        ('0.25', '2.5 M', '0', '1e20')
    """
    size = abs(value)
    if size and (size >= _WIDE or size < _SMALL):
        return _minus(f"{value:.3g}".replace("e+", "e").replace("e-0", "e-"))
    for unit, sign in _UNITS:
        if size >= unit:
            return _minus(f"{value / unit:.4g}{sign}")
    return _minus(f"{value:.4g}")


def say_level(level: float) -> str:
    """Write how sure an interval is.

    Example:
        >>> say_level(0.9), say_level(0.995)
        ('90 %', '99.5 %')
    """
    return f"{100 * level:.4g} %"


def column_of(
    values: Iterable[float | None], *, signed: bool = False
) -> Callable[[float | None], str]:
    """Return how the numbers of one column are written: all with the same decimals.

    Example:
        >>> [column_of([0.46, 12.0])(value) for value in (0.46, 12.0, None)]
        ['0.46', '12.00', '–']
        >>> column_of([16.3e6])(-14.5e6)
        '−14,500,000'
    """
    sizes = [abs(one) for one in map(finite, values) if one]
    largest = max(sizes, default=1.0)
    if largest >= _WIDE or largest < _SMALL:
        return lambda value: _scientific(finite(value), signed=signed)
    decimals = min(max(3 - math.floor(math.log10(largest)), 0), 6)

    def say(value: float | None) -> str:
        number = finite(value)
        if number is None:
            return _NONE
        # A rounded minus zero would read as a gain.
        rounded = round(number, decimals) + 0.0
        return _sign(rounded, signed=signed) + _minus(f"{rounded:,.{decimals}f}")

    return say


def _scientific(value: float | None, *, signed: bool) -> str:
    if value is None:
        return _NONE
    return _sign(value, signed=signed) + _minus(f"{value:.2e}") if value else "0"


def _sign(value: float, *, signed: bool) -> str:
    return "+" if signed and value > 0 else ""


def _minus(text: str) -> str:
    # A hyphen is narrower than the digits it stands before; only a leading one is a sign.
    return "−" + text[1:] if text.startswith("-") else text
