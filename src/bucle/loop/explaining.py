"""By what the last week's rows can be told from those the champion was made on; once a day.

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

__all__ = ["explain_week"]

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
    day is kept until another day is explained.

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
    path = watch_folder(workspace, package.model) / "separation.json"
    kept = _read(path)
    if kept is not None and (kept.day, kept.answers) == (last, rows.height):
        return kept.separation
    frame = features_of(rows, package.signature).with_columns(rows["at"].dt.date().alias(_DAY))
    window = thin_days(code_rows(frame, reference.inputs, time=_DAY))
    found = separate_days(reference.sample, window, reference.inputs)
    _write(path, day=last, answers=rows.height, separation=found)
    return found


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
