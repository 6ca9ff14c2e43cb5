"""`bucle new`: a project from a template or from a table."""

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from bucle.charter.settings import DatasetSettings
from bucle.cli.handler import Handler
from bucle.cli.terminal import Terminal
from bucle.grammar import say_count
from bucle.templates.creation import TEMPLATES, TemplateOptions, create_project

__all__ = ["NEW"]


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", help="where; its name becomes the project's")
    parser.add_argument(
        "--template",
        default="blank",
        help="; ".join(f"{known.name}: {known.summary}" for known in TEMPLATES.values()),
    )
    parser.add_argument(
        "--data", action="append", nargs="+", default=[], metavar="FILE", help="files to copy in"
    )
    parser.add_argument("--task", help="for templates with several: scms has freight and price")
    parser.add_argument("--target", metavar="COL", help="blank: the column to predict")
    parser.add_argument("--event-time", metavar="COL", help="blank: when the prediction is made")
    parser.add_argument("--label-time", metavar="COL", help="blank: when the truth became known")
    parser.add_argument(
        "--key", action="append", default=[], metavar="COL", help="blank: what names a row"
    )
    parser.add_argument(
        "--late",
        action="append",
        default=[],
        metavar="COL",
        help="blank: a column that is filled only once the truth is known",
    )
    parser.add_argument("--encoding", help="blank: the text encoding of the files")
    parser.add_argument("--separator", help="blank: what stands between two fields")
    parser.add_argument(
        "--decimal",
        choices=[".", ","],
        default=".",
        metavar="SIGN",
        help="blank: decimal sign, . or ,",
    )
    parser.add_argument(
        "--dates", choices=["day-first", "month-first"], help="blank: what 3/4/2026 means"
    )
    parser.add_argument(
        "--null-values",
        action="append",
        default=[],
        metavar="TEXT",
        help="blank: what stands for a missing value, such as N/A",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="consignment: which store to simulate"
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    created = create_project(
        Path(options.folder),
        template=options.template,
        options=TemplateOptions(
            data=tuple(Path(name) for group in options.data for name in group),
            target=options.target,
            event_time=options.event_time,
            label_time=options.label_time,
            key=tuple(options.key),
            late=tuple(options.late),
            task=options.task,
            seed=options.seed,
            reading=DatasetSettings(
                encoding=options.encoding,
                separator=options.separator,
                decimal=options.decimal,
                dates=options.dates,
                null_values=_null_values(options.null_values),
            ),
        ),
    )
    terminal.answer(
        {
            "folder": str(created.folder),
            "template": options.template,
            "files": list(created.files),
            "notes": list(created.notes),
        }
    )
    if terminal.json:
        return 0
    terminal.say(f"{created.folder}: {say_count(len(created.files), 'file')} written")
    for note in created.notes:
        terminal.paragraph(note, indent="  ")
    terminal.say(f"Try: cd {shlex.quote(str(created.folder))} && bucle run")
    return 0


def _null_values(given: Sequence[str]) -> tuple[str, ...]:
    """Return what stands for a missing value: the empty text, and all between given commas."""
    return tuple(dict.fromkeys(["", *(part for text in given for part in text.split(","))]))


NEW = Handler(
    _arguments,
    _call,
    "bucle new taxi --data trips.parquet --target fare --event-time picked_up",
)
