"""`bucle replay`: the loop back-tested on the project's own history."""

import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.report_file import report_path, say_path, write_report
from bucle.cli.terminal import Terminal
from bucle.clock import from_iso, to_iso
from bucle.errors import UsageError
from bucle.grammar import say_count
from bucle.loop.replay.faults import parse_fault
from bucle.loop.replay.findings import Findings, as_document
from bucle.loop.replay.standings import rank_policies, turn_share
from bucle.loop.workspace import open_workspace
from bucle.pipeline.progress import choose_progress

__all__ = ["REPLAY"]

_LEAST_NAME = 12
_LARGE = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("--from", dest="start", metavar="DATE", help="the first day: 2011-01-01")
    parser.add_argument("--to", dest="end", metavar="DATE", help="no period ends later")
    parser.add_argument("--period", metavar="SPAN", help="how often the loop looks: 1d, 1w, 1mo")
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="POLICY",
        help="never, every:1mo, performance:+15%%, drift, gain; may be given again",
    )
    parser.add_argument(
        "--gate",
        action="append",
        default=[],
        metavar="GATE",
        help="none, referee or referee+refit; may be given again",
    )
    parser.add_argument(
        "--window",
        action="append",
        default=[],
        metavar="WINDOW",
        help="expanding or last:2y, how much a model learns from; may be given again",
    )
    parser.add_argument(
        "--explore",
        action="append",
        default=[],
        type=float,
        metavar="SHARE",
        help="chance in what is proposed, such as 0.15, in a world that answers; may be repeated",
    )
    parser.add_argument(
        "--fault",
        metavar="FAULT",
        help="plant wrong labels as a drill: labels-x100:2013-03..2013-05",
    )
    parser.add_argument("--report", metavar="FILE", help="where the HTML report goes")


def _call(options: Namespace, terminal: Terminal) -> int:
    # Heavy, and only this command needs them.
    from bucle.loop.replay.replay import ReplayRequest, replay_project  # noqa: PLC0415
    from bucle.loop.replay.report import render_report  # noqa: PLC0415

    workspace = open_workspace(project_folder(options), overrides=options.set)
    request = ReplayRequest(
        start=_moment(options.start, "--from"),
        end=_moment(options.end, "--to"),
        period=options.period,
        policies=tuple(options.policy),
        gates=tuple(options.gate),
        windows=tuple(options.window),
        explore=_shares(options.explore),
        fault=parse_fault(options.fault) if options.fault else None,
    )
    report = report_path(workspace, options.report, name="replay", option="--report")
    findings = replay_project(workspace, request, progress=choose_progress(counts=True))
    write_report(report, render_report(findings), option="--report")
    terminal.answer(as_document(findings) | {"report": str(report)})
    if not terminal.json:
        _tell(findings, terminal)
        terminal.say(f"\nreport  {say_path(report)}")
    return 0


def _shares(explore: list[float]) -> tuple[float, ...]:
    for share in explore:
        if not 0.0 <= share <= 1.0:
            raise UsageError(
                f"Cannot explore by {share:g}",
                cause="a share of chance is a number between 0 and 1",
                attempt="bucle replay --explore 0.15",
            )
    return tuple(explore)


def _moment(text: str | None, option: str) -> str | None:
    if text is None:
        return None
    try:
        return to_iso(from_iso(text if len(text) != len("2011-01") else f"{text}-01"))
    except ValueError as error:
        raise UsageError(
            f"Cannot read the date {text!r} of {option}",
            cause="a date is written 2011-01-31, a month 2011-01",
            attempt=f"bucle replay {option} 2011-01-31",
        ) from error


def _tell(findings: Findings, terminal: Terminal) -> None:
    terminal.say(
        f"{findings.project} from {findings.start} to {findings.end}, "
        f"{say_count(findings.periods, 'period')} of {findings.period}, "
        f"{say_count(findings.rows, 'row')} with their labels\n"
    )
    _tell_policies(findings, terminal)
    _tell_comparisons(findings, terminal)
    _tell_benefit(findings, terminal)
    _tell_drill(findings, terminal)
    terminal.say()
    terminal.paragraph(findings.recommendation)
    for warning in findings.warnings:
        terminal.paragraph(warning, indent="  ! ")
    trained = findings.trainings
    terminal.paragraph(
        f"{say_count(trained.distinct, 'distinct training set')}, "
        f"{say_count(trained.trained, 'model')} trained now."
    )


def _tell_lives(findings: Findings, terminal: Terminal) -> None:
    rows = [
        [
            one.name,
            _number(one.share),
            _number(one.plain_share),
            _large(one.money),
            str(one.retrains),
            str(one.promotions),
            str(one.bad_promotions),
        ]
        for one in sorted(findings.policies, key=lambda one: one.money)
    ]
    rows.append(["as it was recorded", _number(findings.recorded_share)])
    rows.append(["best possible", "1", "1", "0", "0"])
    header = ["policy", "share", "plain", findings.currency, "retrains", "shipped", "bad"]
    terminal.table(rows, header=header)
    terminal.paragraph(
        f"share: what was earned of the most that could be; plain: the same without the chance "
        f"that exploring adds; {findings.currency}: what was forgone, retrains included; bad: "
        "champions that earned less than the one before would have"
    )


