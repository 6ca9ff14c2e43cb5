"""When the loop may retrain, read from the short texts of `[retrain]`.

Must not import anything heavy.
"""

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from bucle.charter.cron import parse_cron
from bucle.errors import CharterError, nearest

__all__ = ["Kind", "Policy", "Trigger", "parse_policy"]

Kind = Literal[
    "age", "code", "cron", "data", "drift", "every", "gain", "harm", "performance", "regret"
]
_Unit = Literal["", "d", "w", "mo", "y"]

_SPAN = r"([1-9]\d{0,3})(d|w|mo|y)"
_SHARE = r"\+(\d{1,3}(?:\.\d+)?)%"
# The population stability index above which the usual rule of thumb calls a column drifted.
_DISTANCE = 0.2
_FORMS: Mapping[Kind, re.Pattern[str]] = {
    "every": re.compile(f"every:{_SPAN}"),
    "age": re.compile(f"age:{_SPAN}"),
    "performance": re.compile(f"performance:{_SHARE}"),
    "data": re.compile(f"data:{_SHARE}"),
    "drift": re.compile(r"drift(?::(\d{1,3}(?:\.\d+)?))?"),
    "gain": re.compile("gain"),
    "harm": re.compile("harm"),
    "regret": re.compile("regret"),
    "code": re.compile("code"),
}
_CRON = "cron:"
_UNITS: dict[str, _Unit] = {"d": "d", "w": "w", "mo": "mo", "y": "y"}
# The step of a cron expression is a digit, and no trigger begins with one.
_BETWEEN = re.compile(r"/(?!\d)")
_SYNTAX = (
    "never, harm, gain, regret, code, age:<n>d|w|mo|y, every:<n>d|w|mo|y, performance:+<x>%, "
    "data:+<x>%, drift[:<x>], cron:<five fields>, or several joined by /"
)
_KNOWN = (
    "never",
    "every:1d",
    "every:1w",
    "every:1mo",
    "age:90d",
    "performance:+15%",
    "data:+20%",
    "drift",
    "gain",
    "harm",
    "regret",
    "code",
    "cron:0 6 * * mon",
)


class Trigger(Struct, frozen=True, kw_only=True):
    """One reason to retrain.

    `amount` counts `unit` for `every` and `age`, is a share (0.15 for +15 %) for `performance` and
    `data`, and a distance of inputs for `drift`. `expression` is that of `cron`.
    """

    kind: Kind
    amount: float = 0.0
    unit: _Unit = ""
    expression: str = ""

    @property
    def text(self) -> str:
        """How it is written; reading that again gives the same.

        Example:
            >>> Trigger(kind="performance", amount=0.15).text
            'performance:+15%'
        """
        if self.kind == "cron":
            return _CRON + self.expression
        if self.unit:
            return f"{self.kind}:{self.amount:.0f}{self.unit}"
        if self.kind in {"performance", "data"}:
            return f"{self.kind}:+{self.amount * 100:.12g}%"
        return f"drift:{self.amount:.12g}" if self.kind == "drift" else self.kind


class Policy(Struct, frozen=True, kw_only=True):
    """One policy: retrain when the first of its triggers fires; with none, never."""

    text: str
    triggers: tuple[Trigger, ...] = ()


def parse_policy(text: str) -> Policy:
    """Read one policy: triggers joined by `/`.

    A `/` before a digit is a step of the cron expression it stands in, and joins nothing.

    Raises:
        CharterError: It is none of the known forms (bucle-119), or a cron expression that cannot
            be read (bucle-195).

    Example:
        >>> parse_policy("every:1mo").triggers
        (Trigger(kind='every', amount=1.0, unit='mo', expression=''),)
        >>> [one.kind for one in parse_policy("cron:*/15 6 * * mon/harm").triggers]
        ['cron', 'harm']
    """
    if text == "never":
        return Policy(text=text)
    return Policy(text=text, triggers=tuple(_trigger(part, text) for part in _BETWEEN.split(text)))


def _trigger(part: str, text: str) -> Trigger:
    if part.startswith(_CRON):
        return Trigger(kind="cron", expression=parse_cron(part.removeprefix(_CRON)).text)
    for kind, form in _FORMS.items():
        if found := form.fullmatch(part):
            trigger = _made(kind, found)
            if trigger.amount > 0 or not form.groups:
                return trigger
    raise CharterError(
        f"Cannot use the retrain policy {text!r}",
        cause="`never` stands alone: joined with anything else it would not be never"
        if part == "never"
        else f"a policy is {_SYNTAX}; every number is above 0",
        did_you_mean=() if part == "never" else nearest(part, _KNOWN),
        code="bucle-119",
    )


def _made(kind: Kind, found: re.Match[str]) -> Trigger:
    if kind in {"every", "age"}:
        return Trigger(kind=kind, amount=float(found[1]), unit=_UNITS[found[2]])
    if kind in {"performance", "data"}:
        return Trigger(kind=kind, amount=float(found[1]) / 100)
    if kind == "drift":
        return Trigger(kind=kind, amount=float(found[1] or _DISTANCE))
    return Trigger(kind=kind)
