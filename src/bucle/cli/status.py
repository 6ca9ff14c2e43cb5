"""`bucle status`: who answers, since when, how much, how fast and how well."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.status_loop import loop_facts, tell_loop
from bucle.cli.terminal import Terminal
from bucle.clock import from_iso
from bucle.errors import UsageError
from bucle.grammar import say_count
from bucle.loop.registry import open_champion
from bucle.loop.state import State
from bucle.loop.workspace import Workspace, open_workspace
from bucle.models.registry import Deployment, Tenure, champion

if TYPE_CHECKING:
    from bucle.loop.activity import Activity, Paired

__all__ = ["STATUS"]

_MOST_DAYS = 3650


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument(
        "--days", type=int, default=7, help="how far back to look at predictions (default: 7)"
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    if not 1 <= options.days <= _MOST_DAYS:
        raise UsageError(
            f"Cannot look back {options.days} days",
            cause=f"it must be between 1 and {_MOST_DAYS}",
            attempt="bucle status --days 7",
        )
    workspace = open_workspace(project_folder(options), overrides=options.set)
    state = workspace.state()
    reigning = champion(state.tenures)
    since = workspace.clock.now() - timedelta(days=options.days)
    servers = _servers(workspace)
    facts = {
        **_facts(reigning, state.deployment),
        "servers": servers,
        **_counted(workspace, servers),
        "loop": loop_facts(workspace, state),
        "models": (),
        "paired": None,
    }
    facts["waiting"] = _waiting(facts)
    facts |= _look(workspace, state, since)
    terminal.answer(msgspec.to_builtins(facts))
    if not terminal.json:
        _tell(terminal, facts, days=options.days)
    return 0


def _look(workspace: Workspace, state: State, since: datetime) -> dict[str, Any]:
    """Return what the models did, and how the challenger compares."""
    from bucle.loop.activity import activity_since, pairs_since  # noqa: PLC0415  (heavy)

    package = open_champion(workspace, state)
    if package is None:
        return {}
    activity = activity_since(workspace, since, signature=package.signature)
    deployed = state.deployment
    paired = None
    if deployed is not None:
        paired = pairs_since(
            workspace,
            from_iso(deployed.began),
            champion=package.model,
            challenger=deployed.model,
            signature=package.signature,
        )
    return {"models": activity, "paired": paired}


def _facts(reigning: Tenure | None, deployed: Deployment | None) -> dict[str, Any]:
    return {
        "champion": reigning and {"model": reigning.model, "since": reigning.since},
        "challenger": deployed
        and {
            "model": deployed.model,
            "stage": deployed.stage,
            "share": deployed.share,
            "since": deployed.since,
            "former": deployed.is_former,
        },
    }


def _servers(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the servers that are up."""
    from bucle.loop.serving.presence import find_servers  # noqa: PLC0415  (only here)

    return [msgspec.to_builtins(one) for one in find_servers(workspace.home / "serve")]


