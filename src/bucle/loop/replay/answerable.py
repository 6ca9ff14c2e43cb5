"""Which policies recorded history can answer: a trigger asks for something that it must hold."""

from collections.abc import Sequence

from bucle.charter.policies import Kind, parse_policy
from bucle.errors import RequestError

__all__ = ["ANSWERED", "require_answers"]

ANSWERED: frozenset[Kind] = frozenset({"every", "performance", "drift", "gain"})
"""The triggers that a replay follows as a live project does."""

_MISSING: dict[Kind, str] = {
    "harm": "harm is seen by the watch of a live project, in what was answered and labelled there",
    "regret": "regret is summed over what a live project has answered",
    "age": "an age counts from what a live project had learned",
    "data": "new rows are counted as they come in, and history has them all",
    "code": "history is walked through with the code as it is now",
    "cron": "a replay looks once a period, not by the clock; every:<n>d|w|mo|y is its calendar",
}


def require_answers(text: str, *, others: Sequence[str] = ()) -> None:
    """Raise when a policy has a trigger that history does not answer.

    Args:
        text: The policy.
        others: What else was asked for; those that can be replayed are proposed.

    Raises:
        CharterError: It is no policy (bucle-119, bucle-195).
        RequestError: One of its triggers is not answered (bucle-198).
    """
    for trigger in parse_policy(text).triggers:
        if trigger.kind not in ANSWERED:
            fitting = [one for one in others if _is_answered(one)] or ["every:1mo", "gain"]
            raise RequestError(
                f"Cannot replay the policy {text!r}: history does not answer {trigger.kind!r}",
                cause=_MISSING[trigger.kind],
                attempt="bucle replay " + " ".join(f"--policy {one}" for one in fitting),
                code="bucle-198",
            )


def _is_answered(text: str) -> bool:
    return all(trigger.kind in ANSWERED for trigger in parse_policy(text).triggers)
