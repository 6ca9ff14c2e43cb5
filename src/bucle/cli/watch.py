"""`bucle watch`: what has changed since the champion was made, and whether it matters."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.report_file import report_path, say_path, write_report
from bucle.cli.terminal import Terminal
from bucle.grammar import say_count
from bucle.loop.watch_report import render_watch_report
from bucle.loop.workspace import open_workspace

if TYPE_CHECKING:
    from bucle.loop.watching import HarmLayer, InputLayer, Watched

__all__ = ["WATCH"]

_SHOWN = 10


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument(
        "--html",
        nargs="?",
        const="",
        metavar="FILE",
        help="write a page with every column too (.bucle/reports/watch.html)",
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    from bucle.loop.watching import watch_in_detail, watch_project  # noqa: PLC0415  (heavy)

    workspace = open_workspace(project_folder(options), overrides=options.set)
    now = workspace.clock.now()
    if options.html is None:
        watched, page = watch_project(workspace, now), None
    else:
        page = report_path(workspace, options.html, name="watch", option="--html")
        detailed = watch_in_detail(workspace, now)
        watched = detailed.watched
        content = render_watch_report(detailed, project=workspace.charter.project.name)
        write_report(page, content, option="--html")
    report = {} if page is None else {"report": str(page)}
    terminal.answer(msgspec.to_builtins(watched) | report)
    if not terminal.json:
        _tell(terminal, watched)
        if page is not None:
            terminal.say(f"\nreport    {say_path(page)}")
    return 0


def _tell(terminal: Terminal, watched: "Watched") -> None:
    terminal.say(f"champion  {watched.champion}")
    terminal.say(f"budget    one false alarm in {watched.days_between:g} days, over all layers")
    for why in watched.why:
        terminal.say(f"note      {why}")
    if watched.harm is not None:
        _tell_harm(terminal, watched.harm)
    if watched.inputs is not None:
        _tell_inputs(terminal, watched.inputs)


def _tell_harm(terminal: Terminal, harm: "HarmLayer") -> None:
    terminal.say()
    if not harm.labelled:
        terminal.say(
            "harm      no labels yet" if harm.until is None else "harm      no labels came"
        )
        return
    state = f"ALARM since {harm.since}" if harm.alarm else "quiet"
    terminal.say(f"harm      {state}, evidence {harm.evidence:.2g} of 1")
    share = harm.labelled / harm.rows
    corrected = f", {harm.corrected:,} corrected" if harm.corrected else ""
    terminal.say(
        f"          {say_count(harm.labelled, 'label')} of {say_count(harm.rows, 'row')} "
        f"({share:.0%}) until {harm.until}{corrected}"
    )
    terminal.say(f"          nine in ten labels come within {harm.delay_days:.3g} days")
    if harm.error is not None and harm.reference is not None:
        terminal.say(f"          {harm.metric} {harm.error:.4g}, validated at {harm.reference:.4g}")


def _tell_inputs(terminal: Terminal, inputs: "InputLayer") -> None:
    terminal.say()
    if inputs.date is None:
        terminal.say("inputs    no whole day of predictions yet")
        return
    state = f"CHANGED since {inputs.since}" if inputs.findings else "as they were"
    terminal.say(
        f"inputs    {state} on {inputs.date}, judged by "
        f"{say_count(inputs.reference_days, 'day')} of the reference"
    )
    if inputs.findings:
        terminal.table(
            [
                [
                    finding.measure.column,
                    str(finding.measure),
                    f"{finding.expected:.4g}",
                    f"{finding.found:.4g}",
                    say_count(finding.span, "day"),
                ]
                for finding in inputs.findings[:_SHOWN]
            ],
            header=["column", "what", "expected", "found", "over"],
        )
        more = len(inputs.findings) - _SHOWN
        if more > 0:
            terminal.say(f"and {more} more: --json")
    for name, change in inputs.visible.items():
        terminal.say(f"          a day would show {change:.3g} in {name}")
    terminal.say("          changed inputs are a reason to look; only harm is one to retrain")


WATCH = Handler(_arguments, _call, "bucle watch --json")
