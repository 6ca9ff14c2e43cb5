"""`bucle predict`: the champion's predictions for rows at hand, without a server."""

import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.errors import UsageError
from bucle.grammar import say_count
from bucle.loop.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from bucle.loop.predicting import Predicted

__all__ = ["PREDICT"]

_SHOWN = 20
_COLUMNS_SHOWN = 3
_BETWEEN_S = 0.5
_MOST_BYTES = 100_000_000


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument(
        "file",
        nargs="?",
        help="rows: CSV, JSON, JSON lines, Parquet or Arrow; - for JSON on standard input",
    )
    parser.add_argument("--row", metavar="JSON", help="one row, as POST /predict takes it")
    parser.add_argument("--model", help="a model version (default: the champion)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write rows and predictions, of a file of any size: .csv, .jsonl or .parquet",
    )
    parser.add_argument(
        "--no-log", action="store_true", help="with --output: leave the prediction log alone"
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    from bucle.loop.predicting import predict_file, predict_json  # noqa: PLC0415  (heavy)

    if (options.file is None) == (options.row is None):
        raise UsageError(
            "Cannot predict: name a file, or give one row",
            attempt="bucle predict new-items.csv, or bucle predict --row '{\"field\": 1}'",
        )
    workspace = open_workspace(project_folder(options), overrides=options.set)
    if options.output is not None:
        return _write(workspace, options, terminal)
    if options.row is not None:
        found = predict_json(workspace, options.row.encode(), model=options.model)
    elif options.file == "-":
        found = predict_json(workspace, _standard_input(), model=options.model)
    elif Path(options.file).suffix.lower() == ".json":
        from bucle.data.files import read_snapshot  # noqa: PLC0415  (heavy)

        body = read_snapshot(Path(options.file), max_bytes=_MOST_BYTES).content
        found = predict_json(workspace, body, model=options.model)
    else:
        found = predict_file(workspace, Path(options.file), model=options.model)
    terminal.answer([{"model": found.model, **_answer(one)} for one in found.scored])
    if not terminal.json:
        _tell(terminal, found)
    return 0


def _write(workspace: Workspace, options: Namespace, terminal: Terminal) -> int:
    """Predict a file into another one."""
    from bucle.loop.batch_output import KINDS, failed_path, predict_to_file  # noqa: PLC0415  (heavy)
    from bucle.loop.predicting import load_served  # noqa: PLC0415  (heavy)

    output = Path(options.output)
    if output.suffix not in KINDS:
        raise UsageError(
            f"Cannot write predictions to {str(output)!r}",
            cause=f"its name must end in one of {', '.join(KINDS)}",
        )
    if options.file in (None, "-") or Path(options.file).suffix.lower() == ".json":
        raise UsageError(
            "Cannot write predictions of JSON to a file",
            cause="a file of rows is read piece by piece, JSON as a whole",
            attempt="bucle predict rows.jsonl --output priced.jsonl",
        )
    served = load_served(workspace, options.model)
    progress = _Progress()
    try:
        written = predict_to_file(
            workspace,
            served,
            Path(options.file),
            output,
            record=not options.no_log,
            progress=progress.tell,
        )
    finally:
        progress.clear()
        served.engine.close()
    aside = failed_path(output)
    terminal.answer(
        {
            "model": written.model,
            "rows": written.rows,
            "failed": written.failed,
            "output": str(output),
            "failures": str(aside) if written.failed else None,
            "recorded": written.recorded,
        }
    )
    for note in written.notes:
        terminal.warn(note)
    if not terminal.json:
        terminal.say(f"{say_count(written.rows, 'row')} by {written.model}, in {output}")
    if written.failed:
        terminal.warn(
            f"{say_count(written.failed, 'row')} could not be predicted, in {aside} with the "
            f"reasons; {written.first_reason}"
        )
    return 1 if written.failed and not written.rows else 0


class _Progress:
    """One line on a terminal that says how far it is, twice a second at most."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()
        self._at = 0.0

    def tell(self, rows: int, done: float) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if self._shows and now - self._at > _BETWEEN_S:
            self._at = now
            sys.stderr.write(f"\r{rows:,} rows, {done:.0%} of the file ")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._at:
            sys.stderr.write("\r" + " " * 50 + "\r")
            sys.stderr.flush()


def _standard_input() -> bytes:
    content = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise UsageError(
            f"Cannot predict more than {_MOST_BYTES:,} bytes of standard input",
            attempt="a file: bucle predict rows.jsonl",
        )
    return content


def _answer(scored: Any) -> dict[str, Any]:
    has_ends = scored.low is not None and scored.high is not None
    return {
        "prediction": scored.prediction,
        **({"interval": [scored.low, scored.high]} if has_ends else {}),
        **({"details": scored.details} if scored.details else {}),
    }


def _tell(terminal: Terminal, found: "Predicted") -> None:
    for note in found.notes:
        terminal.warn(note)
    shown = found.rows.columns[:_COLUMNS_SHOWN]
    terminal.table(
        [
            [
                *(str(row[name])[:20] for name in shown),
                f"{one.prediction:,.6g}",
                "-" if one.low is None else f"{one.low:,.6g}",
                "-" if one.high is None else f"{one.high:,.6g}",
            ]
            for row, one in zip(
                found.rows.head(_SHOWN).iter_rows(named=True), found.scored, strict=False
            )
        ],
        header=[*(name[:20] for name in shown), "prediction", "low", "high"],
    )
    for name, value in (found.scored[0].details or {}).items() if len(found.scored) == 1 else ():
        terminal.say(f"  {name.replace('_', ' ')}  {_shown(value)}")
    more = len(found.scored) - _SHOWN
    if more > 0:
        terminal.say(f"and {say_count(more, 'more row')}")
    terminal.say(f"\n{say_count(len(found.scored), 'row')} by {found.model}")


def _shown(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


PREDICT = Handler(_arguments, _call, "bucle predict new-items.csv --output priced.csv")
