"""The one place where a decision is taken: what to do next, from what is true, or why nothing.

Pure: no clock, no randomness, no file, no socket; the same state, policy and moment give the same
actions. Live or replayed, whoever acts asks here.
"""

from datetime import datetime

import msgspec

from bucle.gates.wording import LIKENESS
from bucle.loop.actions import (
    Action,
    Deploy,
    Judge,
    Promote,
    Refit,
    Retrain,
    RollBack,
    Wait,
    Withdraw,
    action_id,
)
from bucle.loop.awaiting import missing_words, promoting, why_never
from bucle.loop.checks import tell_check
from bucle.loop.policy import Policy
from bucle.loop.rollout import Rollout, Step, compare_former, next_share, next_step
from bucle.loop.state import RunRecord, State, VerdictRecord
from bucle.loop.triggers import find_triggers, why_idle, why_not_now
from bucle.loop.twins import is_of_champion
from bucle.models.registry import Deployment, Tenure, champion, was_rolled_back

__all__ = [
    "Action",
    "Deploy",
    "Judge",
    "Promote",
    "Refit",
    "Retrain",
    "RollBack",
    "Wait",
    "Withdraw",
    "decide",
]


def decide(state: State, policy: Policy, now: datetime) -> tuple[Action, ...]:
    """Return what to do next; a single `Wait` says why there is nothing.

    A run in hand is brought to its end before a new one is asked for. Perform what is returned,
    put its effect on record, and ask again. An action whose effect is on record is never returned
    again, and one that was lost on the way is, under the same id.

    Args:
        state: What is true, as the log says.
        policy: What to follow.
        now: The moment; used for what the calendar asks for, and for nothing else.
    """
    guarding = _guard(state, policy)
    if guarding is not None:
        return (guarding,)
    if state.paused is not None:
        why = f"it is paused since {state.paused[0][:16]}: {state.paused[1]}"
        return (Wait(why=why, settled=why),)
    settling = _settle(state, policy)
    if not isinstance(settling, Wait):
        return (settling,)
    leading = _lead(state, policy)
    if leading is not None and not isinstance(leading, Wait):
        return (leading,)
    on_its_way = leading.why if leading is not None else ""
    for fired in find_triggers(state, policy, now):
        action = action_id("retrain", *fired.cause)
        if action in state.acted:
            continue
        against = on_its_way if fired.kind != "person" else ""
        against = against or why_not_now(state, policy, fired, now)
        if against:
            return (Wait(why=f"{fired.why}, but {against}", settled=settling.settled),)
        return (Retrain(id=action, why=fired.why, window=policy.window, trigger=fired.kind),)
    idle = why_idle(state, policy, now)
    why = f"{on_its_way}; {idle}" if on_its_way else idle
    return (Wait(why=why, settled=settling.settled),)


def _guard(state: State, policy: Policy) -> Action | None:
    """Return what keeps people from harm: it is done whatever else is under way, paused or not."""
    deployed, reigning = state.deployment, champion(state.tenures)
    if deployed is None or reigning is None:
        return None
    # What began by steps that are gone since is guarded all the same.
    rollout = policy.rollout or policy.unled
    if deployed.is_former:
        found = compare_former(state.trial, rollout)
        harm = _harm_since(state)
        if found.kind == "hold" and harm and not _is_better(state):
            found = msgspec.structs.replace(found, kind="stop", why=harm)
        if found.kind == "stop" and not was_rolled_back(state.tenures, deployed.model):
            return RollBack(
                id=action_id("roll back", reigning.model, reigning.since, deployed.model),
                why=found.why,
                model=deployed.model,
                previous=reigning.model,
            )
        return _withdraw(deployed, found.why) if found.kind != "hold" else None
    if deployed.run:
        found = _next_step(state, policy, rollout, deployed)
        return _withdraw(deployed, found.why) if found.kind == "stop" else None
    return None


def _next_step(state: State, policy: Policy, rollout: Rollout, deployed: Deployment) -> Step:
    run = state.runs.get(deployed.run)
    held = _held_back(state, policy, run, deployed.model) if run is not None else ""
    if policy.rollout is None:
        call = promoting(state, deployed.model)
        held = f"no step of [deploy] is left for it: {call}, or bucle deploy --stop"
    return next_step(deployed, state.trial, rollout, held=held)


