"""What the world looks like beside what the champion was made on: three layers, one alarm budget.

A projection of log, tables and moment. What was seen is kept in `.bucle/watch`, so that the next
look reads only what is new; losing it costs time, and the memory of what days were judged at.
Imports polars and numpy.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import polars as pl

from bucle.charter.budget import days_between
from bucle.errors import RequestError
from bucle.loop.explaining import explain_week, explained_week, is_week_due
from bucle.loop.registry import open_champion
from bucle.loop.watching.contract import contract_alarms, watch_contract
from bucle.loop.watching.harm import harm_alarms, watch_harm
from bucle.loop.watching.inputs import input_alarms, watch_inputs
from bucle.loop.watching.sightings import index_since
from bucle.loop.watching.watched import Alarm, Detailed, HarmLayer, InputLayer, Watched
from bucle.loop.workspace import Workspace
from bucle.models.package import Package
from bucle.models.registry import champion
from bucle.watch.reference import Reference, reference_from_bytes
from bucle.watch.separation import Separation

__all__ = ["Explain", "HarmLayer", "InputLayer", "Watched", "watch_in_detail", "watch_project"]

Explain = Literal["never", "weekly", "found", "always"]

# The alarm budget is split 60 % harm, 30 % inputs, 10 % contract.
_HARM, _INPUTS, _CONTRACT = 0.6, 0.3, 0.1
_HISTORY = 90


def watch_project(
    workspace: Workspace, now: datetime, *, explain: Explain = "never", is_past: bool = False
) -> Watched:
    """Judge what was seen of the world up to a moment.

    Args:
        workspace: The project.
        now: The moment.
        explain: When to try what the last week is told from the reference by, which takes seconds:
            `found` is when something was found, `weekly` when seven days have gone by since. What
            was found last is told where it is not tried again.
        is_past: Whether to judge by what the log said at the moment, whatever it says by now.

    Raises:
        RequestError: There is no champion.
        DigestMismatchError: The prediction log is not what was written.
    """
    return _watch(workspace, now, explain=explain, is_past=is_past, is_detailed=False).watched


def watch_in_detail(
    workspace: Workspace, now: datetime, *, explain: Explain = "never", is_past: bool = False
) -> Detailed:
    """Judge what was seen of the world, and return each measure day by day as well.

    Args:
        workspace: The project.
        now: The moment.
        explain: As for `watch_project`.
        is_past: As for `watch_project`.

    Raises:
        RequestError: There is no champion.
        DigestMismatchError: The prediction log is not what was written.
    """
    return _watch(workspace, now, explain=explain, is_past=is_past, is_detailed=True)


def _watch(
    workspace: Workspace, now: datetime, *, explain: Explain, is_past: bool, is_detailed: bool
) -> Detailed:
    state = workspace.fold(until=now if is_past else None).state()
    package, reigning = open_champion(workspace, state), champion(state.tenures)
    if package is None or reigning is None:
        raise RequestError(
            "Cannot watch: there is no champion yet", attempt="bucle run", code="bucle-381"
        )
    between = days_between(workspace.charter.watch.false_alarms)
    files = package.reference_files
    reference = reference_from_bytes(files) if files else None
    index = index_since(workspace, now.astimezone(UTC).date() - timedelta(days=_HISTORY))
    index = index.filter(pl.col("at") <= now)
    why: list[str] = []
    alarms: list[Alarm] = []
    harm = seen = None
    if reference is None:
        why.append("the champion has no days to judge by: its rows carry no event time")
    else:
        harm = watch_harm(
            workspace, package, reference, reigning, now=now, days_between=between / _HARM
        )
        alarms += harm_alarms(harm) if harm else ()
        if harm is None:
            why.append("too few labels at validation to judge losses by")
        seen = watch_inputs(workspace, package, reference, index, now=now, level=_INPUTS / between)
        alarms += input_alarms(seen.layer)
    separation = None
    if reference and seen and seen.layer.date:
        separation = _separate(
            workspace, package, reference, last=seen.layer.date, explain=explain, alarms=alarms
        )
    contract = watch_contract(
        workspace,
        state,
        index,
        forbidden=seen.forbidden if seen else {},
        now=now,
        level=_CONTRACT / between,
    )
    return Detailed(
        watched=Watched(
            at=now.isoformat(),
            champion=reigning.model,
            days_between=between,
            inputs=seen.layer if seen else None,
            harm=harm,
            contract=contract,
            alarms=(*alarms, *contract_alarms(contract)),
            separation=separation,
            why=tuple(why),
        ),
        series=seen.series(reference) if is_detailed and seen and reference else (),
        profiled=seen.profiled if seen else 0,
    )


def _separate(
    workspace: Workspace,
    package: Package,
    reference: Reference,
    *,
    last: str,
    explain: Explain,
    alarms: Sequence[Alarm],
) -> Separation | None:
    """Try what the last week is told by where that is asked for; else return what is known."""
    match explain:
        case "weekly":
            is_asked = is_week_due(workspace, package, last=last)
        case "found":
            is_asked = bool(alarms)
        case _:
            is_asked = explain == "always"
    if is_asked:
        return explain_week(workspace, package, reference, last=last)
    return explained_week(workspace, package, last=last)
