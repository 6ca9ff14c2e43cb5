"""How a checker says that something which must always hold did not.

Must not be imported by anything but tests. Imports nothing of Bucle.
"""

from typing import NoReturn

__all__ = ["BrokenInvariantError", "expect", "fail", "require"]

_LONG = 400


class BrokenInvariantError(AssertionError):
    """Something that must always hold did not."""


def fail(what: str) -> NoReturn:
    """Say what is broken.

    Raises:
        BrokenInvariantError: Always.
    """
    raise BrokenInvariantError(what)


def require(reason: str, what: str) -> None:
    """Demand that there is no reason against something.

    Raises:
        BrokenInvariantError: There is one.
    """
    if reason:
        fail(f"{what}: {reason}")


def expect(found: object, wanted: object, what: str) -> None:
    """Demand that two things are equal.

    Raises:
        BrokenInvariantError: They are not.
    """
    if found != wanted:
        fail(f"{what}: {_short(found)} instead of {_short(wanted)}")


def _short(value: object) -> str:
    text = str(sorted(value) if isinstance(value, (set, frozenset)) else value)
    return text if len(text) <= _LONG else f"{text[:_LONG]} …"
