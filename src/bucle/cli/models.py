"""`bucle models`, `promote`, `rollback` and `history`: the registry, a projection of the log."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.loop.registry import champion_history, find_model, list_models, promote_model, roll_back
from bucle.loop.workspace import open_workspace
from bucle.models.package import open_package
from bucle.store.files import write_whole

__all__ = ["EXPORT", "HISTORY", "MODELS", "PROMOTE", "ROLLBACK"]

_METRICS_SHOWN = 3


def _list(options: Namespace, terminal: Terminal) -> int:
    workspace = open_workspace(project_folder(options), overrides=options.set)
    models = list_models(workspace.state())
    terminal.answer(
        [
            {
                "model": model.model,
                "run": model.run,
                "metrics": model.metrics,
                "champion": model.champion,
                "made": model.at,
                "verdict": model.outcome,
            }
            for model in models
        ]
    )
    if terminal.json:
        return 0
    if not models:
        terminal.say("No model version yet. Try: bucle run")
        return 0
    first = [kpi.metric for kpi in workspace.charter.charter.kpis]
    terminal.table(
        [
            [
                "*" if model.champion else "",
                model.model,
                model.at[:16].replace("T", " "),
                model.outcome or "-",
                _shown_metrics(model.metrics, first),
            ]
            for model in models
        ],
        header=["", "model", "made (UTC)", "verdict", "metrics on rows it had not seen"],
    )
    terminal.say("\n* champion")
    return 0


def _shown_metrics(metrics: dict[str, float], first: list[str]) -> str:
    """Show the charter's KPIs, or the first metrics where it names none."""
    own = [name for name in metrics if "." not in name]
    names = [name for name in first if name in metrics] or own[:_METRICS_SHOWN]
    return "  ".join(f"{name} {metrics[name]:.4g}" for name in names)


def _export_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("model", help="a model version, or the start of its id")
    parser.add_argument("--onnx", metavar="FILE", required=True, help="where to write it")


def _export(options: Namespace, terminal: Terminal) -> int:
    from bucle.models.compiled.export_proof import export_package  # noqa: PLC0415  (heavy)

    workspace = open_workspace(project_folder(options), overrides=options.set)
    record = find_model(workspace.state(), options.model)
    package = open_package(
        workspace.packages, record.model, project=workspace.root, digest=record.digest
    )
    exported, rows = export_package(package)
    target = Path(options.onnx)
    write_whole(target, exported.content)
    terminal.answer(
        {
            "model": record.model,
            "file": str(target),
            "bytes": len(exported.content),
            "inputs": exported.inputs,
            "compared": rows,
        }
    )
    if not terminal.json:
        terminal.say(
            f"{record.model} is in {target} ({len(exported.content):,} bytes); onnxruntime gave "
            f"the same answer for {rows:,} rows"
        )
    return 0


def _promote_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("model", help="a model version, or the start of its id")
    parser.add_argument(
        "--because", default="", help="why; needed when the referee has not passed it"
    )


def _promote(options: Namespace, terminal: Terminal) -> int:
    workspace = open_workspace(project_folder(options), overrides=options.set)
    change = promote_model(workspace, options.model, because=options.because)
    terminal.answer({"model": change.model, "previous": change.previous, "changed": change.changed})
    if not terminal.json:
        terminal.say(
            f"{change.model} is champion"
            + (f" (before: {change.previous})" if change.changed and change.previous else "")
            + ("" if change.changed else " already; nothing changed")
        )
    return 0


def _rollback_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("--to", metavar="MODEL", help="default: the last good champion")
    parser.add_argument("--because", default="", help="why, as it will stand in the history")


def _rollback(options: Namespace, terminal: Terminal) -> int:
    workspace = open_workspace(project_folder(options), overrides=options.set)
    change = roll_back(workspace, to=options.to, because=options.because)
    terminal.answer(
        {
            "model": change.model,
            "previous": change.previous,
            "changed": change.changed,
            "withdrew": change.withdrew,
        }
    )
    if terminal.json:
        return 0
    if change.withdrew:
        terminal.say(f"{change.withdrew} answers no more; {change.model} stays champion")
        terminal.say("To go back from the champion too: bucle rollback, once more")
    else:
        terminal.say(f"{change.model} is champion again (was: {change.previous})")
    return 0


def _history(options: Namespace, terminal: Terminal) -> int:
    workspace = open_workspace(project_folder(options), overrides=options.set)
    tenures = champion_history(workspace.state())
    terminal.answer(
        [
            {
                "model": tenure.model,
                "from": tenure.since,
                "to": tenure.until,
                "by": tenure.by,
                "because": tenure.because,
                "how": tenure.how,
            }
            for tenure in tenures
        ]
    )
    if terminal.json:
        return 0
    if not tenures:
        terminal.say("No champion yet. Try: bucle run")
    terminal.table(
        [
            [
                tenure.model,
                tenure.since[:16].replace("T", " "),
                (tenure.until or "now")[:16].replace("T", " "),
                tenure.by,
                tenure.because,
            ]
            for tenure in tenures
        ],
        header=["model", "from (UTC)", "to", "by", "because"] if tenures else [],
    )
    return 0


MODELS = Handler(project_arguments, _list, "bucle models --json")
EXPORT = Handler(_export_arguments, _export, "bucle models export m-3f2a --onnx model.onnx")
PROMOTE = Handler(
    _promote_arguments, _promote, 'bucle promote m-3f2a --because "checked by the buyer"'
)
ROLLBACK = Handler(_rollback_arguments, _rollback, 'bucle rollback --because "odd prices"')
HISTORY = Handler(project_arguments, _history, "bucle history --json")
