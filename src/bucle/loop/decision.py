"""The end of a run: do what `decide` asks for on a log not yet written, then write it at once.

Another process may change the champion meanwhile; then the challenger is judged again, against
the champion that is there now.
"""

import msgspec
from msgspec import Struct

from bucle.charter.settings import Charter
from bucle.errors import BucleError, OutsideError, StalePositionError
from bucle.grammar import say_count
from bucle.loop.alarms.closing import alarms_ended_by
from bucle.loop.control import promoted
from bucle.loop.decide import Action, Judge, Promote, Refit, Wait, decide
from bucle.loop.events import Fact, Promoted, Refitted, RunFinished, VerdictGiven, draft_fact
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
from bucle.loop.looks import accepted_until, count_looks
from bucle.loop.plan import plan_tasks
from bucle.loop.policy import Policy
from bucle.loop.state import State, VerdictRecord
from bucle.loop.twins import alike
from bucle.loop.workspace import Workspace
from bucle.models.package_files import is_whole
from bucle.models.registry import champion
from bucle.pipeline.engine import Engine
from bucle.store.chain import seal
from bucle.types import Check, Verdict

__all__ = ["Decision", "Referee", "decide_champion", "policy_by_hand", "refitted"]

_ATTEMPTS = 20


class Decision(Struct, frozen=True, kw_only=True):
    """What was decided, and who is champion now."""

    model: str
    verdict: Verdict
    champion: str | None
    previous: str | None = None
    promoted: bool = False
    notes: tuple[str, ...] = ()


