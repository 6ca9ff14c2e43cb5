"""The report of `bucle watch`: one page of HTML that needs nothing beside itself.

No script, nothing asked of a network, and its policy of content says so to the browser. What was
watched in the same way gives the same bytes. Imports nothing heavy at run time.
"""

import functools
import pkgutil
import re
from itertools import groupby
from typing import TYPE_CHECKING

from bucle.grammar import say_days, say_share_of_one
from bucle.loop.replay.report_words import counted, escaped, named, say_level, say_share
from bucle.loop.watching.loss_words import name_loss
from bucle.loop.watching.report_charts import (
    chart_column,
    chart_coverage,
    chart_labels,
    chart_losses,
    chart_volume,
)
from bucle.loop.watching.report_tables import (
    say_number,
    table_days,
    table_findings,
    table_restated,
    tell_alarms,
)

if TYPE_CHECKING:
    from bucle.loop.watching.watched import ContractLayer, Detailed, HarmLayer, InputLayer, Watched
    from bucle.watch.coverage import Coverage
    from bucle.watch.estimate import LossEstimate
    from bucle.watch.separation import Separation
    from bucle.watch.series import Series

__all__ = ["render_watch_report"]

_POLICY_OF_CONTENT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_FIRST = {"mean": 0, "share": 1, "below": 2, "other": 3, "null": 4}
_READING = (
    (
        "A day is compared with days, because rows of one day move together. The band is where "
        "19 of 20 such days of the reference lie; a single day outside it is nothing unusual among "
        "many columns. A red dot is what the look of that day found, over all measures at once."
    ),
    (
        "Changed inputs are a reason to look. Only losses say that the model has become worse, and "
        "only they are a reason to retrain."
    ),
    (
        "Days are judged when nine in ten of their labels have had the time to come. A label that "
        "comes later, or changes, restates its day, and the table says so."
    ),
    (
        "What rows without a label are expected to lose holds only if the rules of the world have "
        "not changed. It raises no alarm and promotes nothing."
    ),
)


def render_watch_report(detailed: "Detailed", *, project: str) -> str:
    """Write what was watched as one self-contained HTML page.

    The page shows every text of the project as text, never as markup, reads well at any width, on
    light and dark screens and on paper, and loads nothing.

    Returns:
        HTML to be stored as UTF-8; equal values give equal bytes.
    """
    watched = detailed.watched
    sections = (
        _opening(watched, project),
        _section("Alarms", tell_alarms(watched.alarms)),
        _harm(watched.harm),
        _inputs(watched.inputs, detailed.series),
        _separation(watched.separation),
        _contract(watched.contract),
        _section("How to read this", _reading()),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY_OF_CONTENT}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>Watch of {escaped(project)}</title>\n<style>\n{_style()}</style>\n</head>\n"
        "<body>\n<main>\n"
        # A number and its per cent sign stay on one line.
        + re.sub(r"(?<=\d) %", "\u00a0%", "\n".join(part for part in sections if part))
        + f"\n</main>\n<footer><p>{named(watched.champion)}, watched at {_minute(watched.at)}. "
        "Written by Bucle.</p></footer>\n</body>\n</html>\n"
    )


@functools.cache
def _style() -> str:
    common = pkgutil.get_data("bucle.loop.replay", "report.css") or b""
    own = pkgutil.get_data("bucle.loop.watching", "report.css") or b""
    return (common + own).decode()


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _opening(watched: "Watched", project: str) -> str:
    notes = "".join(f"<li>{escaped(one)}</li>" for one in watched.why)
    careful = f'<div class="warnings"><h2>Careful</h2><ul>{notes}</ul></div>' if notes else ""
    cards = (
        _harm_card(watched.harm),
        _input_card(watched.inputs),
        _contract_card(watched.contract),
    )
    return (
        f'<header><p class="quiet">Bucle</p><h1>Watch of {named(project)}</h1>'
        f"<p>Champion {named(watched.champion)} at {_minute(watched.at)}. The budget is one false "
        f"alarm in {watched.days_between:g} days, over all layers.</p></header>"
        f'<div class="layers">{"".join(cards)}</div>{careful}'
    )


