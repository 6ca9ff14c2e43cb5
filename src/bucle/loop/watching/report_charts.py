"""The pictures of the watch report: losses, labels and intervals by day, and every measure.

Pure; the drawing itself is in `replay.svg`. Imports nothing heavy at run time.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

from bucle.loop.replay.report_words import escaped, finite, named, say_axis, say_share
from bucle.loop.replay.svg import Band, Label, Line, Scale, draw_lines, draw_small, fit

if TYPE_CHECKING:
    from bucle.loop.watching.watched import HarmLayer
    from bucle.watch.contract import VolumeDay
    from bucle.watch.coverage import Coverage
    from bucle.watch.series import Series

__all__ = ["chart_column", "chart_coverage", "chart_labels", "chart_losses", "chart_volume"]

_Values: TypeAlias = Sequence[float | None]
_Places: TypeAlias = tuple[tuple[float, float] | None, ...]

_STEPS = 6
_TWO = 2
_ROUND = "12 16"


def chart_losses(harm: "HarmLayer") -> str:
    """Draw the mean loss of every day, what is expected of it, and days that were restated."""
    dates = [day.date for day in harm.days]
    losses = [finite(day.loss) for day in harm.days]
    known = [loss for loss in losses if loss is not None]
    if not known:
        what = "day is judged" if any(day.labelled for day in harm.days) else "label has come"
        return f"<p>No {what} yet, so there is no loss to draw.</p>"
    values = [*known, harm.expected, harm.limit]
    scale = fit(values if min(values) < 0 else [0.0, *values], most=_STEPS)
    places = _places_of(dates)
    again = {one.date for one in harm.restated}
    lines = [
        _level(harm.expected, scale, style="l0"),
        _level(harm.limit, scale, style="l2"),
        Line(places=_trace(places, losses, scale), style="l1"),
        *_points(
            places,
            [
                loss if day.date in again else None
                for day, loss in zip(harm.days, losses, strict=True)
            ],
            scale,
            style="l5",
        ),
        *_points(
            places,
            [loss if not day.mature else None for day, loss in zip(harm.days, losses, strict=True)],
            scale,
            style="l0",
        ),
    ]
    drawing = draw_lines(
        lines,
        name="losses",
        scale=scale,
        labels=_ends(dates),
        title=f"Mean loss of each day, by {escaped(harm.metric)}",
        about=f"From {dates[0]} to {dates[-1]}; expected {say_axis(harm.expected)}, "
        f"harm above {say_axis(harm.limit)}; the figures are in the table below.",
    )
    keys = [
        _key("l1", "mean loss of a day's labelled rows"),
        _key("l0", "as validated"),
        _key("l2", "more than this is harm"),
    ]
    if again:
        keys.append(_spot("l5", "restated since it was first judged"))
    if any(not day.mature and day.loss is not None for day in harm.days):
        keys.append(_spot("l0", "not judged yet: labels are still to come"))
    return _figure("Loss by day, lower is better", drawing, keys)


def chart_labels(harm: "HarmLayer") -> str:
    """Draw the share of each day's rows that have their label."""
    days = [day for day in harm.days if day.rows]
    if not days:
        return ""
    dates = [day.date for day in days]
    shares = [day.labelled / day.rows for day in days]
    scale = fit([0.0, 1.0])
    drawing = draw_small(
        [Line(places=_trace(_places_of(dates), shares, scale), style="l3")],
        bands=[],
        dots=[],
        scale=scale,
        labels=_ends(dates),
        title=f"Share of rows with a label, by day; the last day {say_share(shares[-1])}",
    )
    return _small("Rows with a label", "", drawing)


def chart_coverage(coverage: "Coverage") -> str:
    """Draw the share of each day's truths that their intervals held, beside the promise."""
    dates = [day.date for day in coverage.days]
    if not dates:
        return ""
    scale = fit([day.observed for day in coverage.days] + [coverage.level, 1.0])
    places = _places_of(dates)
    drawing = draw_small(
        [
            _level(coverage.level, scale, style="l2"),
            Line(places=_trace(places, [day.adapted for day in coverage.days], scale), style="l0"),
            Line(places=_trace(places, [day.observed for day in coverage.days], scale), style="l1"),
        ],
        bands=[],
        dots=[],
        scale=scale,
        labels=_ends(dates),
        title=f"Share of truths within their interval, by day; {say_share(coverage.recent)} "
        f"lately, promised {say_share(coverage.level)}",
    )
    keys = (
        _key("l1", "held"),
        _key("l2", "promised"),
        _key("l0", "with widths adapted day by day"),
    )
    return _small("Truths within their interval", "", drawing) + f'<p class="key">{" ".join(keys)}'


