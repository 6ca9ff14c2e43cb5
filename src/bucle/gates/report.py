"""A verdict in words, for a terminal of 80 columns. Pure text.

The same numbers go into the log and into `--json`; nothing here decides anything.
"""

import textwrap

from bucle.gates.wording import say_amount, say_percent
from bucle.grammar import say_count
from bucle.types import Check, Verdict

__all__ = ["TABLE_HEAD", "describe", "table_rows"]

TABLE_HEAD = ("check", "outcome", "estimate", "low", "high", "limit")
_WIDTH = 80
_NAME_WIDTH = 22
_GAINS = ("champion", "baseline:", "slice:", "refit")
# Of a passed check the table says enough, unless it passed with a reservation.
_WORTH_TELLING = ("careful", "not shown to be worse", "too small to judge")
_UNITS = {"size": " MB", "latency": " ms"}


def describe(verdict: Verdict) -> list[str]:
    """Tell a verdict in lines of at most 80 columns: the outcome, the table, the reasons.

    Example:
        >>> check = Check(name="leaks", outcome="pass", why="no column is suspected")
        >>> told = Verdict(outcome="pass", checks=(check,), rows=500, challenger="m-1")
        >>> print(describe(told)[0])
        pass: m-1, judged on 500 rows
    """
    against = f" against the champion {verdict.champion}" if verdict.champion else ""
    head = f"{verdict.outcome}: {verdict.challenger or 'the challenger'}{against}"
    lines = textwrap.wrap(f"{head}, judged on {say_count(verdict.rows, 'row')}", _WIDTH)
    rows = [TABLE_HEAD, *table_rows(verdict)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(TABLE_HEAD))]
    lines += [_lay_out(row, widths) for row in rows]
    for check in verdict.checks:
        if check.outcome != "pass" or any(words in check.why for words in _WORTH_TELLING):
            lines += textwrap.wrap(
                f"{_clean(check.name)}: {_clean(check.why)}",
                _WIDTH,
                initial_indent="- ",
                subsequent_indent="  ",
                break_on_hyphens=False,
            )
    return lines


def table_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Return the checks as rows of text under `TABLE_HEAD`; empty where there is no number.

    Gains are in per cent of the reference's loss, limits in the unit of their metric.

    Example:
        >>> check = Check(
        ...     name="champion", outcome="pass", estimate=0.1, low=0.05, high=0.15, limit=0.0
        ... )
        >>> table_rows(Verdict(outcome="pass", checks=(check,), rows=9, challenger="m-1"))
        [('champion', 'pass', '+10.0 %', '+5.0 %', '+15.0 %', '+0.0 %')]
    """
    return [
        (
            _shorten(_clean(check.name)),
            check.outcome,
            *(_say(check, value) for value in (check.estimate, check.low, check.high, check.limit)),
        )
        for check in verdict.checks
    ]


def _say(check: Check, value: float | None) -> str:
    if value is None:
        return ""
    if check.name.startswith(_GAINS):
        return say_percent(value, signed=True)
    return say_amount(value) + _UNITS.get(check.name, "")


def _lay_out(row: tuple[str, ...], widths: list[int]) -> str:
    words = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
    words += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(words).rstrip()


def _shorten(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + "…"


def _clean(text: str) -> str:
    """Show names from outside without letting them steer the terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
