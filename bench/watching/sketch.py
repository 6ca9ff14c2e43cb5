"""The chart of watching: false alarms of each monitor, and what it finds, from printed lines."""

from collections.abc import Sequence
from typing import Any

from bench.picture import STYLE

__all__ = ["draw"]

NAMES = {"bucle": "Bucle", "evidently": "Evidently", "nannyml": "NannyML", "ks": "p < 0.05"}
PANELS = (
    ("taxi 500/500", "500 rows beside 500 of one month"),
    ("taxi 5000/5000", "5,000 rows beside 5,000 of it"),
    ("taxi 28000/28000", "28,000 rows beside 28,000 of it"),
    ("taxi 50000/500", "500 rows beside 50,000 of it"),
    ("false_days", "Days of February beside January"),
    ("nulls", "Days with 1 % of fares missing ↑"),
)
WIDTH, SIDE, TOP = 760, 380, 66
LINE, NAME, BAR = 22, 84, 190
BARS = """
.bar{fill:#8795a3}.ours{fill:#0b5cad}
@media(prefers-color-scheme:dark){.bar{fill:#6b7885}.ours{fill:#74b6ff}}
text{font-size:14px}.big{font-size:19px}.head{font-size:15px;font-weight:600}
""".strip()


def draw(lines: Sequence[dict[str, Any]]) -> str:
    """Return the chart as SVG; bars are shares."""
    found = [line for line in lines if line["figure"] == "monitors" and "false_reports" in line]
    found.sort(key=lambda line: list(NAMES).index(line["contender"]))
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
        _text(16, 30, "What alarms are worth: taxi trips, 15 columns", "ink big"),
        _text(
            16,
            52,
            "reports that call a column drifted; nothing has changed but in the last panel",
            "quiet",
        ),
    ]
    for number, (key, title) in enumerate(PANELS):
        x, y = 16 + SIDE * (number % 2), TOP + panel * (number // 2)
        parts += _panel(found, key, title, x, y)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(found: Sequence[dict[str, Any]], key: str, title: str, x: int, y: int) -> list[str]:
    parts = [_text(x, y + 20, title, "ink head")]
    for number, line in enumerate(found):
        down = y + 30 + LINE * number
        share, told = _value(line, key)
        kind = "ours" if line["contender"] == "bucle" else "bar"
        parts.append(
            f'<text class="ink" x="{x + NAME - 8}" y="{down + 14}" text-anchor="end">'
            f"{NAMES[line['contender']].replace('<', '&lt;')}</text>"
            f'<rect class="{kind}" x="{x + NAME}" y="{down + 2}" width="{BAR * share:.1f}" '
            'height="16"/>' + _text(x + NAME + BAR * share + 6, down + 14, told, "quiet")
        )
    return parts


def _value(line: dict[str, Any], key: str) -> tuple[float, str]:
    """Return a share and how it is written."""
    if key == "false_days":
        return line["false_days"] / line["days"], f"{line['false_days']} of {line['days']}"
    if key == "nulls":
        one = line["found"]["nulls"]
        return one["days_named"] / one["of"], f"{one['days_named']} of {one['of']}"
    share = line["false_reports"][key]["share"]
    return share, f"{100 * share:.3g} %"


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{words}</text>'


def _about(found: Sequence[dict[str, Any]]) -> str:
    return "; ".join(
        f"{NAMES[line['contender']].replace('<', '&lt;')}: "
        + ", ".join(f"{title}: {_value(line, key)[1]}" for key, title in PANELS)
        for line in found
    )
