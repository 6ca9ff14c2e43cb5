"""The tables and lists of the watch report: alarms, findings, days, and days that were restated.

Pure text. Imports nothing heavy at run time.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bucle.loop.replay.report_words import counted, escaped, named, say_axis, say_share

if TYPE_CHECKING:
    from bucle.loop.watching.watched import Alarm, HarmLayer
    from bucle.watch.examples import Example
    from bucle.watch.inputs import Finding
    from bucle.watch.restatement import Restatement

__all__ = [
    "say_number",
    "table_days",
    "table_findings",
    "table_restated",
    "tell_alarms",
]

_NONE = "–"
_DAY = 10
_RESTATED = ' <span class="badge">restated</span>'
_WAITS = ' <span class="badge faint">waits for labels</span>'
_LAYERS = {"harm": "Harm", "inputs": "Inputs", "contract": "Contract"}


def say_number(value: float | None) -> str:
    """Write a number with four digits that mean something.

    Example:
        >>> say_number(0.31234), say_number(-12345.6), say_number(None)
        ('0.3123', '−12.35 k', '–')
    """
    return _NONE if value is None else say_axis(value)


def tell_alarms(alarms: "Sequence[Alarm]") -> str:
    """List what somebody should know, with reasons and examples."""
    if not alarms:
        return "<p>None.</p>"
    return f'<ul class="alarms">{"".join(map(_alarm, alarms))}</ul>'


def _alarm(alarm: "Alarm") -> str:
    return (
        f'<li><p><span class="name">{_LAYERS[alarm.layer]}: {named(alarm.subject)}</span> '
        f'<span class="quiet">since {escaped(alarm.since)}</span></p>'
        f"<p>{escaped(alarm.why)}</p>{_examples(alarm.examples)}</li>"
    )


def _examples(examples: "Sequence[Example]") -> str:
    if not examples:
        return ""
    told = "; ".join(f"<code>{named(one.id)}</code> {named(one.value)}" for one in examples)
    return f'<p class="quiet">For example {told}</p>'


def table_findings(findings: "Sequence[Finding]") -> str:
    """Show each measure that is not what it was, the surest first."""
    if not findings:
        return "<p>Nothing was found to differ from the days of the reference.</p>"
    rows = "".join(
        f'<tr><th scope="row">{named(one.measure.column)}</th>'
        f'<td class="text why">{named(str(one.measure))}</td>'
        f"<td>{say_number(one.expected)}</td><td>{say_number(one.found)}</td>"
        f"<td>{counted(one.span, 'day')}</td><td>{escaped(one.since or _NONE)}</td></tr>"
        for one in findings
    )
    heads = ("column", "what", "expected", "found", "over", "since")
    return _table("What differs from the days of the reference", heads, rows)


def table_restated(restated: "Sequence[Restatement]") -> str:
    """Show the days that have another value now than when they were first judged."""
    if not restated:
        return ""
    rows = "".join(
        f'<tr><th scope="row" class="nowrap">{escaped(one.date)}</th>'
        f"<td>{say_number(one.before)}</td><td>{say_number(one.after)}</td>"
        f"<td>{one.late:,}</td><td>{one.corrected:,}</td>"
        f"<td>{escaped(one.judged[:_DAY])}</td><td>{escaped(one.restated[:_DAY])}</td></tr>"
        for one in restated
    )
    heads = ("day", "mean loss", "restated", "late labels", "corrected", "judged on", "restated on")
    return _table("Days that labels have restated", heads, rows)


def table_days(harm: "HarmLayer") -> str:
    """Show every day of the champion: rows, labels, loss and evidence."""
    again = {one.date for one in harm.restated}
    rows = "".join(
        f'<tr><th scope="row" class="nowrap">{escaped(day.date)}'
        f"{_RESTATED if day.date in again else ''}{'' if day.mature else _WAITS}</th>"
        f"<td>{day.rows:,}</td>"
        f"<td>{say_share(day.labelled / day.rows) if day.rows else _NONE}</td>"
        f"<td>{day.corrected:,}</td><td>{say_number(day.loss)}</td>"
        f"<td>{_NONE if day.evidence is None else f'{day.evidence:.2g}'}</td></tr>"
        for day in harm.days
    )
    heads = ("day", "rows", "labelled", "corrected", "mean loss", "evidence")
    return _table(f"Every day, by {escaped(harm.metric)}", heads, rows)


def _table(caption: str, heads: Sequence[str], rows: str) -> str:
    first, *others = heads
    text = ' class="text"'
    cells = f'<th scope="col"{text}>{first}</th>' + "".join(
        f'<th scope="col"{text if head == "what" else ""}>{head}</th>' for head in others
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption><span>{caption}</span></caption><thead><tr>{cells}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
