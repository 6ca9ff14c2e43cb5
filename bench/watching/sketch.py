"""The chart of watching: false alarms of each monitor, and what it finds, from printed lines."""

from collections.abc import Sequence
from typing import Any

from bench.picture import STYLE

__all__ = ["draw"]

NAMES = {"bucle": "Bucle", "evidently": "Evidently", "nannyml": "NannyML", "ks": "p < 0.05"}
PANELS = (
    ("taxi 500/500", "Taxi, 500 rows beside 500 of a month"),
    ("taxi 5000/5000", "5,000 rows beside 5,000 of it"),
    ("taxi 28000/28000", "28,000 rows beside 28,000 of it"),
    ("taxi 50000/500", "500 rows beside 50,000 of it"),
    ("false_days", "Taxi, February day by day"),
    ("simulated", "Days of simulated projects"),
    ("nulls", "Taxi, days with 1 % of fares missing ↑"),
    ("labels", "Labels until losses 30 % larger show"),
)
WORLD = "rows of a day alike"
SIMULATED = ("false alarms in half a year", "days in alarm without a change")
MOST_LABELS = 300
Values = dict[str, tuple[float, str]]
WIDTH, SIDE, TOP = 760, 380, 66
LINE, NAME, BAR = 22, 84, 190
BARS = """
.bar{fill:#8795a3}.ours{fill:#0b5cad}
@media(prefers-color-scheme:dark){.bar{fill:#6b7885}.ours{fill:#74b6ff}}
text{font-size:14px}.big{font-size:19px}.head{font-size:15px;font-weight:600}
""".strip()


def draw(lines: Sequence[dict[str, Any]]) -> str:
    """Return the chart as SVG; bars are shares."""
    found = _by_contender(lines)
    panel = 34 + LINE * len(found)
    height = TOP + panel * ((len(PANELS) + 1) // 2) + 8
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'aria-labelledby="title about">'
        ),
        f'<title id="title">What alarms are worth</title><desc id="about">{_about(found)}</desc>',
        f"<style>{STYLE}\n{BARS}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        _text(16, 30, "What alarms are worth", "ink big"),
        _text(
            16,
            52,
            "reports, or days, in alarm where nothing has changed; last row: something has",
            "quiet",
        ),
    ]
    for number, (key, title) in enumerate(PANELS):
        x, y = 16 + SIDE * (number % 2), TOP + panel * (number // 2)
        parts += _panel(found, key, title, x, y)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _by_contender(lines: Sequence[dict[str, Any]]) -> dict[str, Values]:
    """Return what each monitor has in each panel: the length of its bar, and how it is written."""
    found: dict[str, Values] = {name: {} for name in NAMES}
    for line in lines:
        figure, mine = line["figure"], found.get(line.get("contender", "bucle"), {})
        if "skipped" in line:
            continue
        if figure == "monitors":
            for key, one in line["false_reports"].items():
                mine[key] = one["share"], f"{100 * one['share']:.3g} %"
            if "days" in line:
                false, days = line["false_days"], line["days"]
                mine["false_days"] = false / days, f"{false} of {days}"
                nulls = line["found"]["nulls"]
                named, of = nulls["days_named"], nulls["of"]
                mine["nulls"] = named / of, f"{named} of {of}"
        elif figure in SIMULATED and line["world"] == WORLD:
            share = line["share"] if "share" in line else line["all"]["days_in_alarm"] / 180
            mine["simulated"] = share, f"{100 * share:.3g} %"
        elif line.get("losses") == "gamma" and not line.get("icc") and "times" not in line:
            rows = line["median_rows"]
            mine["labels"] = min(rows / MOST_LABELS, 1.0), f"{rows:,.0f}"
    return {name: values for name, values in found.items() if values}


def _panel(found: dict[str, Values], key: str, title: str, x: int, y: int) -> list[str]:
    parts = [_text(x, y + 20, title, "ink head")]
    there = [(name, values[key]) for name, values in found.items() if key in values]
    for number, (name, (share, told)) in enumerate(there):
        down = y + 30 + LINE * number
        kind = "ours" if name == "bucle" else "bar"
        parts.append(
            f'<text class="ink" x="{x + NAME - 8}" y="{down + 14}" text-anchor="end">'
            f"{NAMES[name].replace('<', '&lt;')}</text>"
            f'<rect class="{kind}" x="{x + NAME}" y="{down + 2}" width="{BAR * share:.1f}" '
            'height="16"/>' + _text(x + NAME + BAR * share + 6, down + 14, told, "quiet")
        )
    return parts


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{words}</text>'


def _about(found: dict[str, Values]) -> str:
    return "; ".join(
        f"{NAMES[name].replace('<', '&lt;')}: "
        + ", ".join(f"{title}: {values[key][1]}" for key, title in PANELS if key in values)
        for name, values in found.items()
    )
