"""`bucle run`: data, pipeline, gate, champion; what happened at each stage."""

from argparse import ArgumentParser, Namespace

import msgspec

from bucle.cli.handler import Handler, asked_moment, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.cli.wording import tell_coercion
from bucle.clock import to_iso
from bucle.gates.report import describe
from bucle.grammar import say_count
from bucle.loop.narration import tell_addition
from bucle.loop.training import RunOutcome, run_project
from bucle.loop.workspace import open_workspace
from bucle.pipeline.progress import choose_progress

__all__ = ["RUN"]

_ANSWER_IS_NO = 1


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument(
        "--as-of", metavar="TIME", help="pretend that it is this moment: 2026-01-31"
    )
    parser.add_argument(
        "--explain", action="store_true", help="say for each step why it ran or did not"
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    workspace = open_workspace(project_folder(options), overrides=options.set)
    moment = asked_moment(options.as_of, command="bucle run")
    outcome = run_project(
        workspace, moment=to_iso(moment) if moment else None, progress=choose_progress()
    )
    terminal.answer(_document(outcome))
    if not terminal.json:
        _tell(outcome, terminal, explain=options.explain)
    if outcome.state != "done":
        return outcome.exit_code
    return _ANSWER_IS_NO if outcome.verdict and outcome.verdict.outcome == "fail" else 0


def _document(outcome: RunOutcome) -> dict[str, object]:
    return {
        "run": outcome.run,
        "state": outcome.state,
        "data": [
            {
                "dataset": data.dataset,
                "version": data.version,
                "rows": data.rows,
                "fingerprint": data.fingerprint,
                "added": data.addition.added if data.addition else 0,
                "quarantined": data.addition.quarantined if data.addition else 0,
                "coerced": msgspec.to_builtins(data.addition.coerced if data.addition else ()),
                "warnings": list(data.warnings),
            }
            for data in outcome.data
        ],
        "steps": [msgspec.to_builtins(step) for step in outcome.steps],
        "metrics": outcome.metrics,
        "model": outcome.model,
        "cut": outcome.cut,
        "verdict": msgspec.to_builtins(outcome.verdict) if outcome.verdict else None,
        "champion": outcome.champion,
        "promoted": outcome.promoted,
        "warnings": list(outcome.warnings),
        "error": outcome.error,
        "traceback": outcome.traceback,
    }


def _tell(outcome: RunOutcome, terminal: Terminal, *, explain: bool) -> None:
    _tell_data(outcome, terminal)
    _tell_steps(outcome, terminal, explain=explain)
    if outcome.error:
        terminal.say()
        if outcome.traceback:
            terminal.warn(outcome.traceback + "\n")
        terminal.warn(outcome.error)
        return
    _tell_model(outcome, terminal)
    if outcome.verdict:
        terminal.say("\ngate")
        for line in describe(outcome.verdict):
            terminal.say(line)
    if outcome.model:
        _tell_champion(outcome, terminal)


def _tell_data(outcome: RunOutcome, terminal: Terminal) -> None:
    terminal.say("data")
    terminal.table(
        [
            [
                f"  {data.dataset}",
                f"version {data.version}",
                say_count(data.rows, "row"),
                tell_addition(data.addition) if data.addition else "unchanged",
            ]
            for data in outcome.data
        ]
    )
    for data in outcome.data:
        for coercion in data.addition.coerced if data.addition else ():
            terminal.paragraph(f"{data.dataset}.{tell_coercion(coercion)}", indent="    ")
        for warning in data.warnings:
            terminal.paragraph(warning, indent="    ! ")
        if data.addition and data.addition.quarantined:
            terminal.say(f"    try: bucle data quarantine {data.dataset}")


def _tell_steps(outcome: RunOutcome, terminal: Terminal, *, explain: bool) -> None:
    terminal.say("\nsteps")
    terminal.table(
        [
            [
                f"  {step.name}",
                step.state,
                f"{step.seconds:.2f} s" if step.state == "ran" else "",
                say_count(step.rows, "row") if step.rows is not None else "",
                step.why if explain or step.state == "skipped" else "",
            ]
            for step in outcome.steps
        ]
    )


def _tell_model(outcome: RunOutcome, terminal: Terminal) -> None:
    if outcome.model:
        terminal.say("\nmodel")
        until = f"learned from what was known on {outcome.cut[:10]}" if outcome.cut else ""
        terminal.say(f"  {outcome.model}  {until}".rstrip())
    if outcome.metrics:
        shown = sorted(outcome.metrics.items(), key=lambda metric: "." in metric[0])
        terminal.table([[f"  {name}", f"{value:.4g}"] for name, value in shown])
    for warning in outcome.warnings:
        terminal.paragraph(warning, indent="  ! ")


def _tell_champion(outcome: RunOutcome, terminal: Terminal) -> None:
    terminal.say("\nchampion")
    if outcome.promoted:
        before = f" (before: {outcome.previous})" if outcome.previous else ""
        terminal.say(f"  {outcome.champion}{before}")
    elif outcome.champion:
        terminal.say(f"  {outcome.champion} stays")
    else:
        terminal.say("  none yet")
    for note in outcome.notes:
        terminal.paragraph(note, indent="  ")


RUN = Handler(_arguments, _call, "bucle run --set model.learning_rate=0.05 --explain")