def _lead(state: State, policy: Policy) -> Action | None:
    """Return the next step of a candidate that is on its way; a `Wait` says what it waits for."""
    deployed, reigning = state.deployment, champion(state.tenures)
    if reigning is None:
        return None
    if deployed is None:
        return _keep_former(state, reigning) if policy.rollout is not None else None
    run = state.runs.get(deployed.run)
    if deployed.is_former or run is None:
        return None
    rollout = policy.rollout or policy.unled
    if rollout.shares and deployed.share not in rollout.shares:
        # What was shown at a share that is none any more is no evidence for the steps of now.
        why = "the steps of [deploy] have changed: it begins again"
        return _deploy_next(deployed, reigning.model, rollout.shares[0], why=why)
    found = _next_step(state, policy, rollout, deployed)
    if found.kind != "go":
        return Wait(why=f"{deployed.model} is on its way: {found.why}")
    share = next_share(rollout, deployed.share)
    if share is not None:
        return _deploy_next(deployed, reigning.model, share, why=found.why)
    return Promote(
        id=action_id("promote", run.started.run, deployed.model),
        why=found.why,
        run=run.started.run,
        model=deployed.model,
        previous=reigning.model,
        verdict="pass" if policy.gate != "none" else "",
    )


def _keep_former(state: State, reigning: Tenure) -> Action | None:
    """Return what keeps the champion before a new one beside it, to see whether it was better."""
    run = state.runs.get(state.ended or "")
    if run is None or len(state.tenures) == 1:
        return None
    if action_id("promote", run.started.run, reigning.model) not in state.acted:
        return None
    if any(one.model == reigning.model for one in state.tenures[:-1]):
        # It was champion before: a person may have put it back, and is not overruled.
        return None
    former = state.tenures[-2].model
    action = action_id("keep", reigning.model, reigning.since, former)
    if action in state.acted:
        return None
    return Deploy(
        id=action,
        why="to see whether the promotion was right",
        run="",
        model=former,
        champion=reigning.model,
        share=0.0,
    )


def _harm_since(state: State) -> str:
    """Say which alarm about its errors is open; a new champion begins without any."""
    raised = [one for one in state.alarms.values() if one.layer == "harm"]
    return next((f"harm since it became champion: {one.why}" for one in raised), "")


def _is_better(state: State) -> bool:
    """Tell whether the champion is shown to err less than the one before it."""
    return state.trial is not None and state.trial.high is not None and state.trial.high < 0


def _deploy(run: str, model: str, reigning: str, share: float, *, why: str) -> Deploy:
    return Deploy(
        id=action_id("deploy", run, model, reigning, repr(share)),
        why=why,
        run=run,
        model=model,
        champion=reigning,
        share=share,
    )


def _deploy_next(deployed: Deployment, reigning: str, share: float, *, why: str) -> Deploy:
    """Return the next step of a candidate; one that begins again comes to a share again."""
    first = _deploy(deployed.run, deployed.model, reigning, share, why=why)
    place = (deployed.began, str(deployed.moves))
    action = action_id("deploy", deployed.run, deployed.model, reigning, repr(share), *place)
    return msgspec.structs.replace(first, id=action)


def _withdraw(deployed: Deployment, why: str) -> Withdraw:
    return Withdraw(
        id=action_id("withdraw", deployed.run, deployed.model, deployed.began),
        why=why,
        model=deployed.model,
    )


def _settle(state: State, policy: Policy) -> Action:
    """Return the next action for the last run, or why it is done with."""
    asked = _last_asked(state)
    if asked is not None and asked.finished is None:
        return Retrain(id=asked.started.asked, why="it was not finished", window=policy.window)
    run = state.runs.get(state.ended or "")
    if run is None or run.finished is None:
        return _done("nothing was trained yet")
    model = run.finished.tested
    if run.finished.state != "done" or model is None:
        return _done(f"the run {run.finished.state}: {run.finished.error}".rstrip(": "))
    reigning = champion(state.tenures)
    current = reigning.model if reigning else None
    if current is not None and is_of_champion(state, model):
        if action_id("promote", run.started.run, current) in state.acted:
            return _done("it was promoted")
        return _done("the same model as before: there is nothing to judge")
    if policy.gate == "none":
        return _ship(state, policy, run, model, current, "")
    return _judge(state, policy, run, model, current)


def _judge(state: State, policy: Policy, run: RunRecord, model: str, current: str | None) -> Action:
    """Return what a challenger needs on its way through the gate, or why it stays outside."""
    name = run.started.run
    judge = Judge(
        id=action_id("judge", name, model, current or ""),
        why="it was trained",
        run=name,
        model=model,
        champion=current,
    )
    judged = _verdict_of(state, name, model, current)
    if judged is None:
        return judge
    outcome = judged.fact.verdict.outcome
    if outcome != "pass":
        return _done(_no(judged))
    shipping = _ship(state, policy, run, model, current, outcome)
    if not isinstance(shipping, Wait) and _is_beside_another(state, judged, current):
        return msgspec.structs.replace(judge, why="the champion has changed since it passed")
    return shipping


