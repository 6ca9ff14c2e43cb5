"""What jobs do: train, judge, refit, look at predictions and take in data.

Everything that changes the project stands in the log when a deed is done, written under the order's
lease, or is answered as facts for the controller to record. Imports what a kind needs when it is
asked for.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bucle.clock import to_iso
from bucle.errors import BucleError
from bucle.loop.actions import Deploy, Judge, Refit
from bucle.loop.control import deployed_by
from bucle.loop.live.orders import Answer, Kind, Order, written
from bucle.loop.policy import Policy
from bucle.loop.workspace import Workspace, open_workspace
from bucle.models.registry import champion

__all__ = ["ACTOR", "carry_out"]

ACTOR = "loop"
_MACHINE = 3


def carry_out(order: Order, *, workspace: Workspace | None = None) -> Answer:
    """Do what is ordered and answer; what fails is an answer as well.

    Args:
        order: What to do.
        workspace: The project, where it is open already.
    """
    try:
        opened = workspace or open_workspace(
            Path(order.root), overrides=order.overrides, actor=ACTOR, fence=order.fence
        )
        return _DEEDS[order.kind](opened, order)
    except BucleError as error:
        return Answer(error=error.render(), is_outside=error.exit_code == _MACHINE)


def _retrain(workspace: Workspace, order: Order) -> Answer:
    from bucle.loop.training import run_project  # noqa: PLC0415  (only here)

    policy = msgspec.convert(order.details["policy"], Policy)
    # Rows and labels that are dated later than now are not known yet, whoever has put them there.
    moment = to_iso(workspace.clock.now())
    done = run_project(workspace, moment=moment, asked=order.details["action"], policy=policy)
    if done.state != "done":
        return Answer(said=f"run {done.run} {done.state}: {done.error}")
    verdict = f", {done.verdict.outcome}" if done.verdict else ""
    return Answer(said=f"run {done.run} made {done.model or 'no model'}{verdict}")


def _judge(workspace: Workspace, order: Order) -> Answer:
    from bucle.loop.again import judge_again  # noqa: PLC0415  (only here)

    action = msgspec.convert(order.details["action"], Judge)
    return Answer(facts=written([judge_again(workspace, action)]))


def _refit(workspace: Workspace, order: Order) -> Answer:
    from bucle.loop.again import refit_again  # noqa: PLC0415  (only here)

    action = msgspec.convert(order.details["action"], Refit)
    return Answer(facts=written([refit_again(workspace, action)]))


def _deploy(workspace: Workspace, order: Order) -> Answer:
    """Put a model beside the champion, once it has loaded in a limited process and fits."""
    from bucle.loop.deployment import require_fitting  # noqa: PLC0415  (only here)

    action, state = msgspec.convert(order.details["action"], Deploy), workspace.state()
    reigning = champion(state.tenures)
    if reigning is not None and reigning.model == action.champion:
        # One of no run was champion until now: tried as it is, it needs no other trial.
        record, anew = state.models[action.model], bool(action.run)
        require_fitting(workspace, state, record, reigning, anew=anew)
    return Answer(facts=written([deployed_by(action)]))


def _see(workspace: Workspace, order: Order) -> Answer:
    from bucle.loop.beside import see_challenger  # noqa: PLC0415  (only here)

    seen = see_challenger(workspace, workspace.state(), baked_s=order.details["baked_s"])
    return Answer(facts=written([seen] if seen is not None else []))


def _watch(workspace: Workspace, order: Order) -> Answer:
    from bucle.loop.alarms.changes import find_news  # noqa: PLC0415  (only here)
    from bucle.loop.watching.watching import watch_project  # noqa: PLC0415  (heavy)

    watched = watch_project(workspace, workspace.clock.now(), explain="weekly")
    news = find_news(workspace.state(), watched, quiet=order.details.get("memory") or {})
    return Answer(facts=written(news.facts), memory=news.quiet)


def _windows(workspace: Workspace, order: Order) -> Answer:
    from bucle.loop.live.windows import see_windows  # noqa: PLC0415  (heavy)

    seen = see_windows(workspace, workspace.state(), kinds=order.details["kinds"])
    return Answer(facts=written(seen))


def _gain(workspace: Workspace, order: Order) -> Answer:
    del order
    from bucle.loop.live.gains import see_gain  # noqa: PLC0415  (only here)

    state = workspace.state()
    seen, reigning = see_gain(workspace, state), champion(state.tenures)
    known = state.observed.get(reigning.model) if reigning else None
    is_news = seen is not None and (known is None or known.gain is None or known.gain[1] != seen)
    return Answer(facts=written([seen] if seen is not None and is_news else []))


def _code(workspace: Workspace, order: Order) -> Answer:
    del order
    from bucle.loop.code import see_code  # noqa: PLC0415  (only here)

    seen = see_code(workspace, workspace.state())
    return Answer(facts=written([seen] if seen is not None else []))


def _ingest(workspace: Workspace, order: Order) -> Answer:
    from bucle.loop.datasets import take_rows  # noqa: PLC0415  (only here)
    from bucle.loop.narration import tell_addition  # noqa: PLC0415  (only here)

    name, file = order.details["dataset"], order.details["file"]
    addition = take_rows(workspace, name, file)
    if addition is None:
        return Answer()
    notes = (*addition.notes, *addition.warnings)
    return Answer(said=f"{name}: {tell_addition(addition.fact)}", notes=notes)


_DEEDS: Mapping[Kind, Callable[[Workspace, Order], Answer]] = {
    "retrain": _retrain,
    "judge": _judge,
    "refit": _refit,
    "deploy": _deploy,
    "see": _see,
    "watch": _watch,
    "windows": _windows,
    "gain": _gain,
    "code": _code,
    "ingest": _ingest,
}
