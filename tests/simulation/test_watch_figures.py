"""The page on watching, and its chart, say what was measured and nothing else."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

findings = pytest.importorskip("bench.watching.findings", reason="the benchmarks are not here")
page = pytest.importorskip("bench.watching.page")
sketch = pytest.importorskip("bench.watching.sketch")


def test_tables_of_the_page_are_those_of_the_kept_lines() -> None:
    text = findings.PAGE.read_text(encoding="utf-8")
    assert page.fill_in(text, findings.read_lines()) == text


def test_the_chart_is_drawn_from_the_kept_lines() -> None:
    drawn = findings.PICTURE.read_text(encoding="utf-8")
    assert sketch.draw(findings.read_lines()) == drawn


def test_a_part_that_was_not_measured_leaves_its_table_as_it_was() -> None:
    text = "Before\n<!-- measured: cost -->\n| a |\n|---|\n| 1 |\n<!-- end -->\nafter\n"
    assert page.fill_in(text, []) == text


def test_a_new_line_takes_the_place_of_an_old_row() -> None:
    line = {
        "figure": "cost of a report",
        "contender": "bucle",
        "rows": "10 + 10",
        "s": 1.5,
        "cpu_s": 1.2,
        "memory_mb": 12.0,
    }
    text = "<!-- measured: cost -->\n| a |\n|---|\n| 1 |\n<!-- end -->\n"
    filled = page.fill_in(text, [line])
    assert "| 10 + 10 | Bucle | 1.5 | 1.2 | 12 |" in filled
    assert "| 1 |\n" not in filled
