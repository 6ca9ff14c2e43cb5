"""`bucle watch`: what has changed since the champion was made, and whether it matters."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

import msgspec

from bucle.cli.handler import Handler, asked_moment, project_arguments, project_folder
from bucle.cli.report_file import report_path, say_path, write_report
from bucle.cli.terminal import Terminal
from bucle.cli.watch_files import compare_files, files_arguments
from bucle.cli.watch_text import tell_watched
from bucle.clock import to_iso
from bucle.errors import UsageError
from bucle.loop.simulation.grounds import end_of_time
from bucle.loop.watching.report import render_watch_report
from bucle.loop.workspace import open_workspace

if TYPE_CHECKING:
    from bucle.loop.watching.watching import Explain

__all__ = ["WATCH"]


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument(
        "--as-of",
        metavar="TIME",
        help="judge as it was then: 2026-01-31 (default: now; in a simulated project its last day)",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="try what tells the last week from the reference now, also where nothing was found",
    )
    parser.add_argument(
        "--html",
        nargs="?",
        const="",
        metavar="FILE",
        help="write a page with every column too (.bucle/reports/watch.html)",
    )
    files_arguments(parser)


def _call(options: Namespace, terminal: Terminal) -> int:
    if options.reference or options.current:
        if options.as_of is not None:
            raise UsageError(
                "Cannot compare files as of a moment",
                cause="--as-of is for a project; of --reference and --current all rows are taken",
                attempt="bucle watch --as-of 2026-01-31",
            )
        return compare_files(options, terminal)
    from bucle.loop.watching.watching import watch_in_detail, watch_project  # noqa: PLC0415  (heavy)

    workspace = open_workspace(project_folder(options), overrides=options.set)
    asked = asked_moment(options.as_of, command="bucle watch")
    lived = None if asked else end_of_time(workspace)
    now = asked or lived or workspace.clock.now()
    explain: Explain = "always" if options.explain else "found"
    if options.html is None:
        watched = watch_project(workspace, now, explain=explain, is_past=asked is not None)
        page = None
    else:
        page = report_path(workspace, options.html, name="watch", option="--html")
        detailed = watch_in_detail(workspace, now, explain=explain, is_past=asked is not None)
        watched = detailed.watched
        content = render_watch_report(detailed, project=workspace.charter.project.name)
        write_report(page, content, option="--html")
    report = {} if page is None else {"report": str(page)}
    terminal.answer(msgspec.to_builtins(watched) | report)
    if not terminal.json:
        if asked or lived:
            last = "" if asked else ", the end of its simulated time"
            terminal.say(f"as of     {to_iso(now)[:16].replace('T', ' ')} UTC{last}")
        tell_watched(terminal, watched)
        if page is not None:
            terminal.say(f"\nreport    {say_path(page)}")
    return 0


WATCH = Handler(_arguments, _call, "bucle watch --as-of 2026-01-31")
