"""The pictures over time in the report of a replay: error with what was done, and money.

Pure; the drawing itself is in `svg`. Imports nothing heavy.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise

from bucle.loop.replay.findings import Findings, PolicyResult
from bucle.loop.replay.report_words import column_of, counted, escaped, finite, named
from bucle.loop.replay.standings import best_of, highlight, is_lower_better
from bucle.loop.replay.svg import Label, Line, draw_lane, draw_lines, fit

__all__ = ["chart_errors", "chart_money", "place_moments"]

_Trace = Callable[[PolicyResult], tuple[tuple[float, float] | None, ...]]

_DATE = 10
_MOST_LABELS = 8
_STEPS = 7
_ROOM = 0.1
_MANY_FOLD = 50.0
_LEAST_LOGARITHM = 1e-12
_KEY = (
    '<span class="nowrap"><svg class="mark" aria-hidden="true" viewBox="0 0 12 16">'
    '<path class="tick" d="M6 2V14"/></svg> retrain</span> '
    '<span class="nowrap"><svg class="mark" aria-hidden="true" viewBox="0 0 12 16">'
    '<circle class="dot" cx="6" cy="8" r="4"/></svg> promotion</span>'
)


def chart_errors(findings: Findings) -> str:
    """Draw the error of every period, a line for each policy, with lanes of what was done."""
    shown, places = highlight(findings), place_moments(findings)
    ticks = [tick for policy in findings.policies for tick in policy.timeline]
    known = [error for tick in ticks if (error := finite(tick.error)) is not None]
    if not known:
        return "<p>No label came in any period, so there is no error to draw.</p>"
    logarithmic = min(known) > _LEAST_LOGARITHM and max(known) > _MANY_FOLD * min(known)
    # From zero, so that a small difference does not look like a large one.
    scale = fit(
        known if logarithmic or min(known) < 0 else [0.0, *known],
        logarithmic=logarithmic,
        most=_STEPS,
    )

    def trace(policy: PolicyResult) -> tuple[tuple[float, float] | None, ...]:
        return tuple(
            None if (error := finite(tick.error)) is None else (places[tick.at], scale.share(error))
            for tick in policy.timeline
        )

    metric = escaped(findings.metric)
    better = "lower" if is_lower_better(findings.metric) else "higher"
    drawing = draw_lines(
        _lines(findings, shown, trace),
        name="errors",
        scale=scale,
        labels=_moments(places),
        title=f"{metric} over time, a line for each policy",
        about=f"{counted(len(findings.policies), 'line')} over "
        f"{counted(len(places), 'period')}; the figures are in the timelines below.",
    )
    lanes = "".join(_lane(policy, number, places) for number, policy in enumerate(shown, start=1))
    return (
        f'<figure><p class="axis-name">{named(findings.metric)} in each period; {better} is better'
        f'{"; logarithmic" if logarithmic else ""}</p><div class="plot-box">{drawing}</div>'
        f'<p class="key">{_KEY} {_rest(findings, shown)}</p><ul class="lanes">{lanes}</ul></figure>'
    )


def chart_money(findings: Findings) -> str:
    """Draw what each policy has cost so far above the oracle.

    Where the oracle's periods are not known, the cheapest policy takes its place.
    """
    shown, best, places = highlight(findings), best_of(findings), place_moments(findings)
    if best is None or not places:
        return "<p>There is no period to add up.</p>"
    by_oracle = len(findings.oracle.spent) == len(places)
    floor = "the oracle" if by_oracle else "the cheapest policy"
    least = [*accumulate(findings.oracle.spent if by_oracle else _spending(best, places))]
    above = {
        id(policy): [
            finite(paid - base) or 0.0
            for paid, base in zip(accumulate(_spending(policy, places)), least, strict=True)
        ]
        for policy in findings.policies
    }
    scale = fit([0.0, *(one for line in above.values() for one in line)], most=_STEPS)

    def trace(policy: PolicyResult) -> tuple[tuple[float, float] | None, ...]:
        pairs = zip(places.values(), above[id(policy)], strict=True)
        return tuple((place, scale.share(value)) for place, value in pairs)

    drawing = draw_lines(
        _lines(findings, shown, trace),
        name="money",
        scale=scale,
        labels=_moments(places),
        title=f"Money above {floor} so far, a line for each policy",
        about="Each line adds up what its policy cost beyond that; the end of each is listed.",
    )
    write = column_of(above[id(policy)][-1] for policy in shown)
    entries = "".join(
        f'<li>{_swatch(number)} <span class="name">{named(policy.name)}</span> '
        f'<span class="number">{write(above[id(policy)][-1])}</span></li>'
        for number, policy in enumerate(shown, start=1)
    )
    unit = f", in {named(findings.currency)}" if findings.currency else ""
    return (
        f'<figure><p class="axis-name">Money above {floor} so far{unit}; lower is better</p>'
        f'<div class="plot-box">{drawing}</div><ul class="legend">{entries}</ul>'
        f'<p class="key">{_upkeep_left_out(findings)}{_rest(findings, shown)}</p></figure>'
    )


def place_moments(findings: Findings) -> dict[str, float]:
    """Return where the beginning of each period stands, as a share of the whole time."""
    timelines = [policy.timeline for policy in findings.policies]
    moments = dict.fromkeys(tick.at for timeline in timelines for tick in timeline)
    last = len(moments) - 1
    return {at: number / last if last else 0.5 for number, at in enumerate(moments)}


def _lines(findings: Findings, shown: Sequence[PolicyResult], trace: _Trace) -> list[Line]:
    styles = {id(policy): f"l{number}" for number, policy in enumerate(shown, start=1)}
    others = [one for one in findings.policies if id(one) not in styles]
    # The best is drawn last, so that nothing covers it.
    ordered = [*others, *reversed(shown)]
    return [Line(places=trace(one), style=styles.get(id(one), "l0")) for one in ordered]


def _lane(policy: PolicyResult, number: int, places: Mapping[str, float]) -> str:
    retrains = [places[tick.at] for tick in policy.timeline if "retrain" in tick.did]
    promotions = [places[tick.at] for tick in policy.timeline if "promote" in tick.did]
    words = f"{counted(len(retrains), 'retrain')}, {counted(len(promotions), 'promotion')}"
    lane = draw_lane(retrains, promotions, style=f"c{number}", title=words)
    return (
        f'<li><p>{_swatch(number)} <span class="name">{named(policy.name)}</span> '
        f'<span class="quiet">{words}</span></p><div class="lane-box">{lane}</div></li>'
    )


def _swatch(number: int) -> str:
    return (
        '<svg class="swatch" aria-hidden="true" viewBox="0 0 40 10">'
        f'<path class="l{number}" d="M2 5H38"/></svg>'
    )


def _rest(findings: Findings, shown: Sequence[PolicyResult]) -> str:
    rest = len(findings.policies) - len(shown)
    if not rest:
        return ""
    return f'<span class="nowrap">{_swatch(0)} {counted(rest, "other")}, thin and grey</span>'


def _moments(places: Mapping[str, float]) -> list[Label]:
    """Label the beginnings of years, or of months, or simply some periods."""
    moments = list(places)
    for width in (4, 7):
        firsts = [at for before, at in pairwise(moments) if at[:width] != before[:width]]
        if len(firsts) > 1:
            chosen = firsts[:: -(-len(firsts) // _MOST_LABELS)]
            chosen = moments[:1] * (places[chosen[0]] > _ROOM) + chosen
            texts = {at: at[:width] for at in chosen}
            break
    else:
        chosen = moments[:: -(-len(moments) // _MOST_LABELS) or 1]
        texts = {at: at[:_DATE] for at in chosen}
    return [
        Label(place=places[at], text=escaped(texts[at]), minor=number % 2 == 1)
        for number, at in enumerate(chosen)
    ]


def _spending(policy: PolicyResult, places: Mapping[str, float]) -> list[float]:
    paid = dict.fromkeys(places, 0.0)
    for tick in policy.timeline:
        paid[tick.at] += (finite(tick.money) or 0.0) + (finite(tick.upkeep) or 0.0)
    return list(paid.values())


def _upkeep_left_out(findings: Findings) -> str:
    for policy in findings.policies:
        drawn = sum(tick.money + tick.upkeep for tick in policy.timeline)
        whole = finite(policy.money)
        if whole is not None and abs(whole - drawn) > 1e-6 * max(abs(whole), abs(drawn)):
            return "The price of retrains and alarms is in the table but not in these lines. "
    return ""
