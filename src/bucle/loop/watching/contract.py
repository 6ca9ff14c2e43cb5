"""The contract layer of a project: whether rows come in time, in number and in form.

Reads the additions on record, when answers were given, and what servers have counted. Imports
polars and numpy.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from bucle.grammar import say_count, say_hours
from bucle.loop.refusals import refused_lately
from bucle.loop.state import State
from bucle.loop.watching.datasets import refused_files, watch_data
from bucle.loop.watching.watched import Alarm, ContractLayer
from bucle.loop.workspace import Workspace
from bucle.watch.contract import (
    Breach,
    VolumeDay,
    is_larger_share,
    judge_gap,
    judge_volume,
    volume_breach,
)
from bucle.watch.examples import Example
from bucle.watch.forbidden import Forbidden

__all__ = ["contract_alarms", "watch_contract"]

_PARTS = 4
_RECENT = 3
_GAP_DAYS = 56
_EXAMPLES = 3
_EPOCH = date(1970, 1, 1)


def watch_contract(
    workspace: Workspace,
    state: State,
    index: pl.DataFrame,
    *,
    forbidden: Mapping[int, tuple[Forbidden, ...]],
    now: datetime,
    level: float,
) -> ContractLayer:
    """Judge datasets and answers.

    Args:
        workspace: The project.
        state: What is on record.
        index: `id`, `at` and `model` of the answers of the last days, today's as well.
        forbidden: What the contract forbids in answered rows, by day.
        now: The moment of the look.
        level: The chance of any false finding at one look.
    """
    part = level / _PARTS
    records = [
        record for record in state.datasets.values() if record.name in workspace.charter.data
    ]
    data = watch_data(workspace, records, now=now, level=part)
    judged, unknown = list(data.judged), list(data.unknown)
    breaches = [*refused_files(state.refused), *data.breaches, *_forbidden(forbidden, now=now)]
    volume = _volume(index, now=now, level=part)
    if volume and volume[-1].expected is not None:
        judged.append("volume of predictions")
        found = volume_breach(volume)
        breaches += [found] if found else []
    else:
        unknown.append("volume of predictions: too few whole days")
    fresh = _freshness(index, now=now, level=part)
    if fresh is None:
        unknown.append("freshness of predictions: too few days")
    else:
        judged.append("freshness of predictions")
        breaches += fresh
    breaches += _refused(workspace, _usual(state), now=now, level=part)
    return ContractLayer(
        judged=tuple(judged),
        breaches=tuple(breaches),
        volume=volume,
        unknown=tuple(unknown),
    )


def contract_alarms(layer: ContractLayer) -> tuple[Alarm, ...]:
    """Return one alarm for each breach."""
    return tuple(
        Alarm(
            layer="contract",
            subject=f"{one.subject}: {one.kind}",
            since=one.since,
            why=one.why,
            examples=one.examples,
        )
        for one in layer.breaches
    )


def _usual(state: State) -> tuple[int, int]:
    """Return how many of the rows ever offered breached the contract, and how many there were."""
    facts = [one.fact for record in state.datasets.values() for one in record.additions]
    return sum(fact.quarantined for fact in facts), sum(fact.read for fact in facts)


def _volume(index: pl.DataFrame, *, now: datetime, level: float) -> tuple[VolumeDay, ...]:
    """Judge the whole days after the first one, which may have begun at any hour."""
    if not index.height:
        return ()
    counts = dict(index.group_by(day=pl.col("at").dt.date()).len().iter_rows())
    first, last = min(counts) + timedelta(days=1), now.astimezone(UTC).date() - timedelta(days=1)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    dates = np.asarray([(day - _EPOCH).days for day in days], dtype=np.int64)
    rows = np.asarray([float(counts.get(day, 0)) for day in days])
    return judge_volume(dates, rows, level=level)


def _freshness(index: pl.DataFrame, *, now: datetime, level: float) -> list[Breach] | None:
    """Return whether answers are overdue; None where there is nothing to judge by."""
    if not index.height:
        return None
    gaps = (
        index.select("at")
        .sort("at")
        .with_columns(hours=pl.col("at").diff().dt.total_seconds() / 3600)
        .drop_nulls("hours")
        .group_by(day=pl.col("at").dt.date())
        .agg(pl.col("hours").max())
        .sort("day")
        .tail(_GAP_DAYS)
    )
    last: datetime = index["at"].sort()[-1]
    hours = (now - last).total_seconds() / 3600
    limit = judge_gap(hours, gaps["hours"].to_numpy(), level=level)
    if limit is None:
        return None
    if hours <= limit:
        return []
    return [
        Breach(
            kind="freshness",
            subject="predictions",
            since=str(last.date()),
            found=hours,
            expected=limit,
            unit="hours",
            why=f"no prediction for {say_hours(hours)}; up to {say_hours(limit)} would be usual",
        )
    ]


def _forbidden(days: Mapping[int, tuple[Forbidden, ...]], *, now: datetime) -> list[Breach]:
    """Return what the last three days hold that the contract forbids, by column, and since when."""
    today = (now.astimezone(UTC).date() - _EPOCH).days
    recent = {
        (one.column, one.is_null)
        for day, found in days.items()
        if day >= today - _RECENT
        for one in found
    }
    return [
        _forbidden_in(column, is_null=is_null, days=days, today=today)
        for column, is_null in sorted(recent)
    ]


def _forbidden_in(
    column: str, *, is_null: bool, days: Mapping[int, tuple[Forbidden, ...]], today: int
) -> Breach:
    """Return the breach of one column; it goes back over pauses of two days at most."""
    rows, began = 0, today
    examples: list[Example] = []
    for day in sorted(days, reverse=True):
        own = [one for one in days[day] if (one.column, one.is_null) == (column, is_null)]
        if not own:
            continue
        if began - day > _RECENT:
            break
        began = day
        rows += own[0].rows
        examples += own[0].examples
    what = "null" if is_null else "outside what the contract allows"
    return Breach(
        kind="nulls" if is_null else "ranges",
        subject=column,
        since=str(_EPOCH + timedelta(days=began)),
        found=float(rows),
        expected=0.0,
        unit="rows",
        why=f"{say_count(rows, 'answered row')} with {column} {what}",
        examples=tuple(examples[:_EXAMPLES]),
    )


def _refused(
    workspace: Workspace, usual: tuple[int, int], *, now: datetime, level: float
) -> list[Breach]:
    """Return the columns for which servers refuse more rows than ever breached the contract."""
    lately = refused_lately(workspace, now=now)
    breaches = []
    for column, reasons in lately.refused.items():
        rows = sum(reasons.values())
        whole = lately.answered + rows
        share = level / len(lately.refused)
        if not is_larger_share(rows, whole, others_yes=usual[0], others=usual[1], level=share):
            continue
        ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
        breaches.append(
            Breach(
                kind="refused",
                subject=column,
                since=lately.since,
                found=rows / whole,
                expected=usual[0] / usual[1] if usual[1] else 0.0,
                unit="share",
                why=f"{rows:,} of {whole:,} rows refused for {column}, most as {ordered[0][0]!r}",
                examples=tuple(
                    Example(id=f"{count:,} refused", value=reason)
                    for reason, count in ordered[:_EXAMPLES]
                ),
            )
        )
    return breaches
