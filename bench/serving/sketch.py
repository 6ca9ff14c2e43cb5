"""The chart of serving: what each server takes, drawn from the lines that were printed."""

import math
from collections.abc import Sequence
from typing import Any

from bench.picture import STYLE

__all__ = ["draw"]

PANELS = (
    ("cpu_ms", "CPU of a request of one row, ms", False),
    ("requests_s", "Requests a second at 64 connections", True),
    ("p99_ms", "99 of 100 answered within, ms, at 64", False),
    ("many_cpu_ms", "CPU of a request of 100 rows, ms", False),
    ("memory_mb", "Memory with one worker, MB", False),
    ("start_s", "From its start to its first answer, s", False),
)
NAMES = {"ok": "only answers", "bucle, compiled": "Bucle", "bucle, estimator": "Bucle, estimator"}
WIDTH, SIDE, TOP = 760, 380, 66
LINE, NAME, BAR = 22, 122, 170
BARS = """
.bar{fill:#8795a3}.ours{fill:#0b5cad}.floor{fill:#c3ccd5}
@media(prefers-color-scheme:dark){.bar{fill:#6b7885}.ours{fill:#74b6ff}.floor{fill:#48535e}}
text{font-size:14px}.big{font-size:19px}.head{font-size:15px;font-weight:600}
""".strip()


def draw(lines: Sequence[dict[str, Any]]) -> str:
    """Return the chart as SVG; bars are of the logarithm, numbers say the values."""
    found = [line for line in lines if "cpu_ms" in line]
    panel = 34 + LINE * len(found)
    height = TOP + panel * ((len(PANELS) + 1) // 2) + 8
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'aria-labelledby="title about">'
        ),
        f'<title id="title">What serving costs</title><desc id="about">{_about(found)}</desc>',
        f"<style>{STYLE}\n{BARS}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        _text(16, 30, "What serving costs: one worker, one thread, one model", "ink big"),
        _text(
            16,
            52,
            "13 columns, one-hot, 200 trees; bars of the logarithm; more is better at ↑ only",
            "quiet",
        ),
    ]
    for number, (name, title, more_is_better) in enumerate(PANELS):
        x, y = 16 + SIDE * (number % 2), TOP + panel * (number // 2)
        parts += _panel(found, name, title + (" ↑" if more_is_better else ""), x, y)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(found: Sequence[dict[str, Any]], name: str, title: str, x: int, y: int) -> list[str]:
    values = [line[name] for line in found]
    # Half a decade below the smallest, so that it has a bar as well.
    low, high = math.log10(min(values)) - 0.5, math.log10(max(values))
    parts = [_text(x, y + 20, title, "ink head")]
    for number, (line, value) in enumerate(zip(found, values, strict=True)):
        down = y + 30 + LINE * number
        long = BAR * (math.log10(value) - low) / (high - low)
        kind = "ours" if line["contender"].startswith("bucle") else "bar"
        kind = "floor" if line["contender"] == "ok" else kind
        parts.append(
            f'<text class="ink" x="{x + NAME - 8}" y="{down + 14}" text-anchor="end">'
            f"{NAMES.get(line['contender'], line['contender'])}</text>"
            f'<rect class="{kind}" x="{x + NAME}" y="{down + 2}" width="{long:.1f}" height="16"/>'
            + _text(x + NAME + long + 6, down + 14, _say(value), "quiet")
        )
    return parts


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{words}</text>'


def _say(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _about(found: Sequence[dict[str, Any]]) -> str:
    return "; ".join(
        f"{NAMES.get(line['contender'], line['contender'])}: {_say(line['cpu_ms'])} ms of CPU, "
        f"{_say(line['requests_s'])} requests a second, 99 of 100 within {_say(line['p99_ms'])} ms"
        for line in found
    )