def chart_volume(days: Sequence["VolumeDay"]) -> str:
    """Draw the rows of each day within the band of what is usual."""
    if not days:
        return ""
    dates = [day.date for day in days]
    return _banded(
        dates,
        values=[float(day.rows) for day in days],
        expected=[day.expected for day in days],
        lows=[day.low for day in days],
        highs=[day.high for day in days],
        found=[day.is_found for day in days],
        what="Rows a day",
        say=lambda value: f"{value:,.0f}",
    )


def chart_column(series: Sequence["Series"]) -> tuple[str, ...]:
    """Draw the measures of one column, each within the band of the reference."""
    return tuple(_measure(one) for one in series)


def _measure(one: "Series") -> str:
    say = say_axis if one.kind == "mean" else say_share
    # No share lies outside 0 and 1, although a band by its standard error may.
    low, high = one.low, one.high
    if one.kind != "mean":
        low = tuple(None if end is None else max(end, 0.0) for end in low)
        high = tuple(None if end is None else min(end, 1.0) for end in high)
    return _banded(
        one.dates,
        values=one.values,
        expected=one.expected,
        lows=low,
        highs=high,
        found=one.found,
        what=one.what,
        say=say,
    )


def _banded(
    dates: Sequence[str],
    *,
    values: _Values,
    expected: _Values,
    lows: _Values,
    highs: _Values,
    found: Sequence[bool],
    what: str,
    say: Callable[[float], str],
) -> str:
    """Draw values by day within a band, with dots where they were found."""
    lines = [[finite(one) for one in line] for line in (values, expected, lows, highs)]
    drawn = [one for line in lines for one in line if one is not None]
    if not any(one is not None for one in lines[0]):
        return _small(what, "no row that counts", "")
    # What never was needs no place below nothing.
    scale, places = fit(drawn if any(drawn) else [0.0, 1.0], most=_STEPS), _places_of(dates)
    value, middle, low, high = (_trace(places, line, scale) for line in lines)
    said = _say_last(lines, say)
    drawing = draw_small(
        [Line(places=middle, style="l0"), Line(places=value, style="l1")],
        bands=[Band(lows=low, highs=high)],
        dots=[at for at, is_found in zip(value, found, strict=True) if is_found and at],
        scale=scale,
        labels=_ends(dates),
        title=escaped(f"{what}: {said}"),
    )
    return _small(what, said, drawing)


def _say_last(lines: Sequence[_Values], say: Callable[[float], str]) -> str:
    """Say the last value, what was expected, and between which ends."""
    value, expected, low, high = (line[-1] for line in lines)
    if value is None:
        return "no row on the last day"
    if expected is None or low is None or high is None:
        return say(value)
    return f"{say(value)}; usual {say(expected)} ({say(low)} to {say(high)})"


def _small(what: str, said: str, drawing: str) -> str:
    told = f' <span class="quiet">{escaped(said)}</span>' if said else ""
    box = f'<div class="small-box">{drawing}</div>' if drawing else ""
    return f'<figure class="multiple"><p class="what">{named(what)}{told}</p>{box}</figure>'


def _figure(title: str, drawing: str, keys: Iterable[str]) -> str:
    return (
        f'<figure><p class="axis-name">{escaped(title)}</p><div class="plot-box">{drawing}</div>'
        f'<p class="key">{" ".join(keys)}</p></figure>'
    )


def _key(style: str, words: str) -> str:
    return (
        '<span class="nowrap"><svg class="swatch" aria-hidden="true" viewBox="0 0 40 10">'
        f'<path class="{style}" d="M1 5H39"/></svg> {words}</span>'
    )


def _spot(style: str, words: str) -> str:
    return (
        f'<span class="nowrap"><svg class="mark" aria-hidden="true" viewBox="0 0 {_ROUND}">'
        f'<path class="{style} point" d="M6 8h0"/></svg> {words}</span>'
    )


def _level(value: float, scale: Scale, *, style: str) -> Line:
    return Line(places=((0.0, scale.share(value)), (1.0, scale.share(value))), style=style)


def _trace(places: Sequence[float], values: _Values, scale: Scale) -> _Places:
    return tuple(
        None if value is None else (place, scale.share(value))
        for place, value in zip(places, values, strict=True)
    )


def _points(places: Sequence[float], values: _Values, scale: Scale, *, style: str) -> list[Line]:
    """Return values as points: a line of one place each, so that neighbours stay apart."""
    return [
        Line(places=((place, scale.share(value)),), style=style)
        for place, value in zip(places, values, strict=True)
        if value is not None
    ]


def _places_of(dates: Sequence[str]) -> list[float]:
    """Return where days stand between the first and the last."""
    days = [date.fromisoformat(day).toordinal() for day in dates]
    whole = days[-1] - days[0]
    return [(day - days[0]) / whole if whole else 0.5 for day in days]


def _ends(dates: Sequence[str]) -> list[Label]:
    if len(set(dates)) < _TWO:
        return [Label(place=0.5, text=escaped(dates[0]))]
    return [
        Label(place=0.0, text=escaped(dates[0])),
        Label(place=1.0, text=escaped(dates[-1])),
    ]
