"""What the loop follows: when to retrain, on which window of the past, who lets a model ship, how.

Pure: no clock, no randomness, no disk. Imports nothing heavy.
"""

from typing import Literal, get_args

from msgspec import Struct

from bucle.charter.policies import Trigger, parse_policy
from bucle.charter.zones import find_zone
from bucle.errors import RequestError, nearest
from bucle.loop.rollout import Rollout
from bucle.loop.spans import Span, parse_span

__all__ = ["GATES", "Gate", "Policy", "make_policy", "window_span"]

Gate = Literal["none", "referee", "referee+refit"]
GATES: tuple[str, ...] = get_args(Gate)
_EXPANDING = "expanding"
_LAST = "last:"


class Policy(Struct, frozen=True, kw_only=True):
    """One way to run the loop.

    `window` is `expanding` or `last:<span>`: how much of the past a model learns from. `price` is
    what a retrain costs, in the charter's currency. With `promote` at `ask` a model that passed
    waits for a person, and where `approval` names roles, for each of them. Between two retrains
    lies `cooldown`, and a month has `most_per_month`; None for no such limit. `zone` is that of
    `cron:` triggers. Without a `rollout` a model that passed answers everyone at once; one that an
    earlier rollout has put beside the champion is then held and judged by `unled`.
    """

    text: str
    triggers: tuple[Trigger, ...] = ()
    window: str = _EXPANDING
    gate: Gate = "referee"
    price: float = 0.0
    promote: Literal["auto", "ask"] = "auto"
    approval: tuple[str, ...] = ()
    cooldown: Span | None = None
    most_per_month: int | None = None
    zone: str = "UTC"
    rollout: Rollout | None = None
    unled: Rollout = Rollout()

    def __post_init__(self) -> None:
        """Read the table of the zone, so that deciding by it reads nothing.

        Raises:
            CharterError: There is no such zone (bucle-196).
        """
        find_zone(self.zone)

    @property
    def name(self) -> str:
        """What people call it: the text, and what is not the simplest choice of the rest."""
        gate = "" if self.gate == "none" else f" {self.gate}"
        return self.text + gate + ("" if self.window == _EXPANDING else f" {self.window}")


def make_policy(
    text: str,
    *,
    gate: str = "referee",
    window: str = _EXPANDING,
    price: float = 0.0,
    zone: str = "UTC",
) -> Policy:
    """Read a policy from the texts people write.

    Raises:
        CharterError: The text is none of the known triggers (bucle-119).
        RequestError: There is no such gate or window (bucle-250, bucle-251).

    Example:
        >>> make_policy("every:1mo", gate="referee+refit").name
        'every:1mo referee+refit'
    """
    if gate not in GATES:
        raise RequestError(
            f"There is no gate {gate!r}",
            cause=f"a replay knows {', '.join(GATES)}",
            did_you_mean=nearest(gate, list(GATES)),
            attempt="--gate referee",
            code="bucle-250",
        )
    window_span(window)
    found = parse_policy(text)
    chosen: Gate = "referee" if gate == "referee" else "none"
    if gate == "referee+refit":
        chosen = "referee+refit"
    return Policy(
        text=text, triggers=found.triggers, window=window, gate=chosen, price=price, zone=zone
    )


def window_span(window: str) -> Span | None:
    """Return how long the past is that a window keeps; None when it keeps all.

    Raises:
        RequestError: The window is none.
    """
    if window == _EXPANDING:
        return None
    if not window.startswith(_LAST):
        raise RequestError(
            f"There is no window {window!r}",
            cause="a window is expanding, or last:<n>d|w|mo|y",
            did_you_mean=nearest(window, [_EXPANDING, "last:1y", "last:6mo"]),
            attempt="--window last:2y",
            code="bucle-251",
        )
    return parse_span(window.removeprefix(_LAST))
