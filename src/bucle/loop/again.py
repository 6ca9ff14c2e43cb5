"""A run taken up again: its model judged beside another champion, or refitted.

What the run did is found in the cache. Imports nothing heavy.
"""

from bucle.errors import BucleError
from bucle.loop.actions import Judge, Refit
from bucle.loop.decision import Referee, policy_by_hand, refitted
from bucle.loop.events import Refitted, VerdictGiven
from bucle.loop.plan import plan_run
from bucle.loop.state import RunRecord, State
from bucle.loop.training import Run
from bucle.loop.workspace import Workspace
from bucle.pipeline.engine import Engine
from bucle.pipeline.graph import read_graph
from bucle.types import Check, DataVersion, Verdict

__all__ = ["judge_again", "refit_again"]


def judge_again(workspace: Workspace, action: Judge) -> VerdictGiven:
    """Put the model of an earlier run before the referee, beside the champion of now.

    Where the run cannot be taken up, because code, parameters or data are no longer what they
    were, the verdict is undecided and says so.
    """
    state = workspace.state()
    with workspace.engine() as engine:
        try:
            referee = _take_up(workspace, engine, state, action.run, action.model)
        except BucleError as error:
            return _undecided(action, error)
        verdict, evidence, _ = referee.judge(state, action.champion)
    return VerdictGiven(action=action.id, run=action.run, verdict=verdict, evidence=evidence)


def refit_again(workspace: Workspace, action: Refit) -> Refitted:
    """Learn the model of an earlier run once more, from everything that run knew."""
    state = workspace.state()
    with workspace.engine() as engine:
        try:
            referee = _take_up(workspace, engine, state, action.run, action.model)
        except BucleError as error:
            return refitted(action, None, error.what)
        found, why = referee.refit()
    return refitted(action, found, why)


def _take_up(workspace: Workspace, engine: Engine, state: State, name: str, model: str) -> Referee:
    """Return a referee for the model of a run.

    Raises:
        BucleError: The same run gives another model now, or none.
    """
    charter, run = workspace.charter, state.runs[name]
    module = workspace.code_reader.modules.of_file(charter.pipeline.file)
    graph = read_graph(module, datasets=tuple(charter.data))
    begun = run.started
    plan = plan_run(graph, charter, _versions(state, run), moment=begun.as_of, since=begun.since)
    again = Run(workspace, engine, plan, asked="", policy=policy_by_hand(charter))
    again.execute()
    packaged = None if again.failed else again.package()
    if packaged is None or packaged.model != model:
        raise BucleError(
            f"Cannot take up the run {name}: it gives {packaged.model if packaged else 'no model'}",
            cause="its code, its parameters or its data are no longer what they were",
            attempt="bucle run",
            code="bucle-420",
        )
    return Referee(workspace, engine, again.fitted, packaged)


def _versions(state: State, run: RunRecord) -> dict[str, DataVersion]:
    """Return the data versions that a run has seen, those of now where one is gone."""
    found = {}
    for name, record in state.datasets.items():
        seen = run.started.datasets.get(name)
        known = [one.version for one in record.versions if one.version.fingerprint == seen]
        if known or record.current.version:
            found[name] = known[0] if known else record.current
    return found


def _undecided(action: Judge, error: BucleError) -> VerdictGiven:
    check = Check(name="evidence", outcome="undecided", why=error.what)
    verdict = Verdict(
        outcome="undecided",
        checks=(check,),
        rows=0,
        challenger=action.model,
        champion=action.champion,
    )
    return VerdictGiven(action=action.id, run=action.run, verdict=verdict, evidence=action.id)