class Referee:
    """Judges one challenger, again and again if the champion changes under its feet.

    Args:
        workspace: The project.
        engine: Executes the judging.
        fitted: The run whose model is the challenger.
        packaged: The challenger as it would ship.
    """

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
        looks = count_looks(state, self.packaged.model, reigning, cut=self.fitted.cut.cut)
        task = judge_task(
            self.workspace,
            self.fitted,
            self.packaged,
            champion=state.models.get(reigning) if reigning else None,
            looks=looks.same,
            others=looks.others,
            accepted=accepted_until(state, reigning),
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


class _Proposal:
    """Facts that are true once they are committed together, and the state they would lead to."""

    def __init__(self, workspace: Workspace, finished: RunFinished) -> None:
        self.workspace = workspace
        self.finished = finished
        self.kept: list[Fact] = []
        self.is_judged = False
        self._fold = workspace.fold()
        self.state = self._fold.state()
        self.position, self.before = self.state.position, champion(self.state.tenures)
        self._apply(finished)

    def add(self, fact: Fact, *, keep: bool = True) -> None:
        """Take a fact as true; one that is on record already is not kept again."""
        if keep:
            self.kept.append(fact)
        self.is_judged |= isinstance(fact, VerdictGiven)
        self._apply(fact)

    def _apply(self, fact: Fact) -> None:
        draft = draft_fact(fact, clock=self.workspace.clock, actor=self.workspace.actor)
        state = self.state
        self._fold.apply(seal(draft, position=state.position + 1, previous=state.head))
        self.state = self._fold.state()

    def commit(self) -> None:
        """Write everything in one commit; raise StalePositionError when the log has moved on."""
        # One commit: nobody ever sees a verdict without its run, or a champion without its verdict.
        self.workspace.record(
            self.finished, *self.kept, expected=self.position, cause=self.finished.run
        )


def decide_champion(
    workspace: Workspace,
    engine: Engine,
    fitted: Fitted,
    packaged: Packaged,
    *,
    finished: RunFinished,
    policy: Policy,
) -> Decision:
    """Judge a challenger, append what was decided, and return it.

    Args:
        workspace: The project.
        engine: Executes the judging.
        fitted: The run whose model is the challenger.
        packaged: The challenger as it would ship.
        finished: The end of the run, which enters the log together with the decision.
        policy: What decides. Where it leads a model into service step by step, that is left to
            the loop.

    Raises:
        OutsideError: Other processes kept changing the champion.
        PackageError: The package that would ship does not load.
    """
    referee = Referee(workspace, engine, fitted, packaged)
    for _ in range(_ATTEMPTS):
        try:
            return _decide(referee, finished, policy)
        except StalePositionError:
            continue
    raise OutsideError(
        "Cannot record the decision: other processes kept changing the log",
        attempt="bucle run",
        code="bucle-225",
    )


def _decide(referee: Referee, finished: RunFinished, policy: Policy) -> Decision:
    """Ask what to do and do it, until nothing is left to do; then write it down."""
    workspace = referee.workspace
    proposal = _Proposal(workspace, finished)
    verdict, notes = _known_verdict(proposal), list[str]()
    while True:
        (action,) = decide(proposal.state, policy, workspace.clock.now())
        if isinstance(action, Judge):
            verdict, evidence, is_new = referee.judge(proposal.state, action.champion)
            proposal.finished = msgspec.structs.replace(proposal.finished, evidence=evidence)
            given = VerdictGiven(run=action.run, verdict=verdict, evidence=evidence)
            proposal.add(given, keep=is_new)
        elif isinstance(action, Refit):
            refit, why = referee.refit()
            notes.append(why)
            proposal.add(refitted(action, refit, why))
            if refit is not None:
                digests = {**proposal.finished.digests, refit.model: refit.digest}
                proposal.finished = msgspec.structs.replace(
                    proposal.finished, model=refit.model, digests=digests
                )
        elif isinstance(action, Promote):
            over = alarms_ended_by(proposal.state, action.model)
            for fact in (_promoted(action, verdict), *over):
                proposal.add(fact)
        else:
            break
    proposal.commit()
    return _decision(proposal, verdict, (*notes, *_said(action, proposal, verdict)))


def policy_by_hand(charter: Charter) -> Policy:
    """Return what a run by hand follows: no triggers, and the gate of the charter."""
    gates = charter.gates
    return Policy(
        text="by hand",
        gate="referee+refit" if gates.refit else "referee",
        promote=gates.promote,
        approval=gates.approval,
    )


def refitted(action: Refit, refit: Packaged | None, why: str) -> Refitted:
    """Return the fact that a model was refitted, or could not be.

    Args:
        action: What was decided.
        refit: The refit that may ship; None for none.
        why: What was found.
    """
    return Refitted(
        action=action.id,
        run=action.run,
        tested=action.model,
        model=refit.model if refit else None,
        digest=refit.digest if refit else None,
        outcome="pass" if refit else "undecided",
        why=why,
    )


def _promoted(action: Promote, verdict: Verdict) -> Promoted:
    rows = say_count(verdict.rows, "row")
    return promoted(action, because=f"the gate passed on {rows} it had not seen")


def _known_verdict(proposal: _Proposal) -> Verdict:
    """Return the last verdict on the run's model, and name it as the one the run ended with.

    Packaged anew, a model has the last one on any version of it. A champion by a person's word
    alone has never been before the referee.
    """
    model = str(proposal.finished.tested)
    earlier = _verdicts(proposal.state, model)
    if not earlier:
        versions = alike(proposal.state, model)
        known = [one for name in versions for one in _verdicts(proposal.state, name)]
        if known:
            return max(known, key=lambda one: one.at).fact.verdict
        return Verdict(outcome="undecided", checks=(), rows=0, challenger=model)
    evidence = earlier[-1].fact.evidence
    proposal.finished = msgspec.structs.replace(proposal.finished, evidence=evidence)
    return earlier[-1].fact.verdict


def _decision(proposal: _Proposal, verdict: Verdict, notes: tuple[str, ...]) -> Decision:
    before, now = proposal.before, champion(proposal.state.tenures)
    promoted = now is not None and (before is None or now.model != before.model)
    refit = proposal.state.refits.get(proposal.finished.run)
    model = str(proposal.finished.tested)
    if now is not None and (promoted or _is_twin(proposal.state, now.model, model)):
        model = now.model
    return Decision(
        model=refit.model if refit and refit.model else model,
        verdict=verdict,
        champion=now.model if now else None,
        previous=before.model if promoted and before else None,
        promoted=promoted,
        notes=notes
        + _missing_champion(proposal.workspace, before.model if before and not promoted else None),
    )


def _said(action: Action, proposal: _Proposal, verdict: Verdict) -> tuple[str, ...]:
    """Return why a model that was not turned down does not ship."""
    moved = champion(proposal.state.tenures) != proposal.before
    turned_down = proposal.is_judged and verdict.outcome != "pass"
    return (action.settled,) if isinstance(action, Wait) and not (moved or turned_down) else ()


def _is_twin(state: State, refit: str, model: str) -> bool:
    record = state.models.get(refit)
    return record is not None and record.twin == model


def _missing_champion(workspace: Workspace, reigning: str | None) -> tuple[str, ...]:
    if reigning is None or is_whole(workspace.packages, reigning):
        return ()
    note = (
        f"the package of the champion {reigning} is missing or damaged:"
        " restore .bucle/packages from a backup, or: bucle rollback"
    )
    return (note,)


def _verdicts(state: State, model: str) -> tuple[VerdictRecord, ...]:
    record = state.models.get(model)
    return record.verdicts if record else ()
