"""The contract layer of a project's datasets: what quarantine holds back, and when rows last came.

Judged from the additions on record. Imports polars where rows of quarantine are shown.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
from msgspec import Struct

from bucle.clock import from_iso
from bucle.data.quarantine import open_rows
from bucle.errors import BucleError
from bucle.grammar import say_hours
from bucle.loop.refused import Refused, examples_of, say_refused, since_of
from bucle.loop.state import DatasetRecord, VersionRecord
from bucle.loop.workspace import Workspace
from bucle.models.metrics import Floats
from bucle.watch.contract import Breach, is_larger_share, judge_gap
from bucle.watch.days import Days
from bucle.watch.examples import Example, say_value
from bucle.watch.spread import compare, spread_of

__all__ = ["JudgedData", "refused_files", "watch_data"]

_LAST = 60
_EXAMPLES = 3
_LEAST_DAYS = 5
_TESTS = 3
_EPOCH = date(1970, 1, 1)


class JudgedData(Struct, frozen=True, kw_only=True):
    """What was judged of the datasets, what was found, and what could not be judged."""

    judged: tuple[str, ...]
    breaches: tuple[Breach, ...]
    unknown: tuple[str, ...]


class _Share(Struct, frozen=True, kw_only=True):
    """What of one addition counts, of how many rows."""

    at: str
    yes: int
    of: int


def watch_data(
    workspace: Workspace, records: Sequence[DatasetRecord], *, now: datetime, level: float
) -> JudgedData:
    """Judge every dataset's additions: quarantine, values of another type, and how long ago.

    Args:
        workspace: The project.
        records: Its datasets.
        now: The moment of the look.
        level: The chance of any false finding at one look.
    """
    judged: list[str] = []
    breaches: list[Breach] = []
    unknown: list[str] = []
    each = level / max(len(records) * _TESTS, 1)
    for record in records:
        additions = [one for one in record.additions if one.fact.read][-_LAST:]
        if not additions:
            continue
        judged.append(f"quarantine of {record.name}")
        breaches += _quarantine(workspace, record, additions, level=each)
        breaches += _coerced(record, additions, level=each)
        gap = _freshness(record, now=now, level=each)
        if gap is None:
            unknown.append(f"freshness of {record.name}: too few additions")
            continue
        judged.append(f"freshness of {record.name}")
        breaches += gap
    return JudgedData(judged=tuple(judged), breaches=tuple(breaches), unknown=tuple(unknown))


def refused_files(refused: Refused) -> tuple[Breach, ...]:
    """Return one breach for each dataset of which something that came in could not be taken."""
    return tuple(
        Breach(
            kind="schema",
            subject=dataset,
            since=since_of(own),
            found=float(len(own)),
            expected=0.0,
            unit="files",
            why=say_refused(own),
            examples=tuple(Example(id=name, value=words) for name, words in examples_of(own)),
        )
        for dataset, own in refused.items()
    )


def _quarantine(
    workspace: Workspace,
    record: DatasetRecord,
    additions: Sequence[VersionRecord],
    *,
    level: float,
) -> list[Breach]:
    shares = [_Share(at=one.at, yes=one.fact.quarantined, of=one.fact.read) for one in additions]
    found = _judge_shares(shares, level=level)
    if found is None:
        return []
    since, expected = found
    last = shares[-1]
    examples = _held(workspace, record)
    if not examples:
        # Whatever was held back has been corrected since.
        return []
    return [
        Breach(
            kind="quarantine",
            subject=record.name,
            since=since[:10],
            found=last.yes / last.of,
            expected=expected,
            unit="share",
            why=f"{last.yes:,} of {last.of:,} rows offered to {record.name} breach the contract "
            f"({last.yes / last.of:.2%}, usual {expected:.2%})",
            examples=examples,
        )
    ]


def _coerced(
    record: DatasetRecord, additions: Sequence[VersionRecord], *, level: float
) -> list[Breach]:
    """Return the columns whose values are of another type more often than they were."""
    columns = sorted({one.column for one in additions[-1].fact.coerced})
    breaches = []
    for column in columns:
        shares = [
            _Share(
                at=one.at,
                yes=sum(made.count for made in one.fact.coerced if made.column == column),
                of=one.fact.read,
            )
            for one in additions
        ]
        found = _judge_shares(shares, level=level / len(columns))
        if found is None:
            continue
        since, expected = found
        last = shares[-1]
        texts = next(one.examples for one in additions[-1].fact.coerced if one.column == column)
        breaches.append(
            Breach(
                kind="schema",
                subject=f"{record.name}.{column}",
                since=since[:10],
                found=last.yes / last.of,
                expected=expected,
                unit="share",
                why=f"{last.yes:,} of {last.of:,} values of {record.name}.{column} are of another "
                f"type ({last.yes / last.of:.2%}, usual {expected:.2%})",
                examples=tuple(
                    Example(id=f"version {additions[-1].fact.data_version}", value=say_value(text))
                    for text in texts[:_EXAMPLES]
                ),
            )
        )
    return breaches


def _judge_shares(shares: Sequence[_Share], *, level: float) -> tuple[str, float] | None:
    """Return since when the last addition's share is larger than usual, and what is usual.

    None where it is not. Each addition is judged by those before it that were as usual.
    """
    usual: list[_Share] = []
    since: str | None = None
    expected = 0.0
    for one in shares:
        if _is_larger(one, usual, level=level):
            since = since or one.at
        else:
            usual.append(one)
            since = None
        whole = sum(share.of for share in usual)
        expected = sum(share.yes for share in usual) / whole if whole else 0.0
    return None if since is None else (since, expected)


def _is_larger(one: _Share, usual: Sequence[_Share], *, level: float) -> bool:
    """Tell whether rows alone, and days where there are enough, find a share larger."""
    yes, of = sum(share.yes for share in usual), sum(share.of for share in usual)
    if not is_larger_share(one.yes, one.of, others_yes=yes, others=of, level=level):
        return False
    days = _as_days(usual)
    if days.dates.size < _LEAST_DAYS:
        return True
    p = float(compare(spread_of(days), _as_days([one])).p[0])
    return not np.isfinite(p) or p <= level


def _as_days(shares: Sequence[_Share]) -> Days:
    """Return additions as days of rows; those of one day are one."""
    dates = np.asarray([(from_iso(one.at).date() - _EPOCH).days for one in shares], dtype=np.int64)
    days, place = np.unique(dates, return_inverse=True)

    def added(values: Sequence[int]) -> Floats:
        whole = np.bincount(place, weights=np.asarray(values, dtype=np.float64))
        return np.asarray(whole, dtype=np.float64)

    counts = added([one.of for one in shares])[:, None]
    sums = added([one.yes for one in shares])[:, None]
    return Days(dates=days, rows=counts[:, 0], counts=counts, sums=sums, squares=sums)


def _freshness(record: DatasetRecord, *, now: datetime, level: float) -> list[Breach] | None:
    """Return whether new rows are overdue; None where there is nothing to judge by."""
    facts = [(one.at, one.fact) for one in record.additions]
    moments = sorted(
        {from_iso(at) for at, fact in facts if fact.added + fact.changed + fact.removed}
    )
    moments = [moment for moment in moments if moment <= now]
    if not moments:
        return None
    stamps = np.asarray([moment.timestamp() for moment in moments])
    hours = (now - moments[-1]).total_seconds() / 3600
    # The chance is one of a day, and gaps end less often than that.
    limit = judge_gap(hours, np.diff(stamps) / 3600, level=level)
    if limit is None:
        return None
    if hours <= limit:
        return []
    return [
        Breach(
            kind="freshness",
            subject=record.name,
            since=moments[-1].isoformat()[:10],
            found=hours,
            expected=limit,
            unit="hours",
            why=f"no new rows of {record.name} for {say_hours(hours)}; "
            f"up to {say_hours(limit)} would be usual",
        )
    ]


def _held(workspace: Workspace, record: DatasetRecord) -> tuple[Example, ...]:
    """Return the rows that came into quarantine last."""
    try:
        rows = open_rows(workspace.tables, dataset=record.name, version=record.current.version)
    except (BucleError, OSError):
        return ()
    return tuple(
        Example(id=row, value=say_value("; ".join(json.loads(reasons))))
        for row, reasons in rows.tail(_EXAMPLES).select("row", "reasons").iter_rows()
    )
