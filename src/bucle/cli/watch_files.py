"""`bucle watch --reference A --current B`: two sets of Parquet files, without any project."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bucle.cli.terminal import Terminal
from bucle.errors import UsageError
from bucle.grammar import say_count

if TYPE_CHECKING:
    from bucle.loop.watching.files import FileReport

__all__ = ["compare_files", "files_arguments"]

_SHOWN = 30


def files_arguments(parser: ArgumentParser) -> None:
    """Add the options that name files."""
    parser.add_argument(
        "--reference",
        nargs="+",
        metavar="FILE",
        help="judge Parquet files by others, without a project: these say how things were",
    )
    parser.add_argument(
        "--current", nargs="+", metavar="FILE", help="the Parquet files that are judged"
    )
    parser.add_argument(
        "--time", metavar="COLUMN", help="of these files: the column that says the day of a row"
    )


def compare_files(options: Namespace, terminal: Terminal) -> int:
    """Say what differs between files.

    Raises:
        UsageError: One side is missing.
    """
    if not options.reference or not options.current:
        raise UsageError(
            "Cannot compare files of one side only",
            cause="--reference says how things were, --current how they are",
            attempt="bucle watch --reference january.parquet --current february.parquet",
        )
    from bucle.loop.watching.files import watch_files  # noqa: PLC0415  (heavy)

    report = watch_files(
        [Path(name) for name in options.reference],
        [Path(name) for name in options.current],
        time=options.time,
    )
    terminal.answer(msgspec.to_builtins(report))
    if not terminal.json:
        _tell(terminal, report)
    return 0


def _tell(terminal: Terminal, report: "FileReport") -> None:
    unit = "day" if report.time else "block"
    for name, side in (("reference", report.reference), ("current", report.current)):
        rows, days = say_count(side.rows, "row"), say_count(side.days, unit)
        terminal.say(f"{name:<11}{rows} in {days}")
    if report.time is None:
        terminal.say("note       no column says the day; rows that lie together are one block")
    for name, columns in (("missing", report.missing), ("added", report.added)):
        if columns:
            terminal.say(f"{name:<11}{', '.join(columns)}")
    terminal.say()
    judged = f"{report.measures} measures of {say_count(report.columns, 'column')}"
    if not report.findings:
        terminal.say(f"as it was: {judged} lie within the spread between {unit}s")
        return
    terminal.say(f"CHANGED: {len(report.findings)} of {judged}")
    terminal.table(
        [
            [
                finding.measure.column,
                str(finding.measure),
                f"{finding.expected:.4g}",
                f"{finding.found:.4g}",
            ]
            for finding in report.findings[:_SHOWN]
        ],
        header=["column", "what", "expected", "found"],
    )
    more = len(report.findings) - _SHOWN
    if more > 0:
        terminal.say(f"and {more} more: --json")
