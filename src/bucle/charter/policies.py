"""When the loop may retrain, read from the short texts of `retrain.policies`.

Must not import anything heavy.
"""

import re
from typing import Literal

from msgspec import Struct

from bucle.errors import CharterError, nearest

__all__ = ["Policy", "Trigger", "parse_policy"]

_EVERY = re.compile(r"every:([1-9]\d{0,3})(d|w|mo|y)")
_DRIFT = re.compile(r"drift(?::(\d{1,3}(?:\.\d+)?))?")
_PERFORMANCE = re.compile(r"performance:\+(\d{1,3}(?:\.\d+)?)%")
_UNITS: dict[str, Literal["d", "w", "mo", "y"]] = {"d": "d", "w": "w", "mo": "mo", "y": "y"}
# The population stability index above which the usual rule of thumb calls a column drifted.
_DISTANCE = 0.2
_SYNTAX = "never, every:<n>d|w|mo|y, performance:+<x>%, drift[:<x>], gain, or several joined by /"


class Trigger(Struct, frozen=True, kw_only=True):
    """One reason to retrain.

    `amount` counts `unit` for `every`, is a share (0.15 for +15 %) for `performance` and a distance
    of inputs for `drift`.
    """

    kind: Literal["every", "performance", "drift", "gain"]
    amount: float = 0.0
    unit: Literal["", "d", "w", "mo", "y"] = ""


class Policy(Struct, frozen=True, kw_only=True):
    """One policy: retrain when the first of its triggers fires; with none, never."""

    text: str
    triggers: tuple[Trigger, ...] = ()


def parse_policy(text: str) -> Policy:
    """Read one policy.

    Raises:
        CharterError: It is none of the known forms (bucle-119).

    Example:
        >>> parse_policy("every:1mo").triggers
        (Trigger(kind='every', amount=1.0, unit='mo'),)
    """
    if text == "never":
        return Policy(text=text)
    return Policy(text=text, triggers=tuple(_trigger(part, text) for part in text.split("/")))


def _trigger(part: str, text: str) -> Trigger:
    if (drift := _DRIFT.fullmatch(part)) and float(drift[1] or _DISTANCE) > 0:
        return Trigger(kind="drift", amount=float(drift[1] or _DISTANCE))
    if part == "gain":
        return Trigger(kind="gain")
    if every := _EVERY.fullmatch(part):
        return Trigger(kind="every", amount=float(every[1]), unit=_UNITS[every[2]])
    performance = _PERFORMANCE.fullmatch(part)
    if performance and float(performance[1]) > 0:
        return Trigger(kind="performance", amount=float(performance[1]) / 100)
    known = ["never", "every:1d", "every:1w", "every:1mo", "performance:+15%", "drift", "gain"]
    raise CharterError(
        f"Cannot use the retrain policy {text!r}",
        cause="`never` stands alone: joined with anything else it would not be never"
        if part == "never"
        else f"a policy is {_SYNTAX}; every number is above 0",
        did_you_mean=() if part == "never" else nearest(part, known),
        code="bucle-119",
    )
