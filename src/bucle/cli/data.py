"""`bucle data …`: add, list, show, diff, quarantine, check."""

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.cli.wording import tell_coercion
from bucle.grammar import say_count
from bucle.loop.datasets import add_rows
from bucle.loop.inspection import (
    check_dataset,
    describe_dataset,
    diff_dataset,
    export_quarantine,
    list_datasets,
    list_quarantine,
)
from bucle.loop.narration import tell_addition
from bucle.loop.workspace import Workspace, open_workspace

__all__ = ["ADD", "CHECK", "DIFF", "LIST", "QUARANTINE", "SHOW"]

_ANSWER_IS_NO = 1


def _open(options: Namespace) -> Workspace:
    return open_workspace(project_folder(options), overrides=options.set)


def _add_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("dataset", help="its name in bucle.toml")
    parser.add_argument(
        "files", nargs="*", help="files to add (default: the source named in bucle.toml)"
    )


def _add(options: Namespace, terminal: Terminal) -> int:
    added = add_rows(_open(options), options.dataset, [Path(name) for name in options.files])
    fact = added.fact
    terminal.answer(
        {
            "dataset": fact.dataset,
            "version": fact.data_version,
            "rows": fact.rows,
            "read": fact.read,
            "added": fact.added,
            "changed": fact.changed,
            "unchanged": fact.unchanged,
            "removed": fact.removed,
            "corrected": fact.corrected,
            "quarantined": fact.quarantined,
            "fingerprint": fact.fingerprint,
            "coerced": msgspec.to_builtins(fact.coerced),
            "warnings": list(added.warnings),
        }
    )
    if terminal.json:
        return 0
    terminal.say(
        f"{fact.dataset}: {say_count(fact.read, 'row')} read, {tell_addition(fact)}, "
        f"{fact.unchanged:,} there already"
    )
    for coercion in fact.coerced:
        terminal.paragraph(tell_coercion(coercion), indent="  ")
    for warning in added.warnings:
        terminal.paragraph(warning, indent="  ! ")
    for note in added.notes:
        terminal.paragraph(note, indent="  ")
    terminal.say(
        f"version {fact.data_version}: {say_count(fact.rows, 'row')}, "
        f"fingerprint {fact.fingerprint[:12]}" + ("" if added.is_new else " (unchanged)")
    )
    if fact.quarantined:
        terminal.say(f"Try: bucle data quarantine {fact.dataset}")
    return 0


def _list(options: Namespace, terminal: Terminal) -> int:
    datasets = list_datasets(_open(options))
    terminal.answer([msgspec.to_builtins(dataset) for dataset in datasets])
    if terminal.json:
        return 0
    if not datasets:
        terminal.say("No dataset in bucle.toml.")
    terminal.table(
        [
            [
                dataset.dataset,
                str(dataset.version or "-"),
                f"{dataset.rows:,}",
                (dataset.at or "never")[:16].replace("T", " "),
                dataset.fingerprint[:12],
            ]
            for dataset in datasets
        ],
        header=["dataset", "version", "rows", "added (UTC)", "fingerprint"] if datasets else [],
    )
    return 0


def _show_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("dataset")
    parser.add_argument("version", nargs="?", type=int, help="default: the current one")


def _show(options: Namespace, terminal: Terminal) -> int:
    shown = describe_dataset(_open(options), options.dataset, version=options.version)
    terminal.answer(msgspec.to_builtins(shown))
    if terminal.json:
        return 0
    terminal.say(
        f"{shown.dataset} version {shown.version}: {say_count(shown.rows, 'row')}, "
        f"{say_count(len(shown.columns), 'column')}, fingerprint {shown.fingerprint[:12]}"
    )
    for version in shown.versions:
        terminal.say(
            f"  version {version.version}  {version.at[:16].replace('T', ' ')}  by {version.by}  "
            f"{say_count(version.rows, 'row')}  from {', '.join(version.files) or 'a query'}"
        )
    terminal.say()
    terminal.table(
        [
            [column.name, column.type, f"{column.nulls:,}", column.role, column.examples]
            for column in shown.columns
        ],
        header=["column", "type", "nulls", "role", "examples"],
    )
    return 0


def _diff_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("dataset")
    parser.add_argument("before", type=int, metavar="A", help="a version")
    parser.add_argument("after", type=int, metavar="B", help="a later version")


def _diff(options: Namespace, terminal: Terminal) -> int:
    difference = diff_dataset(
        _open(options), options.dataset, before=options.before, after=options.after
    )
    terminal.answer(msgspec.to_builtins(difference))
    if terminal.json:
        return 0
    terminal.say(
        f"{options.dataset} {options.before} → {options.after}: {difference.added:,} added, "
        f"{difference.removed:,} removed, {difference.changed:,} changed"
    )
    terminal.table(
        [["  " + name, say_count(count, "cell")] for name, count in difference.columns.items()]
    )
    return 0


def _quarantine_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("dataset")
    parser.add_argument(
        "--export", metavar="FILE", help="write the rows as CSV, to correct and add again"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="list at most N rows")


def _quarantine(options: Namespace, terminal: Terminal) -> int:
    workspace = _open(options)
    if options.export:
        count = export_quarantine(workspace, options.dataset, Path(options.export))
        terminal.answer({"dataset": options.dataset, "exported": count, "file": options.export})
        if not terminal.json:
            terminal.say(f"{say_count(count, 'row')} written to {options.export}")
            file = shlex.quote(str(options.export))
            terminal.say(f"Correct them, then: bucle data add {options.dataset} {file}")
        return 0
    held = list_quarantine(workspace, options.dataset)
    terminal.answer([msgspec.to_builtins(row) for row in held])
    if terminal.json:
        return 0
    terminal.say(f"{options.dataset}: {say_count(len(held), 'row')} in quarantine")
    for row in held[: max(0, options.limit)]:
        terminal.say(f"  {row.origin}")
        for reason in row.reasons:
            terminal.paragraph(reason, indent="    ")
    if len(held) > options.limit:
        terminal.say(f"  and {len(held) - options.limit:,} more (--limit, --json or --export)")
    return 0


def _check_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("dataset")
    parser.add_argument("--target", help="the column to protect (default: the label)")


def _check(options: Namespace, terminal: Terminal) -> int:
    suspects = check_dataset(_open(options), options.dataset, target=options.target)
    terminal.answer({"suspects": [msgspec.to_builtins(suspect) for suspect in suspects]})
    if not terminal.json:
        for suspect in suspects:
            terminal.say(f"{suspect.kind}: {', '.join(suspect.columns)}")
            terminal.paragraph(suspect.evidence, indent="  ")
        if not suspects:
            terminal.say("No column gives the label away, as far as products, ratios and times go.")
    return _ANSWER_IS_NO if suspects else 0


ADD = Handler(_add_arguments, _add, "bucle data add sales exports/2026-*.csv")
LIST = Handler(project_arguments, _list, "bucle data list")
SHOW = Handler(_show_arguments, _show, "bucle data show sales 3")
DIFF = Handler(_diff_arguments, _diff, "bucle data diff sales 1 2")
QUARANTINE = Handler(
    _quarantine_arguments, _quarantine, "bucle data quarantine sales --export held.csv"
)
CHECK = Handler(_check_arguments, _check, "bucle data check sales --target price")
