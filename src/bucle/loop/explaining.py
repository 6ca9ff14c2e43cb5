"""By what the last week's rows can be told from those the champion was made on.

Imports polars and numpy; scikit-learn when a day is explained for the first time.
"""

from datetime import date, timedelta
from pathlib import Path

import msgspec
import polars as pl
from msgspec import Struct

from bucle.errors import BucleError
from bucle.ids import canonical_json, digest_json
from bucle.loop.statements import watch_folder
from bucle.loop.watching.sightings import answers_since, features_of
from bucle.loop.workspace import Workspace
from bucle.models.package import Package
from bucle.store.files import write_whole
from bucle.watch.reference import Reference
from bucle.watch.sample import code_rows, thin_days
from bucle.watch.separation import Separation, separate_days

__all__ = ["explain_week", "explained_week", "is_week_due"]

_WEEK = 7
_DAY = "(day)"


class _Kept(Struct, frozen=True, kw_only=True):
    digest: str
    day: str
    answers: int
    separation: Separation | None


def explain_week(
    workspace: Workspace, package: Package, reference: Reference, *, last: str
) -> Separation | None:
    """Return how well the seven days up to one are told from the reference, and by what.

    None where the package keeps no sample of its rows, or there are too few. What was found of a
    day is kept until a later day is explained.

    Args:
        workspace: The project.
        package: The champion.
        reference: What it was made on.
        last: The last of the days.
    """
    if reference.sample is None:
        return None
    end = date.fromisoformat(last)
    rows = answers_since(workspace, end - timedelta(days=_WEEK - 1))
    rows = rows.filter(pl.col("at").dt.date() <= end)
    path = _path(workspace, package)
    kept = _read(path)
    if kept is not None and (kept.day, kept.answers) == (last, rows.height):
        return kept.separation
    frame = features_of(rows, package.signature).with_columns(rows["at"].dt.date().alias(_DAY))
    window = thin_days(code_rows(frame, reference.inputs, time=_DAY))
    before = kept.separation if kept is not None else None
    found = separate_days(reference.sample, window, reference.inputs, before=before)
    # Neither a look at a day of before nor one that has nothing to say takes the place of another.
    if kept is None or kept.separation is None or (found is not None and kept.day <= last):
        _write(path, day=last, answers=rows.height, separation=found)
    return found


def explained_week(workspace: Workspace, package: Package, *, last: str) -> Separation | None:
    """Return what was found last, without looking again; None where a later day was explained."""
    kept = _read(_path(workspace, package))
    return kept.separation if kept is not None and kept.day <= last else None


def is_week_due(workspace: Workspace, package: Package, *, last: str) -> bool:
    """Tell whether no week that ends within seven days of one was explained, by whomever.

    It is read from what is kept, so that a process that begins anew repeats nothing.
    """
    kept = _read(_path(workspace, package))
    if kept is None:
        return True
    passed = date.fromisoformat(last) - date.fromisoformat(kept.day)
    return passed.days >= (_WEEK if kept.separation is not None else 1)


def _path(workspace: Workspace, package: Package) -> Path:
    return watch_folder(workspace, package.model) / "separation.json"


def _read(path: Path) -> _Kept | None:
    """Return what was kept; None where it is missing or not what was written."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return kept if _digest(kept) == kept.digest else None


def _write(path: Path, *, day: str, answers: int, separation: Separation | None) -> None:
    bare = _Kept(digest="", day=day, answers=answers, separation=separation)
    kept = msgspec.structs.replace(bare, digest=_digest(bare))
    try:
        write_whole(path, canonical_json(msgspec.to_builtins(kept)))
    except (BucleError, OSError):
        return


def _digest(kept: _Kept) -> str:
    return digest_json([kept.day, kept.answers, msgspec.to_builtins(kept.separation)])
