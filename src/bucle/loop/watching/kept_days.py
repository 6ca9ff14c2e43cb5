"""Days of answers, each profiled once: what was counted is kept, and read again at the next look.

A day is kept under its package with a digest of which answers it had and of the file itself; one
that another answer was added to, or whose file is damaged, is profiled anew. Imports polars.
"""

import contextlib
from collections.abc import Mapping
from datetime import date, timedelta
from functools import reduce
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from bucle.errors import BucleError
from bucle.ids import canonical_json, digest_json
from bucle.loop.statements import watch_folder
from bucle.loop.watching.sightings import answers_since, days_of, features_of
from bucle.loop.workspace import Workspace
from bucle.models.package import Package
from bucle.models.signature import dtypes_of
from bucle.store.files import write_whole
from bucle.watch.days import Days
from bucle.watch.forbidden import Forbidden, find_forbidden
from bucle.watch.reference import Reference

__all__ = ["Profiled", "profile_answers"]

_FORM = 1
_EPOCH = date(1970, 1, 1)


class Profiled(Struct, frozen=True, kw_only=True, eq=False):
    """Days of answers as sums, and what of them the contract forbids.

    `fresh` is how many of the days were read for this, the others were kept from earlier. `days` is
    None where there are none.
    """

    days: Days | None
    forbidden: Mapping[int, tuple[Forbidden, ...]]
    fresh: int


class _Day(Struct, frozen=True, kw_only=True):
    """One day as it is kept; `answers` is the digest of the answers it was counted from."""

    form: int
    answers: str
    date: int
    rows: float
    counts: tuple[float, ...]
    sums: tuple[float, ...]
    squares: tuple[float, ...]
    forbidden: tuple[Forbidden, ...]


class _Kept(Struct, frozen=True, kw_only=True):
    digest: str
    day: _Day


def profile_answers(
    workspace: Workspace, package: Package, reference: Reference, index: pl.DataFrame
) -> Profiled:
    """Return the sums of each day of answers, reading the rows of those days only that are new.

    Args:
        workspace: The project.
        package: The champion.
        reference: What is measured.
        index: `id`, `at` and `model` of the answers of whole days.
    """
    folder = watch_folder(workspace, package.model) / "days"
    measures = len(reference.measures)
    wanted = _digests(index, package.model)
    kept = {
        day: found
        for day, digest in wanted.items()
        if (found := _read(folder, day, answers=digest, measures=measures)) is not None
    }
    missing = sorted(set(wanted) - set(kept))
    for day in _count(workspace, package, reference, missing, wanted):
        kept[day.date] = day
        _write(folder, day)
    if missing:
        _sweep(folder, before=min(wanted))
    if not kept:
        return Profiled(days=None, forbidden={}, fresh=0)
    ordered = [kept[day] for day in sorted(kept)]
    return Profiled(
        days=reduce(Days.merge, map(_as_days, ordered)),
        forbidden={day.date: day.forbidden for day in ordered if day.forbidden},
        fresh=len(missing),
    )


def _digests(index: pl.DataFrame, model: str) -> dict[int, str]:
    """Return a digest of each day's answers, whatever their order."""
    is_own = pl.when(pl.col("model") == model).then(pl.lit("+")).otherwise(pl.lit("-"))
    days = (
        index.select(
            day=pl.col("at").dt.date().cast(pl.Int32),
            answer=pl.concat_str(pl.col("id"), is_own),
        )
        .group_by("day")
        .agg(pl.col("answer").sort().str.join("\n"))
    )
    return {day: sha256(text.encode()).hexdigest() for day, text in days.iter_rows()}


def _count(
    workspace: Workspace,
    package: Package,
    reference: Reference,
    missing: list[int],
    wanted: Mapping[int, str],
) -> list[_Day]:
    """Profile the days that are not known yet, in one pass over the log from the first of them."""
    if not missing:
        return []
    day = pl.col("at").dt.date().cast(pl.Int32)
    rows = answers_since(workspace, _EPOCH + timedelta(days=missing[0])).filter(day.is_in(missing))
    days = days_of(rows, reference, package.signature, model=package.model)
    dtypes = dtypes_of(package.signature)
    found = []
    for at, number in enumerate(days.dates.tolist()):
        forbidden: tuple[Forbidden, ...] = ()
        if package.rules:
            frame = features_of(rows.filter(day == number), package.signature)
            forbidden = find_forbidden(frame, package.rules, dtypes)
        found.append(
            _Day(
                form=_FORM,
                answers=wanted[number],
                date=number,
                rows=float(days.rows[at]),
                counts=tuple(days.counts[at].tolist()),
                sums=tuple(days.sums[at].tolist()),
                squares=tuple(days.squares[at].tolist()),
                forbidden=forbidden,
            )
        )
    return found


def _as_days(day: _Day) -> Days:
    def row(values: tuple[float, ...]) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        return np.asarray(values, dtype=np.float64)[None, :]

    return Days(
        dates=np.asarray([day.date], dtype=np.int64),
        rows=np.asarray([day.rows], dtype=np.float64),
        counts=row(day.counts),
        sums=row(day.sums),
        squares=row(day.squares),
    )


def _path(folder: Path, day: int) -> Path:
    return folder / f"{_EPOCH + timedelta(days=day)}.json"


def _read(folder: Path, day: int, *, answers: str, measures: int) -> _Day | None:
    """Return a day as it was kept; None where it is missing, damaged, or of other answers."""
    try:
        kept = msgspec.json.decode(_path(folder, day).read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    one = kept.day
    if (one.form, one.answers, one.date, len(one.counts)) != (_FORM, answers, day, measures):
        return None
    return one if digest_json(msgspec.to_builtins(one)) == kept.digest else None


def _write(folder: Path, day: _Day) -> None:
    """Keep a day; where the disk refuses, it is profiled again at the next look."""
    plain = msgspec.to_builtins(day)
    try:
        write_whole(
            _path(folder, day.date), canonical_json({"day": plain, "digest": digest_json(plain)})
        )
    except (BucleError, OSError):
        return


def _sweep(folder: Path, *, before: int) -> None:
    """Remove days that are looked at no more."""
    first = str(_EPOCH + timedelta(days=before))
    for path in folder.glob("*.json"):
        if path.stem < first:
            with contextlib.suppress(OSError):
                path.unlink()
