"""What jobs do: train, judge, refit, look at predictions and take in data.

Everything that changes the project stands in the log when a deed is done, written under the order's
lease, or is answered as facts for the controller to record. Imports what a kind needs when it is
asked for.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bucle.errors import BucleError
from bucle.loop.actions import Deploy, Judge, Refit
from bucle.loop.control import deployed_by
from bucle.loop.events import Fact
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
        facts, said = _DEEDS[order.kind](opened, order)
    except BucleError as error:
        return Answer(error=error.render(), is_outside=error.exit_code == _MACHINE)
    return Answer(facts=written(facts), said=said)


_Done = tuple[tuple[Fact, ...], str]


def _retrain(workspace: Workspace, order: Order) -> _Done:
    from bucle.loop.training import run_project  # noqa: PLC0415  (only here)

    policy = msgspec.convert(order.details["policy"], Policy)
    done = run_project(workspace, asked=order.details["action"], policy=policy)
    if done.state != "done":
        return (), f"run {done.run} {done.state}: {done.error}"
    verdict = f", {done.verdict.outcome}" if done.verdict else ""
    return (), f"run {done.run} made {done.model or 'no model'}{verdict}"


def _judge(workspace: Workspace, order: Order) -> _Done:
    from bucle.loop.again import judge_again  # noqa: PLC0415  (only here)

    return (judge_again(workspace, msgspec.convert(order.details["action"], Judge)),), ""


def _refit(workspace: Workspace, order: Order) -> _Done:
    from bucle.loop.again import refit_again  # noqa: PLC0415  (only here)

    return (refit_again(workspace, msgspec.convert(order.details["action"], Refit)),), ""


def _deploy(workspace: Workspace, order: Order) -> _Done:
    """Put a model beside the champion, once it has loaded in a limited process and fits."""
    from bucle.loop.deployment import require_fitting  # noqa: PLC0415  (only here)

    action, state = msgspec.convert(order.details["action"], Deploy), workspace.state()
    reigning = champion(state.tenures)
    if reigning is not None and reigning.model == action.champion:
        require_fitting(workspace, state, state.models[action.model], reigning)
    return (deployed_by(action),), ""


def _see(workspace: Workspace, order: Order) -> _Done:
    from bucle.loop.beside import see_challenger  # noqa: PLC0415  (only here)

    seen = see_challenger(workspace, workspace.state(), baked_s=order.details["baked_s"])
    return (seen,) if seen is not None else (), ""


def _watch(workspace: Workspace, order: Order) -> _Done:
    del order
    from bucle.loop.alarms import news_of  # noqa: PLC0415  (only here)
    from bucle.loop.watching import watch_project  # noqa: PLC0415  (heavy)

    watched = watch_project(workspace, workspace.clock.now())
    return news_of(workspace.state(), watched), ""


def _windows(workspace: Workspace, order: Order) -> _Done:
    from bucle.loop.live.windows import see_windows  # noqa: PLC0415  (heavy)

    return see_windows(workspace, workspace.state(), kinds=order.details["kinds"]), ""


def _ingest(workspace: Workspace, order: Order) -> _Done:
    from bucle.loop.datasets import add_rows  # noqa: PLC0415  (only here)
    from bucle.loop.narration import tell_addition  # noqa: PLC0415  (only here)

    name, file = order.details["dataset"], order.details["file"]
    addition = add_rows(workspace, name, [Path(file)] if file else ())
    return (), f"{name}: {tell_addition(addition.fact)}"


_DEEDS: Mapping[Kind, Callable[[Workspace, Order], _Done]] = {
    "retrain": _retrain,
    "judge": _judge,
    "refit": _refit,
    "deploy": _deploy,
    "see": _see,
    "watch": _watch,
    "windows": _windows,
    "ingest": _ingest,
}
