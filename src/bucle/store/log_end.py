"""The end of a log: finding where the chain stops, and repairing an end that is torn.

Torn means that the last events, and only they, are not what their hashes say or are gone although
the head file recorded them. Anything else that does not fit is damage in the middle and is left
alone. Imports nothing heavy.
"""

import sqlite3
from collections.abc import Iterable

from msgspec import Struct

from bucle.clock import to_iso
from bucle.errors import LogDamagedError
from bucle.store.chain import START, Row, fits_itself, follow, seal, sealed_content
from bucle.store.queries import load_queries
from bucle.store.sqlite_file import find_fault
from bucle.types import Clock, Draft, Event, Head

__all__ = ["LogEnd", "inspect_end", "is_torn", "recorded_reason", "repair_end", "to_row"]

_EVERYTHING = -1


class LogEnd(Struct, frozen=True, kw_only=True):
    """Where a log ends: its last good event, and what is wrong behind it.

    `torn` counts damaged events behind the good one, `lost` is the last event that is known to
    have been there; `reason` is empty when nothing is wrong.
    """

    good: Head
    torn: int = 0
    lost: Head = START
    reason: str = ""


def inspect_end(connection: sqlite3.Connection, anchor: Head | None, *, checked: Head) -> LogEnd:
    """Follow the chain to its end and compare it with the recorded head.

    Args:
        connection: The log, inside a transaction.
        anchor: The recorded head, read under the same lock.
        checked: Up to where the chain has been followed before; START checks everything.

    Raises:
        LogDamagedError: There is damage in the middle.
    """
    sql = load_queries("log")
    last = _row_at(connection, checked.position)
    if last is None or not fits_itself(last) or last[2].decode() != checked.hash:
        checked = START
    good, torn, reason = checked, 0, ""
    try:
        rows = connection.execute(sql["select_events"], (checked.position, _EVERYTHING))
        for event in follow(rows, after=checked):
            good = Head(event.position, event.hash)
    except LogDamagedError as damage:
        rest = connection.execute(sql["select_events"], (good.position, _EVERYTHING)).fetchall()
        if not is_torn(rest):
            raise
        torn, reason = len(rest), f"event {damage.position}: {damage.cause}"
    if anchor is None or recorded_reason(connection, anchor, end=good) == "":
        lost = START
    elif anchor.position <= good.position:
        cause = recorded_reason(connection, anchor, end=good)
        raise LogDamagedError(position=anchor.position, cause=cause)
    else:
        lost, reason = anchor, reason or recorded_reason(connection, anchor, end=good)
    _refuse_total_loss(good, lost=lost, torn=torn)
    return LogEnd(good=good, torn=torn, lost=lost, reason=reason)


def is_torn(rows: Iterable[Row]) -> bool:
    """Tell whether stored events from the first damaged one on are damaged, every one."""
    return not any(fits_itself(row) for row in rows)


def recorded_reason(connection: sqlite3.Connection, anchor: Head, *, end: Head) -> str:
    """Return why a chain that ends at `end` contradicts the recorded head; empty when not.

    A recorded head that an earlier repair has already given up contradicts nothing.
    """
    if anchor.position <= end.position:
        row = _row_at(connection, anchor.position)
        if row is not None and row[2] == anchor.hash.encode():
            return ""
        reason = "the head file records another event in this place"
    else:
        reason = f"the log ends at event {end.position}, the head file records {anchor.position}"
    known = connection.execute(
        load_queries("log")["is_known_lost"], (anchor.position, anchor.hash)
    ).fetchone()[0]
    return "" if known else reason


def repair_end(connection: sqlite3.Connection, end: LogEnd, *, clock: Clock) -> Head:
    """Move a torn end out of the way and append an event that says so; the caller commits.

    The body of that `log_repaired` event: `removed` counts damaged events, now in the table
    `torn`; `after` is the last good position; `lost_until` the last position that is known to
    have been written; `reason` says what did not fit.

    Raises:
        LogDamagedError: SQLite's own check finds the file damaged; nothing is touched.
    """
    sql = load_queries("log")
    good = end.good
    place = good.position + 1
    # A bad page can hide events: what it hides must not be buried under new ones.
    if fault := find_fault(connection):
        raise LogDamagedError(position=place, cause=f"SQLite says: {fault}")
    connection.execute(sql["keep_torn"], (good.position, place))
    connection.execute(sql["delete_torn"], (good.position,))
    if end.lost.position > good.position:
        connection.execute(sql["keep_lost"], (end.lost.position, end.lost.hash, place))
    body = {
        "removed": end.torn,
        "after": good.position,
        "lost_until": max(good.position + end.torn, end.lost.position),
        "reason": end.reason,
    }
    draft = Draft(kind="log_repaired", body=body, at=to_iso(clock.now()), actor="bucle")
    event = seal(draft, position=place, previous=good.hash)
    connection.execute(sql["insert_event"], to_row(event))
    return Head(event.position, event.hash)


def to_row(event: Event) -> tuple[int, str, str]:
    """Return an event as the database stores it."""
    return event.position, sealed_content(event).decode(), event.hash


def _row_at(connection: sqlite3.Connection, position: int) -> Row | None:
    """Return one stored event."""
    row: Row | None = connection.execute(
        load_queries("log")["select_event"], (position,)
    ).fetchone()
    return row


def _refuse_total_loss(good: Head, *, lost: Head, torn: int) -> None:
    """Refuse to write after a loss so large that starting anew must be somebody's decision."""
    missing = max(torn, lost.position)
    if good == START and missing > 1:
        raise LogDamagedError(
            position=1,
            cause=f"none of at least {missing} events is left: restore the log from a copy, or "
            "remove log.db and log.head to begin anew",
        )
