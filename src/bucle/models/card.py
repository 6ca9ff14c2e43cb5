"""The model card: what a person should know before trusting a model, as Markdown.

Says the same for the same package, names no time of writing, and shows text of the project as
text, never as markup. Imports nothing heavy.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bucle.charter.settings import CharterSettings
from bucle.grammar import say_count
from bucle.models.compiled.form import record_from_bytes
from bucle.models.package import PackageContents
from bucle.models.treatments import read_treatments

__all__ = ["render_card"]

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")
_SHOWN_FEATURES = 40
_PERCENT = frozenset({"wape", "mdape", "accuracy", "coverage"})


def render_card(contents: PackageContents, *, charter: CharterSettings | None = None) -> str:
    """Write the card of a package.

    Args:
        contents: Everything of the package but the card.
        charter: Why the model exists and how success is measured.

    Returns:
        Markdown that reads well as plain text too.
    """
    asked = charter or CharterSettings()
    signature = contents.signature
    parts = [
        [f"# Model card: {_plain(signature.target)}", "", _purpose(contents)],
        _section("Why it exists", _why(asked)),
        _section("How good it is", _metrics(contents, asked)),
        _section("How sure it is", _certainty(contents)),
        _section("What to be careful about", _cautions(contents, asked)),
        _section("How it answers", _engine(contents)),
        _section("What it takes", _features(contents)),
        _section("What it does with what is missing or new", _treatments(contents)),
        _section("Where it comes from", _lineage(contents.lineage)),
        _section("How to use it", _usage()),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines] if lines else []


def _purpose(contents: PackageContents) -> str:
    signature = contents.signature
    if signature.kind == "classification":
        yes = _plain(signature.classes[-1]) if signature.classes else "yes"
        what = f"how probable it is that **{_plain(signature.target)}** is {yes}"
    else:
        what = f"**{_plain(signature.target)}**, a number"
    return f"Predicts {what}, from {say_count(len(signature.features), 'column')}."


def _why(charter: CharterSettings) -> list[str]:
    facts = (
        ("Problem", charter.problem),
        ("Value", charter.value),
        ("Users", ", ".join(charter.users)),
        ("Owner", charter.owner),
    )
    return [f"- {name}: {_plain(text)}" for name, text in facts if text]


def _metrics(contents: PackageContents, charter: CharterSettings) -> list[str]:
    rows = contents.measured.get("rows")
    twin = contents.measured.get("measured_on")
    on = f"Measured on {rows} rows" if rows is not None else "Measured on rows"
    lines = [f"{on} that it has not learned from."]
    if twin:
        lines.append(f"The figures are those of its tested twin `{_plain(str(twin))}`.")
    baselines: Mapping[str, Mapping[str, float]] = contents.measured.get("baselines") or {}
    names = list(baselines)
    head = ["metric", "this model", *(f"baseline {_plain(name)}" for name in names)]
    goals = {kpi.metric: kpi for kpi in charter.kpis}
    rows_of_table = []
    for metric, value in contents.metrics.items():
        cells = [metric, _figure(metric, value)]
        cells += [_figure(metric, baselines[name].get(metric)) for name in names]
        kpi = goals.get(metric)
        cells.append(_figure(metric, kpi.goal) if kpi else "")
        cells.append(_figure(metric, kpi.must) if kpi else "")
        rows_of_table.append(cells)
    if rows_of_table:
        lines += ["", *_table([*head, "goal", "must"], rows_of_table)]
    return lines


def _certainty(contents: PackageContents) -> list[str]:
    record = contents.intervals
    if record is not None:
        return _interval_lines(record)
    if contents.calibration:
        table = [
            [str(part.rows), f"{part.probability:.1%}", f"{part.share_yes:.1%}"]
            for part in contents.calibration
        ]
        return [
            "Rows by what was said, beside what was:",
            "",
            *_table(["rows", "said to be yes", "were yes"], table),
        ]
    return ["It gives no intervals."]


def _interval_lines(record: Any) -> list[str]:
    if record.quantile is None:
        return [f"It gives no intervals: {record.note}."]
    how = "wider where its errors are larger" if record.scaled else "of the same width for all rows"
    lines = [f"- Intervals meant to hold {record.level:.0%} of the labels, {how}."]
    if record.coverage is not None:
        lines.append(
            f"- They held {record.coverage:.1%} of {record.measured_rows} rows after those, "
            f"with a mean width of {record.width:.4g}."
        )
    if record.group_quantiles:
        lines.append(
            f"- {len(record.group_quantiles)} groups of {_plain(record.group)} have a width "
            "of their own."
        )
    if record.note:
        lines.append(f"- Careful: {record.note}.")
    lines.append("- They hold as long as new rows resemble those they were learned on.")
    return lines


def _cautions(contents: PackageContents, charter: CharterSettings) -> list[str]:
    found = [*contents.measured.get("warnings", ()), *charter.risks]
    return [f"- {_plain(str(text))}" for text in found]


def _engine(contents: PackageContents) -> list[str]:
    return [_plain(str(contents.compiled.engine))] if contents.compiled else []


def _features(contents: PackageContents) -> list[str]:
    features = contents.signature.features
    shown = [[_plain(item.name), item.dtype] for item in features[:_SHOWN_FEATURES]]
    lines = _table(["column", "type"], shown)
    if len(features) > _SHOWN_FEATURES:
        lines += ["", f"and {len(features) - _SHOWN_FEATURES} more, in `signature.json`."]
    return lines


def _treatments(contents: PackageContents) -> list[str]:
    record = record_from_bytes(contents.compiled.record) if contents.compiled else None
    found = read_treatments(contents.signature, record, contents.rules)
    lines = []
    for what, ways in (
        ("Null", [(one.column, one.null) for one in found]),
        ("A word or code never seen", [(one.column, one.unknown) for one in found]),
    ):
        for way, words in _WAYS.items():
            names = [_plain(column) for column, own in ways if own == way]
            if names:
                lines.append(f"- {what} {words}: {', '.join(names)}.")
    return lines


_WAYS = {
    "taken": "is taken as such",
    "refused": "is refused",
    "unsaid": "goes to the estimator, which takes or refuses it",
}


def _lineage(lineage: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in sorted(lineage.items()):
        label = _plain(name.replace("_", " "))
        if isinstance(value, Mapping):
            if value:
                lines.append(f"- {label}:")
                lines += [f"  - {_plain(str(key))}: {_code(value[key])}" for key in sorted(value)]
        elif value is not None and value != "":
            lines.append(f"- {label}: {_code(value)}")
    return lines


def _usage() -> list[str]:
    return [
        "```python",
        "from pathlib import Path",
        "",
        "from bucle.models.package import open_package",
        "",
        'package = open_package(Path(".bucle/packages"), "m-…", project=Path("."))',
        "predictions = package.predict(frame)",
        "```",
    ]


def _figure(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if metric in _PERCENT else f"{value:.4g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _plain(text: str) -> str:
    """Return text on one line that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _code(value: Any) -> str:
    text = " ".join(str(value).split()).replace("`", "'")
    return f"`{text}`"