def _counted(workspace: Workspace, servers: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return what the servers' workers counted: answers by status, and rows a model failed on."""
    from bucle.serve.counts import Counts, total  # noqa: PLC0415  (only here)

    pids = {one["pid"] for one in servers}
    found = total(Counts(), workspace.home / "serve", servers=pids)
    by_status: dict[str, int] = {}
    for name, count in found.requests.items():
        status = name.rpartition("\t")[2]
        by_status[status] = by_status.get(status, 0) + count
    failed = {
        name.partition("\t")[0]: count
        for name, count in found.predictions.items()
        if name.endswith("\tfailed")
    }
    return {
        "answers": dict(sorted(by_status.items())),
        "failed": failed,
        "serving": found.serving,
    }


def _waiting(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return who should answer and does not in each worker: still loaded there, or refused."""
    serving = facts.pop("serving")
    workers = sum(one["workers"] for one in facts["servers"])
    return [
        {"model": facts[role]["model"], "role": role, "workers": workers - count}
        for role in ("champion", "challenger")
        if facts[role] and (count := serving.get(f"{facts[role]['model']}\t{role}", 0)) < workers
    ]


def _tell(terminal: Terminal, facts: dict[str, Any], *, days: int) -> None:
    reigning, deployed = facts["champion"], facts["challenger"]
    if reigning is None:
        # What else helps, a word or a mended run, is said with what it is about.
        advice = "" if facts["loop"]["last_run"] else ". Try: bucle run"
        terminal.say(f"champion    none yet{advice}")
    else:
        terminal.say(f"champion    {reigning['model']} since {_minute(reigning['since'])} UTC")
    if deployed is not None:
        share = f", {deployed['share']:.2%} of the keys" if deployed["share"] else ""
        former = "; champion before, kept to see who errs less" if deployed["former"] else ""
        words = f"{deployed['model']}, {deployed['stage']}{share}, since "
        words += f"{_minute(deployed['since'])} UTC{former}"
        terminal.paragraph(words, indent="challenger  ")
    for server in facts["servers"]:
        terminal.say(
            f"server      {server['address']} with {say_count(server['workers'], 'worker')}, "
            f"since {_minute(server['since'])} UTC"
        )
    if not facts["servers"]:
        terminal.say("server      none is up. Try: bucle up")
    for one in facts["waiting"]:
        terminal.say(
            f"not yet     {one['model']} in {say_count(one['workers'], 'worker')}: being loaded, "
            "or refused there"
        )
    tell_loop(terminal, facts["loop"])
    _tell_answers(terminal, facts["answers"], facts["failed"])
    _tell_models(terminal, facts["models"], days=days)
    if facts["paired"] is not None:
        _tell_paired(terminal, facts["paired"])


def _tell_answers(terminal: Terminal, answers: dict[str, int], failed: dict[str, int]) -> None:
    if answers:
        told = ", ".join(f"{count:,} × {status}" for status, count in answers.items())
        terminal.say(f"answers     {told} since the workers began")
    for model, count in failed.items():
        terminal.say(f"failed      {model} on {say_count(count, 'row')}")


def _tell_models(terminal: Terminal, models: Sequence["Activity"], *, days: int) -> None:
    terminal.say()
    if not models:
        terminal.say(f"No prediction in the last {say_count(days, 'day')}.")
        return
    metric = models[0].metric
    terminal.table(
        [
            [
                one.model,
                one.role,
                f"{one.rows:,}",
                f"{one.share:.1%}" if one.share else "-",
                f"{one.p50_ms:.3g}",
                f"{one.p99_ms:.3g}",
                f"{one.labelled:,}",
                "-" if one.error is None else f"{one.error:.4g}",
                "-" if one.coverage is None else f"{one.coverage:.1%}",
            ]
            for one in models
        ],
        header=["model", "role", "rows", "share", "p50 ms", "p99", "labels", metric, "covered"],
    )
    terminal.say(f"\nin the last {say_count(days, 'day')}; labels may still come")


def _tell_paired(terminal: Terminal, paired: "Paired") -> None:
    terminal.say()
    terminal.paragraph(
        f"{paired.challenger} beside {paired.champion}: {say_count(paired.rows, 'row')} scored by "
        f"both, {say_count(paired.labelled, 'label')}"
    )
    if paired.apart is not None:
        terminal.say(f"  predictions differ by {paired.apart:.2%} (median)")
    if paired.low is not None and paired.high is not None and paired.gain is not None:
        terminal.paragraph(
            f"saves {paired.gain:+.1%} of the champion's loss in {paired.metric} "
            f"({paired.low:+.1%} to {paired.high:+.1%}, however often you look)",
            indent="  ",
        )
    needed = paired.labels_needed if paired.verdict.startswith("cannot") else None
    more = f"; {needed:,} more labels may tell" if needed else ""
    terminal.say(f"  {paired.verdict}{more}")


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


STATUS = Handler(_arguments, _call, "bucle status --days 30")
