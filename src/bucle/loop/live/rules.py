"""What a live loop follows, as its charter says. Pure."""

from bucle.charter.policies import parse_policy
from bucle.charter.settings import Charter, DeploySettings
from bucle.loop.policy import Gate, Policy
from bucle.loop.rollout import Rollout
from bucle.loop.spans import parse_span

__all__ = ["live_policy"]

_HOUR_S = 3600.0
_NONE = "0d"


def live_policy(charter: Charter) -> Policy:
    """Return the policy of `[retrain]`, `[gates]` and `[deploy]`.

    Raises:
        CharterError: The policy is none of the known ones.
    """
    retrain, gates = charter.retrain, charter.gates
    gate: Gate = "referee+refit" if gates.refit else "referee"
    rollout = _rollout(charter.deploy)
    return Policy(
        text=retrain.followed,
        triggers=parse_policy(retrain.followed).triggers,
        window=retrain.window,
        gate=gate,
        price=charter.charter.money.retrain,
        promote=gates.promote,
        approval=gates.approval,
        cooldown=parse_span(retrain.cooldown) if retrain.cooldown != _NONE else None,
        most_per_month=retrain.most_per_month,
        zone=retrain.zone,
        rollout=rollout if rollout.shares else None,
        unled=rollout,
    )


def _rollout(deploy: DeploySettings) -> Rollout:
    return Rollout(
        shares=deploy.steps,
        pairs=deploy.pairs,
        shadow_s=deploy.shadow_hours * _HOUR_S,
        requests=deploy.requests,
        bake_s=deploy.bake_minutes * 60,
        labels=deploy.labels,
        deadline_s=deploy.deadline_hours * _HOUR_S,
        probation_s=deploy.probation_hours * _HOUR_S,
    )
