"""The hash chain: how facts are sealed into events and how a chain is followed.

An event's hash is the SHA-256 of the canonical JSON of all its other fields, `previous` included,
so that no event can change, move or vanish from the middle unnoticed. Pure; no disk.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from bucle.errors import LogDamagedError, LogError
from bucle.ids import canonical_json, digest_bytes
from bucle.types import Draft, Event, Head

__all__ = [
    "START",
    "ZERO_HASH",
    "Row",
    "check",
    "fits_itself",
    "follow",
    "seal",
    "seal_all",
    "sealed_content",
]

ZERO_HASH = "0" * 64
START = Head(0, ZERO_HASH)

# A stored event: its position, the bytes its hash covers, and the hash (as ASCII).
Row = tuple[int, bytes, bytes]

_decode = msgspec.json.Decoder(Event).decode


def seal(draft: Draft, *, position: int, previous: str) -> Event:
    """Make a fact the next event of a chain.

    The body comes back as JSON has it: tuples as lists, keys as text.

    Args:
        draft: The fact; its body holds JSON values only.
        position: The event's position, one more than the last one's.
        previous: The hash of the last event, or ZERO_HASH.

    Raises:
        LogError: The body holds something that JSON cannot say, or cannot say twice alike.

    Example:
        >>> fact = Draft(kind="k", body={"a": (1,)}, at="2026-01-02T00:00:00.000000Z", actor="me")
        >>> event = seal(fact, position=1, previous=ZERO_HASH)
        >>> event.body, check(event, position=1, previous=ZERO_HASH)
        ({'a': [1]}, '')
    """
    fields = {
        "position": position,
        "kind": draft.kind,
        "version": draft.version,
        "at": draft.at,
        "actor": draft.actor,
        "cause": draft.cause,
        "body": draft.body,
        "previous": previous,
    }
    try:
        content = canonical_json(fields)
        event = _unseal(content, digest_bytes(content).encode())
        again = sealed_content(event)
    except (TypeError, ValueError, RecursionError) as error:
        raise _unsayable(draft, str(error)) from error
    if again != content:
        raise _unsayable(draft, "a key is not text, or stands there twice")
    return event


def seal_all(drafts: Iterable[Draft], *, after: Head) -> tuple[Event, ...]:
    """Seal facts in their order behind the end of a chain."""
    events: list[Event] = []
    for draft in drafts:
        event = seal(draft, position=after.position + 1, previous=after.hash)
        after = Head(event.position, event.hash)
        events.append(event)
    return tuple(events)


def sealed_content(event: Event) -> bytes:
    """Return the bytes that an event's hash covers."""
    return canonical_json(
        {
            "position": event.position,
            "kind": event.kind,
            "version": event.version,
            "at": event.at,
            "actor": event.actor,
            "cause": event.cause,
            "body": event.body,
            "previous": event.previous,
        }
    )


def check(event: Event, *, position: int, previous: str) -> str:
    """Return why an event does not fit its place in a chain; empty when it does."""
    if event.position != position:
        return f"it says it is event {event.position}"
    if event.previous != previous:
        return f"it does not follow event {position - 1}"
    if digest_bytes(sealed_content(event)) != event.hash:
        return "its content is not what its hash says"
    return ""


def fits_itself(row: Row) -> bool:
    """Tell whether a stored event's content is what its hash says, wherever it stands."""
    _, content, digest = row
    return isinstance(content, bytes) and hashlib.sha256(content).hexdigest().encode() == digest


def follow(rows: Iterable[Row], *, after: Head) -> Iterator[Event]:
    """Yield stored events that continue a chain.

    Args:
        rows: Stored events in the order they stand in; they may be damaged in any way.
        after: The last event known to be good, or START.

    Raises:
        LogDamagedError: An event does not fit; `position` is its place in the chain.
    """
    position, previous = after.position, after.hash
    sha256 = hashlib.sha256
    for row in rows:
        position += 1
        place, content, digest = row
        if place != position:
            raise LogDamagedError(position=position, cause=f"it is missing; {place!r} comes next")
        if not isinstance(content, bytes) or sha256(content).hexdigest().encode() != digest:
            raise LogDamagedError(position=position, cause="its content is not what its hash says")
        event = _unsealed_or_damaged(row)
        if event.position != position or event.previous != previous:
            cause = check(event, position=position, previous=previous)
            raise LogDamagedError(position=position, cause=cause)
        previous = event.hash
        yield event


def _unsealed_or_damaged(row: Row) -> Event:
    """Read a stored event whose hash is right."""
    try:
        return _unseal(row[1], row[2])
    except (ValueError, RecursionError) as error:
        raise LogDamagedError(position=row[0], cause=f"it is not an event: {error}") from error


def _unseal(content: bytes, digest: bytes) -> Event:
    """Read the content of an event and put its hash beside it."""
    return _decode(b'%b,"hash":"%b"}' % (content[:-1], digest))


def _unsayable(draft: Draft, cause: str) -> LogError:
    """Build the error for a body that cannot be kept."""
    return LogError(
        f"Cannot append an event of kind {draft.kind!r}: its body is not JSON",
        cause=cause,
        attempt="keep text, finite numbers, true, false, null, lists and objects only",
        code="bucle-203",
    )
