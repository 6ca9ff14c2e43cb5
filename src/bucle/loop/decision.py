"""The decision at the end of a run: judge the challenger, ship it or not, all in one commit.

Another process may change the champion meanwhile; then the challenger is judged again, against
the champion that is there now.
"""

import msgspec
from msgspec import Struct

from bucle.errors import BucleError, OutsideError, StalePositionError
from bucle.grammar import say_count
from bucle.loop.events import Fact, Promoted, RunFinished, VerdictGiven
from bucle.loop.judging import (
    Fitted,
    Packaged,
    evidence_id,
    judge_task,
    read_artifact,
    read_packaged,
    read_verdict,
    refit_tasks,
)
from bucle.loop.plan import Cut, plan_tasks
from bucle.loop.state import State, VerdictRecord
from bucle.loop.workspace import Workspace
from bucle.models.package_files import is_whole
from bucle.models.registry import champion, was_rolled_back
from bucle.pipeline.engine import Engine
from bucle.types import Check, Verdict

__all__ = ["Decision", "decide_champion"]

_ATTEMPTS = 20


class Decision(Struct, frozen=True, kw_only=True):
    """What was decided, and who is champion now."""

    model: str
    verdict: Verdict
    champion: str | None
    previous: str | None = None
    promoted: bool = False
    notes: tuple[str, ...] = ()


class _Referee:
    """Judges one challenger, again and again if the champion changes under its feet."""

    def __init__(
        self,
        workspace: Workspace,
        engine: Engine,
        fitted: Fitted,
        packaged: Packaged,
    ) -> None:
        self.workspace = workspace
        self.engine = engine
        self.fitted = fitted
        self.packaged = packaged

    def judge(self, state: State, reigning: str | None) -> tuple[Verdict, str, bool]:
        """Return the verdict against a champion, its evidence, and whether it is a new one.

        The same models on the same evidence were judged once and for all: looking again would
        only raise the chance of a false promotion.
        """
        task = judge_task(
            self.workspace,
            self.fitted,
            self.packaged,
            champion=state.models.get(reigning) if reigning else None,
            looks=_earlier_looks(state, self.packaged.model, reigning),
            others=_earlier_challengers(state, self.packaged.model, self.fitted.cut),
        )
        evidence = evidence_id(task)
        for known in _verdicts(state, self.packaged.model):
            if known.fact.evidence == evidence:
                return known.fact.verdict, evidence, False
        result = self.engine.execute([task])[task.name]
        return read_verdict(self.engine, result), evidence, True

    def refit(self) -> tuple[Packaged | None, str]:
        """Learn once more from everything; return the refit when it may ship, and why or why not.

        The tested twin's intervals go with it: its own rows can no longer calibrate any.
        """
        workspace, engine, fitted = self.workspace, self.engine, self.fitted
        steps = engine.execute(
            plan_tasks(
                fitted.plan,
                workspace.charter,
                fitted.cut,
                tables=workspace.home / "tables",
                reader=engine.reader,
                refit=True,
            )
        )
        try:
            again = msgspec.structs.replace(fitted, results=steps)
            tasks = refit_tasks(workspace, again, self.packaged)
            made = engine.execute(tasks)
            package = read_packaged(engine, made[tasks[0].name])
            check = msgspec.convert(engine.read(read_artifact(made[tasks[1].name])), Check)
        except BucleError as error:
            return None, f"the refit failed and its tested twin ships: {error.what}"
        if check.outcome != "pass":
            return None, f"the refit is not shown to be as good; its tested twin ships: {check.why}"
        return package, f"refit on all rows, as good as its tested twin: {check.why}"


def decide_champion(
    workspace: Workspace,
    engine: Engine,
    fitted: Fitted,
    packaged: Packaged,
    *,
    finished: RunFinished,
) -> Decision:
    """Judge a challenger, append what was decided, and return it.

    Args:
        workspace: The project.
        engine: Executes the judging.
        fitted: The run whose model is the challenger.
        packaged: The challenger as it would ship.
        finished: The end of the run, which enters the log together with the decision.

    Raises:
        OutsideError: Other processes kept changing the champion.
        PackageError: The package that would ship does not load.
    """
    referee = _Referee(workspace, engine, fitted, packaged)
    for _ in range(_ATTEMPTS):
        state = workspace.state()
        tenure = champion(state.tenures)
        reigning = tenure.model if tenure else None
        try:
            return _decide(referee, state, reigning, finished)
        except StalePositionError:
            continue
    raise OutsideError(
        "Cannot record the decision: other processes kept changing the log",
        attempt="bucle run",
        code="bucle-225",
    )


