"""The pictures of values with intervals in the report of a replay, one row for each value.

A row says in words what its strip shows. Pure; the drawing is in `svg`. Imports nothing heavy.
"""

from collections.abc import Callable, Sequence
from statistics import median

from bucle.loop.replay.findings import Benefit, Comparison, Drill, Findings
from bucle.loop.replay.report_words import (
    column_of,
    counted,
    finite,
    named,
    say_axis,
    say_level,
    say_share,
)
from bucle.loop.replay.standings import BETTER, WORSE, best_of, rank_rivals
from bucle.loop.replay.svg import Label, Scale, draw_axis, draw_strip, fit

__all__ = ["chart_benefit", "chart_comparisons", "chart_drill"]

_VERDICTS = {BETTER: "better", WORSE: "worse"}
# One policy that went astray must not press all others into a point.
_ASTRAY = 3.0
_FOLD_DIGITS = 10.0


def chart_comparisons(findings: Findings) -> str:
    """Draw how much more each policy lost than the best one, with intervals, in words too."""
    best = best_of(findings)
    rivals = [
        one
        for one in rank_rivals(findings)
        if None not in map(finite, (one.difference, one.low, one.high))
    ]
    if best is None or not rivals:
        return "<p>There is no second policy to compare with.</p>"
    limit = _ASTRAY * median(max(abs(one.low), abs(one.high)) for one in rivals)
    ends = [end for one in rivals for end in (one.low, one.high)]
    scale = fit([max(min(ends), -limit), min(max(ends), limit), 0.0])
    amounts = [one for rival in rivals for one in (rival.money, rival.money_low, rival.money_high)]
    rows = "".join(
        _rival_row(
            one, scale=scale, money=column_of(amounts, signed=True), currency=findings.currency
        )
        for one in rivals
    )
    return _figure(
        f"How much more loss than {named(best.name)}, on the same rows; dots to the right are "
        "worse",
        rows,
        _shares(scale),
        key="Filled dot: told apart. Hollow dot: cannot be told apart. Line: the "
        f"{say_level(findings.level)} interval; an arrow where it leaves the picture.",
    )


def chart_benefit(benefit: Benefit, *, level: float) -> str:
    """Draw what newer data and more data saved, and both together."""
    found = (
        (
            "Newer data",
            "as many labels as at the start, but the newest",
            (benefit.newer, benefit.newer_low, benefit.newer_high),
        ),
        (
            "More data",
            "all labels, beyond that",
            (benefit.more, benefit.more_low, benefit.more_high),
        ),
        (
            "Both together",
            "retraining as a whole",
            (benefit.whole, benefit.whole_low, benefit.whole_high),
        ),
    )
    known = [
        (title, what, numbers) for title, what, numbers in found if None not in map(finite, numbers)
    ]
    if not known:
        return ""
    scale = fit([0.0, *(number for _, _, numbers in known for number in numbers)])
    rows = "".join(
        _row(
            title,
            what,
            _draw(numbers, scale=scale, clear=numbers[1] > 0 or numbers[2] < 0),
            f"<strong>{say_share(numbers[0], signed=True)}</strong> {_between(*numbers[1:])}",
        )
        for title, what, numbers in known
    )
    return _figure(
        "Share of the loss of a model that stays, saved by retraining; dots to the right are "
        "better",
        rows,
        _shares(scale),
        key=f"Line: the {say_level(level)} interval. Filled dot: the interval leaves zero out.",
    )


def chart_drill(drill: Drill) -> str:
    """Draw how many times its clean error each policy had with the fault, on a log scale."""
    known = [
        (one, one.error / one.clean_error)
        for one in drill.policies
        if (finite(one.error) or 0) > 0 < (finite(one.clean_error) or 0)
        and one.error is not None
        and one.clean_error is not None
    ]
    if not known:
        return "<p>No error is known both with and without the fault.</p>"
    scale = fit([1.0, *(times for _, times in known)], logarithmic=True)
    rows = "".join(
        _row(
            named(one.name),
            f"{counted(one.shipped, 'champion')} learned from it",
            draw_strip(
                times,
                min(times, 1.0),
                max(times, 1.0),
                scale=scale,
                base=1.0,
                clear=True,
                title=f"{_fold(times)} the clean error",
            ),
            f"<strong>{_fold(times)}</strong> the clean error",
        )
        for one, times in known
    )
    labels = [Label(place=scale.share(one), text=f"{say_axis(one)}×") for one in scale.ticks]
    return _figure(
        "Error with the fault over the error without it, logarithmic; dots to the left are better",
        rows,
        labels,
        key="The upright line stands where the fault did nothing.",
    )


def _rival_row(
    one: Comparison, *, scale: Scale, money: Callable[[float | None], str], currency: str
) -> str:
    verdict = _VERDICTS.get(one.verdict)
    unit = f" {named(currency)}" if currency else ""
    said = verdict or "cannot be told apart"
    return _row(
        named(one.a),
        f"{said} {'than' if verdict else 'from'} the best",
        _draw((one.difference, one.low, one.high), scale=scale, clear=verdict is not None),
        f"<strong>{say_share(one.difference, signed=True)}</strong> "
        f"{_between(one.low, one.high)}<br>"
        f'<span class="quiet">money {money(one.money)}{unit} '
        f"({money(one.money_low)} to {money(one.money_high)})</span>",
    )


def _draw(numbers: tuple[float, float, float], *, scale: Scale, clear: bool) -> str:
    value, low, high = numbers
    title = f"{say_share(value, signed=True)} {_between(low, high)}"
    return draw_strip(value, low, high, scale=scale, base=0.0, clear=clear, title=title)


def _between(low: float, high: float) -> str:
    return f"({say_share(low, signed=True)} to {say_share(high, signed=True)})"


def _fold(times: float) -> str:
    # Near one, the second decimal is what tells policies apart.
    return f"{times:,.2f}×" if times < _FOLD_DIGITS else f"{times:,.4g}×"


def _row(title: str, what: str, strip: str, words: str) -> str:
    return (
        f'<li><div class="who"><span class="name">{title}</span> '
        f'<span class="quiet">{what}</span></div><div class="strip-box">{strip}</div>'
        f'<div class="number">{words}</div></li>'
    )


def _figure(axis: str, rows: str, labels: Sequence[Label], *, key: str) -> str:
    return (
        f'<figure><p class="axis-name">{axis}</p><ul class="strips">{rows}</ul>'
        f'<div class="strip-axis"><div class="strip-box">{draw_axis(labels)}</div></div>'
        f'<p class="key">{key}</p></figure>'
    )


def _shares(scale: Scale) -> list[Label]:
    return [
        Label(
            place=scale.share(one),
            text=f"{'+' * (one > 0)}{say_axis(100 * one)} %",
            minor=number % 2 == 1,
        )
        for number, one in enumerate(scale.ticks)
    ]
