"""The report of a replay: one page of HTML that needs nothing beside itself.

No script, no picture from elsewhere, nothing asked of a network, and its policy of content says
so to the browser. The same findings give the same bytes. Imports nothing heavy.
"""

import functools
import pkgutil
import re

from bucle.loop.replay.findings import Benefit, Drill, Findings
from bucle.loop.replay.report_charts import chart_errors, chart_money
from bucle.loop.replay.report_strips import chart_benefit, chart_comparisons, chart_drill
from bucle.loop.replay.report_tables import (
    table_comparisons,
    table_drill,
    table_policies,
    tell_timelines,
)
from bucle.loop.replay.report_words import column_of, counted, escaped, named, say_level, say_share

__all__ = ["render_report"]

_POLICY_OF_CONTENT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_UNANSWERED = (
    "A replay cannot tell what a prediction would have changed: customers, prices and demand stay "
    "as history had them. Nor can it show an event that never happened."
)
_ANSWERED = (
    "This world answers: what became of an item depends on what was proposed for it, and each "
    "policy learned from its own items alone. All met the same items with the same luck. It is as "
    "true as the world that the project describes."
)


def render_report(findings: Findings) -> str:
    """Write the findings of a replay as one self-contained HTML page.

    The page shows every text of the project as text, never as markup, reads well at any width, on
    light and dark screens and on paper, and loads nothing.

    Returns:
        HTML to be stored as UTF-8; equal findings give equal bytes.
    """
    title = f"Replay of {escaped(findings.project)}"
    sections = (
        _opening(findings),
        _section("Policies", table_policies(findings) + _baselines(findings)),
        _section("Error over time", chart_errors(findings)),
        _section("Money over time", chart_money(findings)),
        _section("How sure the differences are", _differences(findings)),
        _benefit(findings.benefit, level=findings.level),
        _drill(findings.drill),
        _section("What was done, and why", tell_timelines(findings)),
        _section("How to read this", _reading(findings)),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY_OF_CONTENT}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n<main>\n"
        # A number and its per cent sign stay on one line.
        + re.sub(r"(?<=\d) %", "\u00a0%", "\n".join(part for part in sections if part))
        + f"\n</main>\n{_footer(findings)}\n</body>\n</html>\n"
    )


@functools.cache
def _style() -> str:
    return (pkgutil.get_data("bucle.loop.replay", "report.css") or b"").decode()


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _opening(findings: Findings) -> str:
    advice = "".join(
        f"<p>{named(line)}</p>" for line in findings.recommendation.splitlines() if line.strip()
    )
    warnings = "".join(f"<li>{named(one)}</li>" for one in findings.warnings)
    careful = f'<div class="warnings"><h2>Careful</h2><ul>{warnings}</ul></div>' if warnings else ""
    advice = f'<div class="advice"><h2>Recommendation</h2>{advice}</div>' if advice else ""
    return (
        f'<header><p class="quiet">Bucle</p><h1>Replay of {named(findings.project)}</h1>'
        f"<p>{_span(findings)}: what would have happened if each of "
        f"{counted(len(findings.policies), 'retraining policy').replace('policys', 'policies')} "
        "had run on this history, seeing at every moment only what was known by then.</p></header>"
        f"{advice}{careful}"
    )


def _span(findings: Findings) -> str:
    return (
        f"{named(findings.start)} to {named(findings.end)}, "
        f"{counted(findings.periods, 'period')} of {named(findings.period)}, "
        f"{counted(findings.rows, 'row')}"
    )


def _baselines(findings: Findings) -> str:
    write = column_of(findings.baselines.values())
    said = ", ".join(
        f"{named(name)} {write(error)}" for name, error in sorted(findings.baselines.items())
    )
    lines = [f"Naive predictions on the same rows: {said}."] if said else []
    if findings.labels_by is not None:
        lines.append(f"90 % of the labels had arrived after {findings.labels_by:,.4g} days.")
    return f"<p>{' '.join(lines)}</p>" if lines else ""


def _differences(findings: Findings) -> str:
    table = table_comparisons(findings)
    if not table:
        return chart_comparisons(findings)
    return (
        f"{chart_comparisons(findings)}<details><summary>All comparisons "
        f'<span class="quiet">{len(findings.comparisons):,}</span></summary>{table}</details>'
    )


def _benefit(benefit: Benefit | None, *, level: float) -> str:
    if benefit is None:
        return ""
    words = (
        f"<p>Retraining saved {say_share(benefit.whole)} of the loss that a model which stays "
        f"would have had: {say_share(benefit.newer)} because the data were newer, "
        f"{say_share(benefit.more)} because there were more of them. "
        f"This rests on {counted(benefit.moments, 'retrain')}; the labels grew from "
        f"{benefit.labels_at_start:,} to {benefit.labels_at_end:,}.</p>"
    )
    return _section("More data or newer data", words + chart_benefit(benefit, level=level))


def _drill(drill: Drill | None) -> str:
    if drill is None:
        return ""
    words = (
        f"<p>A fault was planted in the history: <code>{named(drill.fault)}</code>, "
        f"{counted(drill.labels, 'label')}. Policies learned from the faulty labels; the errors "
        "are measured on the true ones.</p>"
    )
    return _section("Fault drill", words + chart_drill(drill) + table_drill(drill))


def _reading(findings: Findings) -> str:
    level = say_level(findings.level)
    return (
        "<ul>"
        "<li>Every policy walked the same history, period by period. It predicted with the "
        "champion of the day and learned only from labels that had arrived by then.</li>"
        f"<li>An interval holds the true difference in {level} of such histories. Where it spans "
        "zero, the two policies cannot be told apart here; that is an answer, not a failure, "
        "and it speaks for the one that is simpler to run.</li>"
        "<li>The intervals come from drawing whole stretches of time again and again, because the "
        "errors of neighbouring periods move together. Few such stretches make them wide.</li>"
        "<li>Error, money and regret are judged with every label that ever came. So are bad "
        "promotions and false alarms: no policy could have known them at the time.</li>"
        "<li>The oracle knew the future. No policy can be expected to reach it; its distance "
        "says how much is left to win by choosing better moments.</li>"
        "<li>With many policies, the cheapest one is in part the luckiest one. Its figures are "
        "likely to be a little better than what it will do next.</li>"
        f"<li>{_ANSWERED if findings.recorded_share is not None else _UNANSWERED}</li>"
        "<li>It tells of this past. When the world changes in a new way, ask again.</li>"
        "</ul>"
    )


def _footer(findings: Findings) -> str:
    metric, trained = named(findings.metric), findings.trainings.distinct
    models = f" {counted(trained, 'distinct training set')}." if trained else ""
    return (
        f"<footer><p>{_span(findings)}. Metric {metric}; intervals at "
        f"{say_level(findings.level)}.{models} Written by Bucle.</p></footer>"
    )