def _last_asked(state: State) -> RunRecord | None:
    """Return the last run that an action asked for; people may have begun others since."""
    return next((run for run in reversed(state.runs.values()) if run.started.asked), None)


def _ship(
    state: State, policy: Policy, run: RunRecord, model: str, current: str | None, outcome: str
) -> Action:
    """Return what brings a model that may ship into service, a refit first where one is asked."""
    name = run.started.run
    is_led = policy.rollout is not None and current is not None
    # What is led by steps waits for people there, once it has shown what it can.
    never = why_never(state, run, model)
    held = (never.said if never else "") if is_led else _held_back(state, policy, run, model)
    if held:
        return _done(held)
    if policy.gate == "referee+refit":
        refit = state.refits.get(name)
        if refit is None:
            again = action_id("refit", name, model)
            return Refit(id=again, why="it passed", run=name, model=model)
        if refit.outcome == "pass" and refit.model is not None:
            model = refit.model
    action = action_id("promote", name, model)
    if action in state.acted:
        return _done("it was promoted")
    why = f"the gate says {outcome}" if outcome else "no gate was asked for"
    left = _left_beside(state, name, model, current)
    if left:
        return _done(left)
    if policy.rollout is not None and current is not None:
        return _begin(state, policy, run, model, current, why)
    return Promote(id=action, why=why, run=name, model=model, previous=current, verdict=outcome)


def _begin(
    state: State, policy: Policy, run: RunRecord, model: str, current: str, why: str
) -> Action:
    """Return what puts a candidate on its way, or where it is."""
    rollout, deployed = policy.rollout, state.deployment
    share = next_share(rollout, None) if rollout is not None else None
    first = _deploy(run.started.run, model, current, share or 0.0, why=why)
    if first.id in state.acted:
        if deployed is not None and deployed.model == model:
            # An earlier run made the very same model and had put it there.
            return _done(f"it is on its way as a {deployed.stage}")
        return _done("it was taken away from beside the champion")
    # A shadow answers nobody: it may show what it can before people are asked.
    against = _held_back(state, policy, run, model) if share else ""
    if deployed is not None and not deployed.run and not deployed.is_former:
        against = against or f"it waits: {deployed.by} has put {deployed.model} beside the champion"
    return _done(against) if against else first


def _left_beside(state: State, run: str, model: str, current: str | None) -> str:
    """Say where a run's model is that was put beside the champion; empty for nowhere yet.

    So it holds whatever has become of the steps since: evidence is asked for once it is led.
    """
    deployed, withdrawn = state.deployment, state.withdrawn.get(model)
    if deployed is not None and (deployed.run, deployed.model) == (run, model):
        return f"it is on its way as a {deployed.stage}"
    if withdrawn is not None and (withdrawn.run, withdrawn.champion) == (run, current):
        return "it was taken away from beside the champion"
    return ""


def _held_back(state: State, policy: Policy, run: RunRecord, model: str) -> str:
    """Say why a model that passed is not promoted by itself; empty when nothing is against it."""
    missing = missing_words(state, run, model, approval=policy.approval, promote=policy.promote)
    return next((word.said for word in missing), "")


def _verdict_of(state: State, run: str, model: str, current: str | None) -> VerdictRecord | None:
    """Return the last verdict on a run's model beside the champion of now, or else its last."""
    record = state.models.get(model)
    known = [one for one in record.verdicts if one.fact.run == run] if record else []
    beside = [one for one in known if one.fact.verdict.champion == current]
    return next(reversed(beside or known), None)


def _is_beside_another(state: State, judged: VerdictRecord, current: str | None) -> bool:
    """Tell whether a verdict was given beside another champion than that of now.

    Beside a champion that no run has made nothing can be judged: the verdict stands.
    """
    is_known = current is None or current in state.models
    return is_known and judged.fact.verdict.champion != current


def _no(judged: VerdictRecord) -> str:
    """Say in one line which check kept a model from passing, in words of people."""
    verdict = judged.fact.verdict
    against = [check for check in verdict.checks if check.outcome == verdict.outcome]
    first = f": {tell_check(against[0])}" if against else ""
    if against and against[0].name == LIKENESS:
        return verdict.outcome + first
    needed = against[0].labels_needed if against else None
    return f"{verdict.outcome}{first}" + (
        f", {needed:,} more labels would decide" if needed else ""
    )


def _done(why: str) -> Wait:
    return Wait(why=why, settled=why)