def _minute(moment: str) -> str:
    return f"{escaped(moment[:16].replace('T', ' '))} UTC"


def _card(name: str, state: str, lines: list[str], *, kind: str = "") -> str:
    told = "".join(f"<p>{line}</p>" for line in lines)
    return (
        f'<div class="layer{" " + kind if kind else ""}"><h2>{name}</h2>'
        f'<p class="state">{state}</p>{told}</div>'
    )


def _harm_card(harm: "HarmLayer | None") -> str:
    if harm is None:
        return _card("Harm", "cannot say", [], kind="unknown")
    if harm.unjudged:
        state, _, why = harm.unjudged.partition(": ")
        return _card("Harm", state, [why] if why else [], kind="unknown")
    lines = [f"evidence {say_share_of_one(harm.evidence)} of 1"]
    if harm.rows:
        lines.append(
            f"{counted(harm.labelled, 'label')} of {counted(harm.rows, 'row')} "
            f"({say_share(harm.labelled / harm.rows)}) until {escaped(harm.until or '')}"
        )
    if harm.running is not None:
        lines.append(
            f"{counted(harm.running.labelled, 'label')} of {escaped(harm.running.until[:10])} "
            f"until {escaped(harm.running.until[11:16])}, mean loss "
            f"{say_number(harm.running.loss)} a row in {escaped(name_loss(harm.metric))}"
        )
    lines.append(f"nine in ten labels come within {say_days(harm.delay_days)}")
    if harm.error is not None and harm.reference is not None:
        lines.append(
            f"{named(harm.metric)} {say_number(harm.error)}, validated at "
            f"{say_number(harm.reference)}"
        )
    if harm.alarm:
        since = f"alarm since {escaped(harm.since or harm.alarm)}"
        return _card("Harm", since, lines, kind="alarm")
    return _card("Harm", "quiet", lines)


def _input_card(inputs: "InputLayer | None") -> str:
    if inputs is None:
        return _card("Inputs", "cannot say", [], kind="unknown")
    if inputs.date is None:
        return _card("Inputs", "no whole day yet", [], kind="unknown")
    lines = [
        (
            f"{counted(inputs.days, 'day')} until {escaped(inputs.date)}, judged by "
            f"{counted(inputs.reference_days, 'day')} of the reference"
        )
    ]
    if inputs.findings:
        columns = len({finding.measure.column for finding in inputs.findings})
        lines.insert(0, f"{counted(columns, 'column')}, {counted(len(inputs.findings), 'measure')}")
        since = f"changed since {escaped(inputs.since or inputs.date)}"
        return _card("Inputs", since, lines, kind="alarm")
    return _card("Inputs", "as they were", lines)


def _contract_card(contract: "ContractLayer") -> str:
    lines = [f"judged: {escaped(', '.join(contract.judged))}"] if contract.judged else []
    lines += [f"cannot say: {escaped(one)}" for one in contract.unknown]
    if contract.breaches:
        state = counted(len(contract.breaches), "breach").replace("breachs", "breaches")
        return _card("Contract", state, lines, kind="alarm")
    if not contract.judged:
        return _card("Contract", "cannot say", lines, kind="unknown")
    return _card("Contract", "kept", lines)


def _harm(harm: "HarmLayer | None") -> str:
    if harm is None or not harm.days:
        return ""
    small = chart_labels(harm) + (chart_coverage(harm.coverage) if harm.coverage else "")
    days = (
        f'<details><summary>Day by day <span class="quiet">{len(harm.days):,}</span></summary>'
        f"{table_days(harm)}</details>"
    )
    content = (
        chart_losses(harm)
        + f'<div class="multiples">{small}</div>'
        + table_restated(harm.restated)
        + _coverage(harm.coverage)
        + _estimate(harm.estimate)
        + days
    )
    return _section("Losses", content)


