"""`bucle predict`: the champion's predictions for rows at hand, without a server."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.errors import UsageError
from bucle.grammar import say_count
from bucle.loop.workspace import open_workspace
from bucle.store.files import write_whole

if TYPE_CHECKING:
    import polars as pl

    from bucle.loop.predicting import Predicted

__all__ = ["PREDICT"]

_SHOWN = 20
_COLUMNS_SHOWN = 3
_KINDS = (".csv", ".jsonl", ".parquet")
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
        "--output", metavar="FILE", help=f"write rows and predictions: {', '.join(_KINDS)}"
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    from bucle.loop.predicting import predict_file, predict_json  # noqa: PLC0415  (heavy)

    if (options.file is None) == (options.row is None):
        raise UsageError(
            "Cannot predict: name a file, or give one row",
            attempt="bucle predict new-items.csv, or bucle predict --row '{\"field\": 1}'",
        )
    output = Path(options.output) if options.output else None
    if output is not None and output.suffix not in _KINDS:
        raise UsageError(
            f"Cannot write predictions to {str(output)!r}",
            cause=f"its name must end in one of {', '.join(_KINDS)}",
        )
    workspace = open_workspace(project_folder(options), overrides=options.set)
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
    if output is not None:
        _write(output, _joined(found))
    terminal.answer([{"model": found.model, **_answer(one)} for one in found.scored])
    if not terminal.json:
        _tell(terminal, found, output)
    return 0


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


def _joined(found: "Predicted") -> "pl.DataFrame":
    """Return the rows with what was predicted of each."""
    import polars as pl  # noqa: PLC0415  (heavy)

    predicted = pl.DataFrame(
        {
            "prediction": [one.prediction for one in found.scored],
            "low": [one.low for one in found.scored],
            "high": [one.high for one in found.scored],
        },
        schema={"prediction": pl.Float64, "low": pl.Float64, "high": pl.Float64},
    )
    details = [one.details for one in found.scored]
    if any(details):
        beside = pl.DataFrame(details, infer_schema_length=None)
        predicted = pl.concat([predicted, beside], how="horizontal")
    taken = set(found.rows.columns)
    return pl.concat(
        [
            found.rows,
            predicted.rename(
                {name: f"predicted_{name}" for name in predicted.columns if name in taken}
            ),
        ],
        how="horizontal",
    )


def _write(path: Path, frame: "pl.DataFrame") -> None:
    from io import BytesIO  # noqa: PLC0415  (only here)

    content = BytesIO()
    if path.suffix == ".csv":
        from bucle.data.quarantine import guard_cells  # noqa: PLC0415  (heavy)

        guard_cells(frame).write_csv(content)
    elif path.suffix == ".jsonl":
        frame.write_ndjson(content)
    else:
        frame.write_parquet(content)
    write_whole(path, content.getvalue())


def _tell(terminal: Terminal, found: "Predicted", output: Path | None) -> None:
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
    where = f", in {output}" if output else ""
    terminal.say(f"\n{say_count(len(found.scored), 'row')} by {found.model}{where}")


def _shown(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


PREDICT = Handler(_arguments, _call, "bucle predict new-items.csv --output priced.csv")
