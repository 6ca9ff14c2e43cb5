"""The input layer of a project: each whole day of answers beside the days the champion was made on.

Imports polars and numpy.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache

import msgspec
import polars as pl
from msgspec import Struct

from bucle.loop.watching.kept_days import profile_answers
from bucle.loop.watching.sightings import answers_since, features_of
from bucle.loop.watching.watched import Alarm, InputLayer
from bucle.loop.workspace import Workspace
from bucle.models.package import Package
from bucle.watch.days import Days
from bucle.watch.examples import pick_examples
from bucle.watch.forbidden import Forbidden
from bucle.watch.inputs import Finding, Look, Visible, look_at_inputs
from bucle.watch.reference import OUTPUT, Reference
from bucle.watch.series import Series, series_of
from bucle.watch.spread import spread_of
from bucle.watch.yardsticks import Kind

__all__ = ["SeenInputs", "input_alarms", "most_telling", "watch_inputs"]

_EPOCH = date(1970, 1, 1)
_MOST_CHANGES = 5
_PAUSE = 2
_SAID: tuple[Kind, ...] = ("mean", "share", "other", "below", "null")


class SeenInputs(Struct, frozen=True, kw_only=True, eq=False):
    """The layer, the days that it was judged from, and what of them the contract forbids.

    `look` judges one of the days, as the look of that day did; `profiled` days were read for this
    one.
    """

    layer: InputLayer
    days: Days | None
    look: Callable[[int], Look]
    forbidden: Mapping[int, tuple[Forbidden, ...]] = {}
    profiled: int = 0

    def series(self, reference: Reference) -> tuple[Series, ...]:
        """Return each measure day by day; nothing where no day was seen."""
        if self.days is None:
            return ()
        known, looks = reference.days, tuple(map(self.look, self.days.dates.tolist()))
        return series_of(spread_of(known), known, self.days, reference.measures, looks=looks)


def watch_inputs(
    workspace: Workspace,
    package: Package,
    reference: Reference,
    index: pl.DataFrame,
    *,
    now: datetime,
    level: float,
) -> SeenInputs:
    """Look at each whole day that the reference does not hold itself.

    Args:
        workspace: The project.
        package: The champion.
        reference: What it was made on.
        index: `id`, `at` and `model` of the answers of the last days.
        now: The moment of the look.
        level: The chance of any false finding at one look.
    """
    known = reference.days
    last = _date(int(known.dates[-1])) if known.dates.size else _EPOCH
    day = pl.col("at").dt.date()
    whole = index.filter((day > last) & (day < now.astimezone(UTC).date()))
    profiled = profile_answers(workspace, package, reference, whole)
    none = InputLayer(date=None, days=0, reference_days=int(known.dates.size))
    days = profiled.days
    if days is None:
        return SeenInputs(layer=none, days=None, look=_unseen)
    spread, measures = spread_of(known), reference.measures

    @cache  # the days before the last one are judged where somebody asks how it was then
    def look(day: int) -> Look:
        return look_at_inputs(spread, known, days, measures, date=day, level=level)

    latest = look(int(days.dates[-1]))
    findings = _explained(workspace, days, look, package, reference)
    layer = InputLayer(
        date=str(_date(latest.date)),
        days=int(days.dates.size),
        reference_days=int(known.dates.size),
        findings=findings,
        since=min((finding.since for finding in findings if finding.since), default=None),
        visible=most_telling(latest.visible, {one.measure.column for one in findings}),
    )
    return SeenInputs(
        layer=layer,
        days=days,
        look=look,
        forbidden=profiled.forbidden,
        profiled=profiled.fresh,
    )


def input_alarms(layer: InputLayer) -> tuple[Alarm, ...]:
    """Return one alarm for each column in which something was found."""
    columns = dict.fromkeys(finding.measure.column for finding in layer.findings)
    found = []
    for column in columns:
        own = [one for one in layer.findings if one.measure.column == column]
        strongest = min(own, key=lambda one: one.p)
        found.append(
            Alarm(
                layer="inputs",
                subject=column,
                since=min(one.since or layer.date or "" for one in own),
                why=_why(strongest, more=len({str(one.measure) for one in own}) - 1),
                examples=strongest.examples,
            )
        )
    return tuple(found)


def _why(finding: Finding, *, more: int) -> str:
    days = "1 day" if finding.span == 1 else f"{finding.span} days"
    others = f", and {more} other measure{'s' if more > 1 else ''}" if more else ""
    return f"{_told(finding)}, over {days}{others}"


def most_telling(seen: Sequence[Visible], named: Collection[str]) -> tuple[Visible, ...]:
    """Return what says most of what could have been found, one measure a column.

    Of a column that is the mean, or the share of its most frequent word: what people ask for first.
    The model's output leads, because every change that matters to its answers moves it. Then come
    the columns that came nearest to a finding: nobody doubts that those which lie where they lay
    are as they were. Where columns were found, only these are shown.
    """
    chosen: dict[str, Visible] = {}
    for one in sorted(seen, key=lambda one: _SAID.index(one.measure.kind)):
        if not named or one.measure.column in named:
            chosen.setdefault(one.measure.column, one)
    ordered = sorted(chosen.values(), key=lambda one: (one.measure.column != OUTPUT, -one.moved))
    return tuple(ordered[:_MOST_CHANGES])


def _told(finding: Finding) -> str:
    """Say what has changed, in words that need no table beside them."""
    measure = finding.measure
    if measure.kind == "mean":
        return f"the mean without extremes was {finding.expected:.4g}, is {finding.found:.4g}"
    which = {
        "below": f"were at most {measure.at:.4g}" if measure.at is not None else "",
        "share": f"were {measure.word!r}",
        "other": "were of the rare values",
        "null": "were empty",
    }[measure.kind]
    return f"{_percent(finding.expected)} {which}, now {_percent(finding.found)}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _explained(
    workspace: Workspace,
    days: Days,
    look: Callable[[int], Look],
    package: Package,
    reference: Reference,
) -> tuple[Finding, ...]:
    """Return the last look's findings with the day they began on and rows that show them."""
    latest = look(int(days.dates[-1]))
    if not latest.findings:
        return ()
    day = _date(latest.date)
    last = answers_since(workspace, day).filter(pl.col("at").dt.date() == day)
    rows = features_of(last, package.signature)
    return tuple(
        msgspec.structs.replace(
            finding,
            since=_since(days, look, finding),
            examples=pick_examples(
                rows,
                finding.measure,
                reference.yardsticks,
                rising=finding.found > finding.expected,
            ),
        )
        for finding in latest.findings
    )


def _since(days: Days, look: Callable[[int], Look], finding: Finding) -> str:
    """Return the day that a measure was first found on, taking two quiet days for a pause."""
    began, quiet = int(days.dates[-1]), 0
    for day in reversed(days.dates.tolist()):
        is_there = any(one.measure == finding.measure for one in look(day).findings)
        quiet = 0 if is_there else quiet + 1
        if quiet > _PAUSE:
            break
        if is_there:
            began = day
    return str(_date(began))


def _unseen(day: int) -> Look:
    """Return what a look at a day without answers finds."""
    return Look(date=day, findings=(), visible=(), spans=())


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)
