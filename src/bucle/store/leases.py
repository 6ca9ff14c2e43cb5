"""What may happen to a lease: the rules that every keeper of leases follows.

Imports nothing heavy.
"""

import msgspec

from bucle.errors import FencedError, LeaseTakenError
from bucle.types import Lease

__all__ = ["refuse_fenced", "released", "renewed", "taken"]


def taken(found: Lease | None, *, name: str, holder: str, over: Lease | None) -> Lease:
    """Return a lease as its taker holds it.

    Args:
        found: The lease as it stands.
        name: The lease's name.
        holder: Who takes it.
        over: The lease as the taker saw it.

    Raises:
        LeaseTakenError: It is not as it was seen.

    Example:
        >>> taken(None, name="loop", holder="a", over=None).token
        1
    """
    if found != over:
        raise LeaseTakenError(name=name, holder=holder, cause=_standing(found), doing="take")
    return Lease(name=name, holder=holder, token=found.token + 1 if found else 1)


def renewed(found: Lease | None, lease: Lease) -> Lease:
    """Return a lease with its next beat.

    Raises:
        LeaseTakenError: It is held no more.
    """
    held = _held(found, lease, doing="renew")
    return msgspec.structs.replace(held, beat=held.beat + 1)


def released(found: Lease | None, lease: Lease) -> Lease:
    """Return a lease as it is given up.

    Raises:
        LeaseTakenError: It is held no more.
    """
    return msgspec.structs.replace(_held(found, lease, doing="release"), released=True)


def refuse_fenced(found: Lease | None, fence: Lease | None) -> None:
    """Refuse a write under a lease that is held no more; a write under none is let through.

    Raises:
        FencedError: The lease that stands is not the writer's, or it was given up.
    """
    if fence is not None and (found is None or not _is_held(found, fence)):
        raise FencedError(
            name=fence.name, holder=fence.holder, cause=_standing(found), doing="write under"
        )


def _held(found: Lease | None, lease: Lease, *, doing: str) -> Lease:
    """Return a lease as it stands for its holder."""
    if found is None or not _is_held(found, lease):
        raise LeaseTakenError(
            name=lease.name, holder=lease.holder, cause=_standing(found), doing=doing
        )
    return found


def _is_held(found: Lease, lease: Lease) -> bool:
    # A token names one taking; the holder guards against a log that was put back from a copy.
    return (found.token, found.holder, found.released) == (lease.token, lease.holder, False)


def _standing(found: Lease | None) -> str:
    """Say how a lease stands."""
    if found is None:
        return "nobody has ever taken it"
    if found.released:
        return f"{found.holder!r} had it with token {found.token} and has given it up"
    return f"{found.holder!r} holds it with token {found.token}, beat {found.beat}"
