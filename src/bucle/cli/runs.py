"""`bucle runs` and `bucle show`: what ran, and everything on record about a run or a model."""

from argparse import ArgumentParser, Namespace

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.errors import UsageError
from bucle.gates.report import describe
from bucle.loop.records import list_runs, show_model, show_run
from bucle.loop.workspace import Workspace, open_workspace

__all__ = ["RUNS", "SHOW"]


def _runs_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("--last", type=int, default=20, metavar="N", help="only the last N runs")


def _runs(options: Namespace, terminal: Terminal) -> int:
    if options.last < 1:
        raise UsageError(f"Cannot list {options.last} runs", attempt="bucle runs --last 20")
    workspace = open_workspace(project_folder(options), overrides=options.set)
    runs = list_runs(workspace.state())[-options.last :]
    terminal.answer([msgspec.to_builtins(run) for run in runs])
    if terminal.json:
        return 0
    if not runs:
        terminal.say("No run yet. Try: bucle run")
    terminal.table(
        [
            [
                run.run,
                run.state,
                run.model or "-",
                run.verdict or "-",
                f"{run.ran} ran, {run.cached} kept",
            ]
            for run in runs
        ],
        header=["run", "state", "model", "verdict", "steps"] if runs else [],
    )
    return 0


def _show_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("name", help="a run (r-…) or a model version (m-…), or the start of it")


def _show(options: Namespace, terminal: Terminal) -> int:
    workspace = open_workspace(project_folder(options), overrides=options.set)
    if options.name.startswith("m-"):
        return _show_model(workspace, options.name, terminal)
    shown = show_run(workspace.state(), options.name)
    terminal.answer(msgspec.to_builtins(shown))
    if terminal.json:
        return 0
    started, finished = shown.started, shown.finished
    terminal.say(f"run {started.run} by {shown.by}, {shown.at[:19].replace('T', ' ')} UTC")
    for name, fingerprint in started.datasets.items():
        terminal.say(f"  data {name}  fingerprint {fingerprint[:12]}")
    terminal.say(f"  source tree {started.source[:12]}  environment {started.environment[:12]}")
    terminal.say(f"  seed {started.seed}  as of {started.as_of or 'now'}")
    for step, given in started.parameters.items():
        terminal.say(f"  {step}: " + ", ".join(f"{key}={value}" for key, value in given.items()))
    if finished is None:
        terminal.say("  not finished: still running, or killed")
        return 0
    terminal.say(f"\n{finished.state}")
    terminal.table(
        [
            [f"  {step.name}", step.state, f"{step.seconds:.2f} s", step.why]
            for step in finished.steps
        ]
    )
    terminal.table([[f"  {name}", f"{value:.4g}"] for name, value in finished.metrics.items()])
    if finished.model:
        terminal.say(f"\nmodel {finished.model}; try: bucle show {finished.model}")
    if finished.error:
        terminal.say(finished.error)
    return 0


def _show_model(workspace: Workspace, name: str, terminal: Terminal) -> int:
    shown = show_model(workspace, name)
    terminal.answer(msgspec.to_builtins(shown))
    if terminal.json:
        return 0
    terminal.say(shown.card)
    for verdict in shown.verdicts:
        terminal.say()
        for line in describe(verdict):
            terminal.say(line)
    return 0


RUNS = Handler(_runs_arguments, _runs, "bucle runs --last 5")
SHOW = Handler(_show_arguments, _show, "bucle show m-3f2a")