def _tell_policies(findings: Findings, terminal: Terminal) -> None:
    if findings.recorded_share is not None:
        _tell_lives(findings, terminal)
        return
    rows = [
        [
            one.name,
            _number(one.error),
            _large(one.money),
            str(one.retrains),
            _large(one.regret),
            str(one.promotions),
            str(one.bad_promotions),
            str(one.false_alarms),
        ]
        for one in sorted(findings.policies, key=lambda one: one.money)
    ]
    best = findings.oracle
    rows.append(
        ["best in hindsight", _number(best.error), _large(best.money), str(best.retrains), "0"]
    )
    header = [
        "policy",
        findings.metric,
        findings.currency,
        "retrains",
        "regret",
        "shipped",
        "bad",
        "false",
    ]
    _table(terminal, rows, header=header)
    terminal.paragraph(
        "bad: champions that did worse than the one before would have; false: triggers after "
        "which a new model did no better"
    )
    if findings.baselines:
        said = ", ".join(f"{name} {_number(error)}" for name, error in findings.baselines.items())
        terminal.paragraph(f"without a model, on the same rows: {said}")


def _tell_comparisons(findings: Findings, terminal: Terminal) -> None:
    best = rank_policies(findings)[0].name
    pairs = [one for one in findings.comparisons if best in (one.a, one.b)]
    if not pairs:
        return
    terminal.say(f"\nloss against {best} ({findings.level:.0%} intervals)")
    rows = []
    for one in pairs:
        turned = one.b != best
        name = one.b if turned else one.a
        # The loss of the other over that of the best, whichever way the pair was compared.
        low, high = (turn_share(one.high), turn_share(one.low)) if turned else (one.low, one.high)
        middle = turn_share(one.difference) if turned else one.difference
        words = {"a is better": one.a, "b is better": one.b}.get(one.verdict)
        verdict = one.verdict if words is None else ("better" if words == name else "worse")
        rows.append([f"  {name}", _percent(middle), _percent(low), _percent(high), verdict])
    _table(terminal, rows)


def _table(
    terminal: Terminal, rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()
) -> None:
    """Print a table that fits the terminal: long names in the first column are folded."""
    count = max(len(row) for row in (header, *rows))
    whole = [[*row, *[""] * (count - len(row))] for row in rows]
    sizes = [
        max(len(row[place]) for row in (*whole, [*header, *[""] * count]))
        for place in range(1, count)
    ]
    room = max(_LEAST_NAME, terminal.width - sum(sizes) - 2 * (count - 1))
    folded = []
    for name, *cells in whole:
        indent = name[: len(name) - len(name.lstrip())]
        first, *more = textwrap.wrap(
            name, room, subsequent_indent=f"{indent}  ", break_on_hyphens=False
        )
        folded.append(
            [
                first,
                *(
                    cell.rjust(size) if cell[:1].isdigit() else cell
                    for cell, size in zip(cells, sizes, strict=True)
                ),
            ]
        )
        folded += [[line, *[""] * (count - 1)] for line in more]
    terminal.table(folded, header=header)


def _tell_benefit(findings: Findings, terminal: Terminal) -> None:
    split = findings.benefit
    if split is None:
        return
    terminal.say("\nwhat retraining saves of the loss of a model that stays")
    terminal.table(
        [
            ["  newer data", *map(_percent, (split.newer, split.newer_low, split.newer_high))],
            ["  more data", *map(_percent, (split.more, split.more_low, split.more_high))],
            ["  both", *map(_percent, (split.whole, split.whole_low, split.whole_high))],
        ]
    )


def _tell_drill(findings: Findings, terminal: Terminal) -> None:
    drill = findings.drill
    if drill is None:
        return
    terminal.say(f"\ndrill {drill.fault}: {say_count(drill.labels, 'label')} wrong")
    rows = [
        [
            f"  {one.name}",
            _number(one.error),
            _number(one.clean_error),
            f"{one.error / one.clean_error:.2f}" if one.error and one.clean_error else "-",
            str(one.shipped),
        ]
        for one in drill.policies
    ]
    _table(terminal, rows, header=["  policy", "with", "without", "times", "taught"])
    terminal.paragraph("taught: champions that learned from wrong labels")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{share:+.1%}" if -1.0 < share < float("inf") else "any"


def _large(amount: float) -> str:
    """Write an amount in few letters: 16.3M."""
    for letter, size in _LARGE:
        if abs(amount) >= size:
            return f"{amount / size:.3g}{letter}" if abs(amount) < 1000 * size else f"{amount:.2e}"
    return f"{amount:.3g}"


REPLAY = Handler(
    _arguments, _call, "bucle replay --from 2011-01-01 --policy never --policy every:1mo"
)
