"""Rows that servers refused within the last week, told from what they count since they began.

What was counted at the first look of each day is kept, so that refusals of long ago end some time.
Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from bucle.errors import BucleError
from bucle.ids import canonical_json, digest_json
from bucle.loop.serving.presence import Presence
from bucle.loop.workspace import Workspace
from bucle.serve.counts import Counts, total
from bucle.store.files import write_whole

__all__ = ["Refusals", "refused_lately"]

_WEEK = 7


class Refusals(Struct, frozen=True, kw_only=True):
    """What servers answered and refused since a day; `refused` is by column and reason."""

    since: str
    answered: int
    refused: dict[str, dict[str, int]]


class _Snapshot(Struct, frozen=True, kw_only=True):
    """What had been counted at the first look of a day; `refused` is by reason and column."""

    day: str
    answered: int
    refused: dict[str, int]


class _Kept(Struct, frozen=True, kw_only=True):
    digest: str
    days: tuple[_Snapshot, ...]


def refused_lately(workspace: Workspace, *, now: datetime) -> Refusals:
    """Return what servers refused in the last seven days or so, or since they began.

    It goes back to the latest look that is a week old. Without one, also where nothing can be kept,
    all counts since servers began are taken.
    """
    today = now.astimezone(UTC).date()
    counts = total(Counts(), workspace.home / "serve")
    answered = sum(
        count for name, count in counts.predictions.items() if not name.endswith("\tshadow")
    )
    present = _Snapshot(day=str(today), answered=answered, refused=dict(counts.refusals))
    path = workspace.home / "watch" / "refused.json"
    known = _read(path)
    if present.refused or known:
        _keep(path, known, present)
    first = _week_ago(known, present)
    if first is None:
        began = _began(workspace) or present.day
        return Refusals(since=began, answered=answered, refused=_by_column(present.refused, {}))
    return Refusals(
        since=first.day,
        answered=answered - first.answered,
        refused=_by_column(present.refused, first.refused),
    )


def _week_ago(known: Sequence[_Snapshot], present: _Snapshot) -> _Snapshot | None:
    """Return the latest snapshot that is a week old, if the same servers have counted since."""
    limit = str(date.fromisoformat(present.day) - timedelta(days=_WEEK))
    later = present
    for one in reversed(known):
        if one.day >= present.day:
            continue
        if not _is_before(one, later):
            return None
        if one.day <= limit:
            return one
        later = one
    return None


def _is_before(one: _Snapshot, later: _Snapshot) -> bool:
    """Tell whether counts only grew from one to the other; servers that begin anew start at 0."""
    return one.answered <= later.answered and all(
        count <= later.refused.get(name, 0) for name, count in one.refused.items()
    )


def _by_column(refused: Mapping[str, int], before: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what was refused since, by column and reason."""
    found: dict[str, dict[str, int]] = {}
    for name, count in sorted(refused.items()):
        fresh = count - before.get(name, 0)
        if fresh:
            reason, _, column = name.partition("\t")
            found.setdefault(column or "rows", {})[reason] = fresh
    return found


def _keep(path: Path, known: Sequence[_Snapshot], present: _Snapshot) -> None:
    """Keep the first snapshot of each day of the last week, and the latest one before it."""
    if known and known[-1].day >= present.day:
        return
    limit = str(date.fromisoformat(present.day) - timedelta(days=_WEEK))
    older = [one for one in known if one.day <= limit][-1:]
    days = (*older, *(one for one in known if one.day > limit), present)
    plain = msgspec.to_builtins(days)
    try:
        write_whole(path, canonical_json({"days": plain, "digest": digest_json(plain)}))
    except (BucleError, OSError):
        return


def _read(path: Path) -> tuple[_Snapshot, ...]:
    """Return what was kept; nothing where it is missing or not what was written."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return ()
    return kept.days if digest_json(msgspec.to_builtins(kept.days)) == kept.digest else ()


def _began(workspace: Workspace) -> str | None:
    """Return the day since which servers count, as their notes say."""
    found: list[str] = []
    for path in (workspace.home / "serve").glob("server-*.json"):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Presence).since[:10])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
    return min(found, default=None)
