"""What a new model would save: one is trained as a run would, and compared; nothing ships.

A retrain that follows finds its steps in the cache.
"""

from bucle.clock import to_iso
from bucle.loop.decision import policy_by_hand
from bucle.loop.judging import gain_task, read_artifact
from bucle.loop.observations import GainEstimated
from bucle.loop.plan import plan_run
from bucle.loop.policy import window_span
from bucle.loop.state import State
from bucle.loop.training import Run
from bucle.loop.workspace import Workspace
from bucle.models.registry import champion
from bucle.pipeline.graph import read_graph

__all__ = ["see_gain"]


def see_gain(workspace: Workspace, state: State) -> GainEstimated | None:
    """Return what a model made now would have saved on labels since the last retrain.

    None where there are too few of them, or where no such model can be made.
    """
    reigning = champion(state.tenures)
    record = state.models.get(reigning.model) if reigning else None
    last = state.last_run
    if record is None or last is None:
        return None
    charter = workspace.charter
    module = workspace.code_reader.modules.of_file(charter.pipeline.file)
    graph = read_graph(module, datasets=tuple(charter.data))
    versions = {
        name: known.current for name, known in state.datasets.items() if known.current.version
    }
    with workspace.engine() as engine:
        moment = to_iso(workspace.clock.now())
        plan = plan_run(graph, charter, versions, moment=moment, since=_since(workspace))
        run = Run(workspace, engine, plan, asked="", policy=policy_by_hand(charter))
        run.execute()
        packaged = None if run.failed else run.package()
        if packaged is None or packaged.model == record.model:
            return None
        task = gain_task(workspace, run.fitted, packaged, champion=record, since=last.at)
        found = engine.read(read_artifact(engine.execute([task])[task.name]))
    if "gain" not in found:
        return None
    return GainEstimated(
        champion=record.model,
        challenger=packaged.model,
        rows=found["rows"],
        gain=round(found["gain"], 6),
        saved=round(found["saved"], 6),
    )


def _since(workspace: Workspace) -> str | None:
    """Return from when on the loop's models learn; None for everything."""
    span = window_span(workspace.charter.retrain.window)
    return to_iso(span.after(workspace.clock.now(), times=-1)) if span is not None else None
