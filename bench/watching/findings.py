"""What was found, kept in docs by part: the lines, their chart, and the tables of the page.

A part that is measured anew replaces its own lines only, so none has to wait for the others.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.watching.page import fill_in
from bench.watching.sketch import draw

__all__ = ["ORDER", "PAGE", "PICTURE", "draw_again", "keep_part", "read_lines"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURE = DOCS / "pictures" / "watch.svg"
FINDINGS = DOCS / "why" / "watching.jsonl"
PAGE = DOCS / "why" / "watching.md"
ORDER = ("power", "alarms", "simulated", "own", "peers", "nulls", "cost")
"""The parts, in the order in which their lines are kept."""


def read_lines() -> list[dict[str, Any]]:
    """Return the lines that are kept."""
    if not FINDINGS.exists():
        return []
    return [json.loads(line) for line in FINDINGS.read_text(encoding="utf-8").splitlines()]


def keep_part(name: str, found: Sequence[dict[str, Any]]) -> None:
    """Put the lines of one part in the place of its earlier ones, and draw everything again."""
    lines = [line for line in read_lines() if line["part"] != name]
    lines += [{"part": name, **line} for line in found]
    lines.sort(key=lambda line: ORDER.index(line["part"]))
    FINDINGS.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    draw_again()


def draw_again() -> None:
    """Write the chart and the tables of the page from the lines that are kept."""
    lines = read_lines()
    PICTURE.write_text(draw(lines), encoding="utf-8")
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