def _coverage(coverage: "Coverage | None") -> str:
    if coverage is None or not coverage.days:
        return ""
    validated = (
        "" if coverage.validated is None else f", validated at {say_share(coverage.validated)}"
    )
    width = f"Their widths would now have to be multiplied by {coverage.factor:.3g}."
    if coverage.missing:
        width = (
            "By how much their widths are off can be told after "
            f"{counted(coverage.missing, 'more label')}."
        )
    return (
        f"<p>Intervals promise {say_level(coverage.level)}{validated}. From "
        f"{escaped(coverage.first)} to {escaped(coverage.last)} they held "
        f"{say_share(coverage.recent)} of {counted(coverage.rows, 'row')} with a label. "
        f"{width}</p>"
    )


def _estimate(estimate: "LossEstimate | None") -> str:
    if estimate is None:
        return ""
    between = ""
    if estimate.low is not None and estimate.high is not None:
        between = (
            f" ({say_number(estimate.low)} to {say_number(estimate.high)}, as far off as nine in "
            f"ten estimates of {counted(estimate.compared, 'day')} were)"
        )
    return (
        f"<p>If the rules of the world have not changed, the {counted(estimate.rows, 'row')} "
        f"without a label will lose {say_number(estimate.loss)} a row in "
        f"{escaped(name_loss(estimate.metric))}{between}; at validation it was "
        f"{say_number(estimate.reference)}.</p>"
    )


def _inputs(inputs: "InputLayer | None", series: "tuple[Series, ...]") -> str:
    if inputs is None or inputs.date is None:
        return ""
    visible = "".join(
        f"<li>{named(one.measure.column)}: {named(str(one.measure))} {say_number(one.change)}, "
        f"over {counted(one.span, 'day')}</li>"
        for one in inputs.visible
    )
    seen = (
        f"<p>Changes that would have been found, four times in five:</p><ul>{visible}</ul>"
        if visible
        else ""
    )
    columns = [list(group) for _, group in groupby(series, key=lambda one: one.column)]
    # What has changed comes first, so that nobody has to look for it.
    columns.sort(key=lambda group: not any(one.found[-1:] == (True,) for one in group))
    multiples = "".join(_column(group) for group in columns)
    return _section(
        "Inputs and outputs",
        table_findings(inputs.findings) + seen + f'<div class="multiples">{multiples}</div>',
    )


def _column(group: "list[Series]") -> str:
    """Show one column by what has changed of it, or else by what says most, with the rest below."""
    changed = [one for one in group if one.found[-1:] == (True,)]
    first = changed[:2] or sorted(group, key=lambda one: _FIRST[one.kind])[:1]
    rest = [one for one in group if one not in first]
    more = ""
    if rest:
        told = "".join(chart_column(rest))
        more = f"<details><summary>{counted(len(rest), 'more measure')}</summary>{told}</details>"
    kind = "column changed" if changed else "column"
    return (
        f'<div class="{kind}"><h3>{named(group[0].column)}</h3>'
        f"{''.join(chart_column(first))}{more}</div>"
    )


def _separation(separation: "Separation | None") -> str:
    if separation is None:
        return ""
    natural = (
        "there are too few weeks to say what is usual"
        if separation.natural is None
        else f"weeks of the reference reach up to {separation.natural:.3f} against each other"
    )
    columns = "".join(
        f"<li>{named(one.column)} {say_share(one.share)}</li>" for one in separation.columns
    )
    told = f"<p>It tells them by:</p><ul>{columns}</ul>" if columns else ""
    return _section(
        "All columns together",
        f"<p>A classifier tells the seven days until {escaped(separation.until)} from the "
        f"reference with an AUC of "
        f"{separation.auc:.3f}, where 0.5 is not at all; {natural}. It explains; it raises no "
        f"alarm.</p>{told}",
    )


def _contract(contract: "ContractLayer") -> str:
    volume = chart_volume(contract.volume)
    return _section("Volume", f'<div class="multiples">{volume}</div>' if volume else "")


def _reading() -> str:
    return "<ul>" + "".join(f"<li>{line}</li>" for line in _READING) + "</ul>"
