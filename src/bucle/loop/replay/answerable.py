"""Which policies recorded history can answer: a trigger asks for something that it must hold."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from bucle.charter.policies import Kind, Trigger, parse_policy
from bucle.errors import RequestError
from bucle.loop.schedule import parse_schedule
from bucle.loop.spans import Span

__all__ = ["ANSWERED", "CALENDAR", "require_answers", "shortest_days"]

CALENDAR: frozenset[Kind] = frozenset({"age", "cron", "every"})
"""The triggers that ask for a retrain because time has passed."""

ANSWERED: frozenset[Kind] = CALENDAR | {"performance", "drift", "gain"}
"""The triggers that a replay follows as a live project does."""

_DAY = timedelta(days=1)
# Any year: it shows how close together the moments of a schedule may lie.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_MOMENTS = 60

_MISSING: dict[Kind, str] = {
    "harm": "harm is seen by the watch of a live project, in what was answered and labelled there",
    "regret": "regret is summed over what a live project has answered",
    "data": "new rows are counted as they come in, and history has them all",
    "code": "history is walked through with the code as it is now",
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


def shortest_days(trigger: Trigger, *, zone: str) -> float:
    """Return how many days lie between two moments of a calendar, at least; 0 for no calendar.

    Example:
        >>> shortest_days(Trigger(kind="cron", expression="0 6 * * mon,fri"), zone="UTC")
        3.0
    """
    if trigger.kind != "cron":
        is_span = trigger.kind in CALENDAR
        return Span(count=int(trigger.amount), unit=trigger.unit or "d").days if is_span else 0.0
    schedule, moments = parse_schedule(trigger.expression, zone=zone), [_SOME_DAY]
    while len(moments) <= _MOMENTS and (following := schedule.next(moments[-1])) is not None:
        moments.append(following)
    return min((after - before) / _DAY for before, after in pairwise(moments[1:]))


def _is_answered(text: str) -> bool:
    return all(trigger.kind in ANSWERED for trigger in parse_policy(text).triggers)