def _decide(
    referee: _Referee, state: State, reigning: str | None, finished: RunFinished
) -> Decision:
    workspace, model = referee.workspace, referee.packaged.model
    record = state.models.get(reigning) if reigning else None
    if reigning is not None and record is not None and model in {reigning, record.twin}:
        earlier = _verdicts(state, referee.packaged.model)
        if earlier:
            finished = msgspec.structs.replace(finished, evidence=earlier[-1].fact.evidence)
        workspace.record(finished, expected=state.position, cause=finished.run)
        return _unchanged(state, model, reigning)
    verdict, evidence, is_new = referee.judge(state, reigning)
    finished = msgspec.structs.replace(finished, evidence=evidence)
    facts: list[Fact] = []
    if is_new:
        facts.append(VerdictGiven(run=finished.run, verdict=verdict, evidence=evidence))
    shipped = model
    held = _held_back(referee, state, verdict)
    notes = (held,) if held else ()
    promoted = verdict.outcome == "pass" and not held
    if promoted and workspace.charter.gates.refit:
        refit, why = referee.refit()
        notes = (why,)
        if refit is not None:
            shipped = refit.model
            digests = {**finished.digests, refit.model: refit.digest}
            finished = msgspec.structs.replace(finished, model=shipped, digests=digests)
    if promoted:
        facts.append(
            Promoted(
                model=shipped,
                because=f"the gate passed on {say_count(verdict.rows, 'row')} it had not seen",
                verdict=verdict.outcome,
                previous=reigning,
            )
        )
    # One commit: nobody ever sees a verdict without its run, or a champion without its verdict.
    workspace.record(finished, *facts, expected=state.position, cause=finished.run)
    return Decision(
        model=shipped,
        verdict=verdict,
        champion=shipped if promoted else reigning,
        previous=reigning if promoted else None,
        promoted=promoted,
        notes=notes + _missing_champion(workspace, None if promoted else reigning),
    )


def _unchanged(state: State, model: str, reigning: str) -> Decision:
    earlier = _verdicts(state, model)
    return Decision(
        model=reigning,
        verdict=earlier[-1].fact.verdict if earlier else _unjudged(model),
        champion=reigning,
        notes=("the same model as before: there is nothing to judge",),
    )


def _held_back(referee: _Referee, state: State, verdict: Verdict) -> str:
    """Say why a model that passed is not promoted by itself; empty when nothing is against it."""
    workspace, model = referee.workspace, referee.packaged.model
    if verdict.outcome != "pass":
        return ""
    ask = f"bucle promote {model}"
    if workspace.charter.gates.promote == "ask":
        return f"it passed and waits for a person: {ask}"
    if referee.fitted.plan.moment is not None:
        return f"a look at an earlier moment promotes nothing: {ask} would"
    twins = {model} | {name for name, known in state.models.items() if known.twin == model}
    if any(was_rolled_back(state.tenures, twin) for twin in twins):
        return f'it passed, but was rolled back from before: {ask} --because "..."'
    return ""


def _missing_champion(workspace: Workspace, reigning: str | None) -> tuple[str, ...]:
    if reigning is None or is_whole(workspace.packages, reigning):
        return ()
    note = (
        f"the package of the champion {reigning} is missing or damaged:"
        " restore .bucle/packages from a backup, or: bucle rollback"
    )
    return (note,)


def _unjudged(model: str) -> Verdict:
    """A champion by a person's word alone has never been before the referee."""
    return Verdict(outcome="undecided", checks=(), rows=0, challenger=model)


def _verdicts(state: State, model: str) -> tuple[VerdictRecord, ...]:
    record = state.models.get(model)
    return record.verdicts if record else ()


def _earlier_looks(state: State, model: str, reigning: str | None) -> int:
    """Count how often this challenger was judged against this champion before."""
    return sum(known.fact.verdict.champion == reigning for known in _verdicts(state, model))


def _earlier_challengers(state: State, model: str, cut: Cut) -> int:
    """Count the other models that were judged on rows from the same moment on."""
    return sum(
        bool(record.verdicts) and record.model != model and record.cut == cut.cut
        for record in state.models.values()
    )
