"""Small charts as SVG that fits the width it is given, without a script.

Places are shares of the plot, so that lines stretch with the page while text, strokes and dots
keep their size. Colours come from the page's style sheet by class, so that a chart is right on
light and on dark paper. Text that comes in must already be escaped. Imports nothing heavy.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

from msgspec import Struct

from bucle.loop.replay.report_words import say_axis

__all__ = [
    "Band",
    "Label",
    "Line",
    "Scale",
    "draw_axis",
    "draw_lane",
    "draw_lines",
    "draw_small",
    "draw_strip",
    "fit",
]

_Place: TypeAlias = tuple[float, float]

_UNIT = 1000
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_EDGE = 0.06


class Scale(Struct, frozen=True, kw_only=True):
    """Where a value stands between the two ends of an axis, as a share of its length."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return 0 at the low end, 1 at the high end, and beyond them outside.

        Example:
            >>> fit([0.0, 10.0]).share(5.0), fit([1.0, 100.0], logarithmic=True).share(10.0)
            (0.5, 0.5)
        """
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = (math.log10(max(one, 1e-300)) for one in (low, high, value))
        return (value / 2 - low / 2) / (high / 2 - low / 2)


class Label(Struct, frozen=True, kw_only=True):
    """A text at a place of the horizontal axis; a minor one gives way on a narrow page."""

    place: float
    text: str
    minor: bool = False


class Line(Struct, frozen=True, kw_only=True):
    """A line through places from left and bottom; None breaks it. `style` is a class."""

    places: tuple[_Place | None, ...]
    style: str


class Band(Struct, frozen=True, kw_only=True):
    """An area between two lines; a place where either is None interrupts it."""

    lows: tuple[_Place | None, ...]
    highs: tuple[_Place | None, ...]


def fit(values: Iterable[float], *, logarithmic: bool = False, most: int = 5) -> Scale:
    """Return a scale with round ends that holds all values.

    Args:
        values: Finite; positive where the scale is logarithmic.
        logarithmic: Whether equal ratios are equally far apart.
        most: How many steps the values may span.

    Example:
        >>> fit([0.31, 0.88]).ticks, fit([0.7, 8.0], logarithmic=True).ticks
        ((0.2, 0.4, 0.6, 0.8, 1.0), (0.5, 1.0, 2.0, 5.0, 10.0))
    """
    known = list(values) or [1.0]
    low, high = min(known), max(known)
    if logarithmic:
        return _fit_decades(low, high)
    if high / 2 - low / 2 < 1e-9 * max(abs(low), abs(high)) or low == high:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    rough = (high / 2 - low / 2) / most * 2
    if rough < 1e-290:  # noqa: PLR2004 - no power of ten below it has a reciprocal
        return Scale(low=0.0, high=1.0, ticks=(0.0, 1.0))
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in _STEPS if power * one >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{number * step:.12g}") for number in range(first, last + 1))
    return Scale(low=ticks[0], high=ticks[-1], ticks=ticks)


def _fit_decades(low: float, high: float) -> Scale:
    first = math.floor(math.log10(low) + 1e-9)
    last = max(math.ceil(math.log10(high) - 1e-9), first + 1)
    if last - first <= 2:  # noqa: PLR2004 - decades that have room for 1, 2 and 5
        steps = [one * 10.0**power for power in range(first, last + 1) for one in (1.0, 2.0, 5.0)]
        below = [one for one in steps if one <= low * 1.001]
        above = [one for one in steps if one >= high * 0.999]
        steps = [one for one in steps if below[-1] <= one <= above[0]]
        steps = steps if len(steps) > 1 else [steps[0], steps[0] * 2]
    else:
        every = -(-(last - first) // 5)
        steps = [10.0**power for power in range(first, last + every, every)]
    ticks = tuple(float(f"{one:.12g}") for one in steps)
    return Scale(low=ticks[0], high=ticks[-1], ticks=ticks, logarithmic=True)


def draw_lines(
    lines: Sequence[Line],
    *,
    name: str,
    scale: Scale,
    labels: Sequence[Label],
    title: str,
    about: str,
) -> str:
    """Draw lines over a grid, the last line on top.

    Args:
        lines: Places are shares of the plot, from the left and from the bottom.
        name: Stands in the ids of its title and description; unique in the page.
        scale: Of the vertical axis.
        labels: Of the horizontal axis.
        title: What is drawn, for those who hear the page.
        about: What can be seen.
    """
    parts = [_head("plot", title, about, name=name)]
    for tick in scale.ticks:
        at = _percent(1 - scale.share(tick))
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="-8" y="{at}" dy=".32em" class="end">{say_axis(tick)}</text>')
    parts += [_label(one, y="100%", drop="1.5em") for one in labels]
    parts.append(_stretched("".join(map(_stroke, lines))))
    return "".join(parts) + "</svg>"


def draw_small(
    lines: Sequence[Line],
    *,
    bands: Sequence[Band],
    dots: Sequence[_Place],
    scale: Scale,
    labels: Sequence[Label],
    title: str,
) -> str:
    """Draw a small chart with its ends named only: areas below, then lines, then dots.

    Args:
        lines: Places are shares of the plot, from the left and from the bottom.
        bands: Areas that the lines are seen against.
        dots: Places that stand out.
        scale: Of the vertical axis.
        labels: Of the horizontal axis.
        title: What is drawn and what can be seen, for those who hear the page.
    """
    parts = [_head("small", title)]
    for tick in (scale.low, scale.high):
        at = _percent(1 - scale.share(tick))
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="-6" y="{at}" dy=".32em" class="end">{say_axis(tick)}</text>')
    parts += [_label(one, y="100%", drop="1.4em") for one in labels]
    parts.append(_stretched("".join(map(_area, bands)) + "".join(map(_stroke, lines))))
    parts += [
        f'<circle class="dot alarm" cx="{_percent(x)}" cy="{_percent(1 - y)}" r="3.5"/>'
        for x, y in dots
    ]
    return "".join(parts) + "</svg>"


def draw_lane(ticks: Sequence[float], dots: Sequence[float], *, style: str, title: str) -> str:
    """Draw a lane of marks: thin ticks, and filled dots above them."""
    strokes = "".join(f"M{_at(place)} 0V1000" for place in ticks)
    parts = [_head("lane", title), '<line class="grid" x1="0" x2="100%" y1="50%" y2="50%"/>']
    parts.append(_stretched(f'<path class="tick" d="{strokes}"/>') if strokes else "")
    parts += [f'<circle class="dot {style}" cx="{_percent(x)}" cy="50%" r="4"/>' for x in dots]
    return "".join(parts) + "</svg>"


def draw_strip(
    value: float, low: float, high: float, *, scale: Scale, base: float, clear: bool, title: str
) -> str:
    """Draw a value with its interval beside a line at `base`.

    The dot is filled where the matter is clear, and hollow where it is not. What lies beyond the
    scale ends in an arrow.
    """
    ends = [min(max(scale.share(one), 0.0), 1.0) for one in (low, high)]
    dot = min(max(scale.share(value), 0.0), 1.0)
    zero = _percent(scale.share(base))
    parts = [
        _head("strip", title),
        f'<line class="base" x1="{zero}" x2="{zero}" y1="0" y2="100%"/>',
        (
            f'<line class="reach" x1="{_percent(ends[0])}" x2="{_percent(ends[1])}"'
            ' y1="50%" y2="50%"/>'
        ),
    ]
    if scale.share(high) > 1:
        parts.append(_arrow(1.0, "M-9 -6L1 0L-9 6z"))
    if scale.share(low) < 0:
        parts.append(_arrow(0.0, "M9 -6L-1 0L9 6z"))
    if 0 <= scale.share(value) <= 1:
        shape = "dot" if clear else "hollow dot"
        parts.append(f'<circle class="{shape}" cx="{_percent(dot)}" cy="50%" r="5"/>')
    return "".join(parts) + "</svg>"


def draw_axis(labels: Sequence[Label]) -> str:
    """Draw the labels below strips; those who hear the page have the numbers in words."""
    parts = ['<svg class="axis" aria-hidden="true" width="100%">']
    for one in labels:
        at = _percent(one.place)
        parts.append(f'<line class="base" x1="{at}" x2="{at}" y1="0" y2="5"/>')
        parts.append(_label(one, y="0", drop="1.5em", side="mid"))
    return "".join(parts) + "</svg>"


def _head(kind: str, title: str, about: str = "", *, name: str = "") -> str:
    if not name:
        return f'<svg class="{kind}" role="img" width="100%"><title>{title}</title>'
    return (
        f'<svg class="{kind}" role="img" width="100%" '
        f'aria-labelledby="{name}-title" aria-describedby="{name}-about">'
        f'<title id="{name}-title">{title}</title><desc id="{name}-about">{about}</desc>'
    )


def _label(label: Label, *, y: str, drop: str, side: str = "") -> str:
    side = side or ("start" if label.place < _EDGE else "end" if label.place > 1 - _EDGE else "mid")
    minor = " minor" if label.minor else ""
    return (
        f'<text x="{_percent(label.place)}" y="{y}" dy="{drop}" class="{side}{minor}">'
        f"{label.text}</text>"
    )


def _stretched(content: str) -> str:
    return (
        f'<svg viewBox="0 0 {_UNIT} {_UNIT}" preserveAspectRatio="none" width="100%" '
        f'height="100%" overflow="visible">{content}</svg>'
    )


def _arrow(place: float, shape: str) -> str:
    return (
        f'<svg x="{_percent(place)}" y="50%" overflow="visible">'
        f'<path class="arrow" d="{shape}"/></svg>'
    )


def _area(band: Band) -> str:
    """Draw the stretches of a band that are known on both sides; one place alone is a line."""
    pairs = list(zip(band.lows, band.highs, strict=True))
    shape = ""
    for known, group in groupby(pairs, key=lambda pair: None not in pair):
        if known:
            both = [(low, high) for low, high in group if low is not None and high is not None]
            there = [f"{_at(high[0])} {_at(1 - high[1])}" for _, high in both]
            back = [f"{_at(low[0])} {_at(1 - low[1])}" for low, _ in reversed(both)]
            shape += "M" + "L".join([*there, *back]) + "Z"
    return f'<path class="band" d="{shape}"/>' if shape else ""


def _stroke(line: Line) -> str:
    """Draw the stretches of a line, and as points the places that have no neighbour."""
    stretches = [
        [f"{_at(place[0])} {_at(1 - place[1])}" for place in group if place is not None]
        for known, group in groupby(line.places, key=lambda place: place is not None)
        if known
    ]
    long = "".join("M" + "L".join(one) for one in stretches if len(one) > 1)
    # A line of no length with round ends is a point.
    short = "".join(f"M{one[0]}h0" for one in stretches if len(one) == 1)
    return (f'<path class="{line.style}" d="{long}"/>' if long else "") + (
        f'<path class="{line.style} point" d="{short}"/>' if short else ""
    )


def _at(share: float) -> str:
    return f"{round(_UNIT * share, 1) + 0.0:g}"


def _percent(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:g}%"
