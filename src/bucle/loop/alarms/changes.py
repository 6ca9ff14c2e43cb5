"""What a look at the world changes about the alarms that are open: pure.

An alarm that is open is not raised again, and one that is not seen is resolved only after it was
quiet for some looks, so that what comes and goes tells people once. Imports nothing heavy.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from bucle.loop.observations import AlarmRaised, AlarmResolved
from bucle.loop.state import State
from bucle.models.registry import champion

if TYPE_CHECKING:
    from bucle.loop.watching.watched import Watched

__all__ = ["QUIET_LOOKS", "AlarmNews", "find_news"]

QUIET_LOOKS = 2

_MOST_EXAMPLES = 5
_CONTRACT = "contract"


class AlarmNews(Struct, frozen=True, kw_only=True):
    """What to put on record after a look, and what to remember until the next one.

    `quiet` counts the looks in a row that did not see an open alarm, by its name.
    """

    facts: tuple[AlarmRaised | AlarmResolved, ...] = ()
    quiet: dict[str, int] = {}


def find_news(state: State, watched: "Watched", *, quiet: Mapping[str, int]) -> AlarmNews:
    """Compare what is open with what was seen.

    A layer that could not judge keeps its alarms as they are. What was seen of a model that is not
    the champion any more is left aside, but for the contract, which holds for every model.

    Args:
        state: What is true; its `alarms` are open.
        watched: What was seen.
        quiet: The one of the last look's news; empty after a restart.
    """
    reigning = champion(state.tenures)
    is_own = reigning is not None and reigning.model == watched.champion
    seen = {one.name: one for one in watched.alarms if is_own or one.layer == _CONTRACT}
    raised = [
        AlarmRaised(
            layer=one.layer,
            subject=one.subject,
            since=one.since,
            why=one.why,
            model="" if one.layer == _CONTRACT else watched.champion,
            examples=tuple(msgspec.to_builtins(row) for row in one.examples[:_MOST_EXAMPLES]),
        )
        for name, one in seen.items()
        if name not in state.alarms
    ]
    counts, resolved = {}, []
    for name, one in state.alarms.items():
        if name in seen:
            continue
        is_judged = _could_judge(watched, one, is_own=is_own)
        count = quiet.get(name, 0) + is_judged
        if count >= QUIET_LOOKS:
            why = f"not seen in {QUIET_LOOKS} looks"
            resolved.append(AlarmResolved(layer=one.layer, subject=one.subject, why=why))
        elif count:
            counts[name] = count
    return AlarmNews(facts=(*resolved, *raised), quiet=counts)


def _could_judge(watched: "Watched", alarm: AlarmRaised, *, is_own: bool) -> bool:
    """Tell whether the look would have shown an alarm that is still the case."""
    if alarm.layer == "harm":
        return is_own and watched.harm is not None
    if alarm.layer == "inputs":
        return is_own and watched.inputs is not None and watched.inputs.date is not None
    subject, _, kind = alarm.subject.rpartition(": ")
    return not any(one.startswith(f"{kind} of {subject}:") for one in watched.contract.unknown)
