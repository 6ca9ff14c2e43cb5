"""Built-in steps that open the one door to data: where training ends, and what was known when.

They run in a worker; each returns one artifact. Frames come from a table at the version that the
log names, never from its latest one, and only when their content is what the log says.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.clock import from_iso, to_iso
from bucle.data.recorded import read_recorded
from bucle.data.views import as_of, view_pair
from bucle.errors import PipelineError, RequestError
from bucle.store.delta_tables import DeltaTables
from bucle.types import DataVersion

__all__ = ["find_cut", "keep_newer", "take_view"]


def find_cut(
    *,
    tables: str,
    version: dict[str, Any],
    settings: dict[str, Any],
    holdout: float,
    moment: str | None,
    seed: int,
    since: str | None = None,
) -> dict[str, Any]:
    """Say where training ends and judging begins, with what cannot be promised.

    Returns:
        `cut` and `end` as ISO 8601 in UTC or None, and `warnings`.
    """
    recorded = msgspec.convert(version, DataVersion)
    frame = read_recorded(DeltaTables(Path(tables)), recorded)
    rules = msgspec.convert(settings, DatasetSettings)
    frame = _from(frame, rules, since)
    views = view_pair(frame, rules, holdout=holdout, moment=moment, seed=seed)
    if moment is not None and since is not None and not views.newer.height:
        raise RequestError(
            f"Cannot learn from the last of {recorded.dataset}: no row since {since[:10]} is known",
            cause="the window of [retrain] holds nothing: the newest rows are older than that",
            attempt='newer rows, or retrain.window = "expanding"',
            code="bucle-242",
        )
    if moment is not None and not views.newer.height:
        raise RequestError(
            f"Cannot run as of {moment[:10]}: no row of {recorded.dataset} was known then",
            attempt=f"a later moment; bucle data show {recorded.dataset} shows its times",
            code="bucle-239",
        )
    end = views.end or _latest_time(views.newer, rules)
    return {
        "cut": to_iso(views.cut) if views.cut else None,
        "end": to_iso(end) if end else None,
        "train_rows": views.train.height,
        "newer_rows": views.newer.height,
        "warnings": list(views.warnings),
    }


def take_view(
    *,
    tables: str,
    version: dict[str, Any],
    settings: dict[str, Any],
    part: str,
    cut: str | None,
    moment: str | None,
    holdout: float,
    seed: int,
    since: str | None = None,
) -> pl.DataFrame:
    """Return what a pipeline may see of a dataset.

    Args:
        tables: The folder of tables.
        version: The dataset's version as the log has it.
        settings: `[data.NAME]` as JSON values.
        part: `train` (known at the cut), `newer` (known at the moment) or `all`.
        cut: Where training ends; None when rows carry no event time.
        moment: The present of this run; None for all that is known.
        holdout: The share kept for judging where rows carry no event time.
        seed: Of the split where rows carry no event time.
        since: Rows from before this moment are left out; None for none.
    """
    rules = msgspec.convert(settings, DatasetSettings)
    whole = read_recorded(DeltaTables(Path(tables)), msgspec.convert(version, DataVersion))
    frame = _from(whole, rules, since)
    if part == "all":
        return as_of(frame, moment if rules.event_time else None, rules)
    if rules.event_time is not None and cut is not None:
        return as_of(frame, cut if part == "train" else moment, rules)
    if not rules.label:
        # A table without times and labels, such as a list of brands: it belongs to both parts.
        return as_of(frame, None, rules)
    views = view_pair(frame, rules, holdout=holdout, moment=moment, seed=seed)
    return views.train if part == "train" else views.newer


def keep_newer(value: Any, *, event_time: str | None, cut: str | None) -> Any:
    """Keep the rows that training has not seen; what has no event times stays whole.

    Raises:
        PipelineError: A step has made something else than moments of the event time.
    """
    if not isinstance(value, pl.DataFrame) or event_time not in value.columns or cut is None:
        return value
    frame = value
    return frame.filter(_moments(frame, event_time) >= from_iso(cut))


def _from(frame: pl.DataFrame, settings: DatasetSettings, since: str | None) -> pl.DataFrame:
    if since is None or settings.event_time is None:
        return frame
    return frame.filter(_moments(frame, settings.event_time) >= from_iso(since))


def _moments(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column of dates or times as moments in UTC."""
    dtype = frame.schema[name]
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.col(name).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if isinstance(dtype, pl.Date | pl.Datetime | pl.Null):
        return pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    raise PipelineError(
        f"Cannot tell which rows training has seen: column {name!r} holds {dtype}",
        cause="it is the event time, and a step has made something else of it",
        attempt="another name for the new column",
        code="bucle-231",
    )


def _latest_time(frame: pl.DataFrame, settings: DatasetSettings) -> datetime | None:
    """Return the last moment that the data itself knows of: the present of a run without one."""
    names = [name for name in (settings.event_time, settings.label_time) if name]
    found = [frame.select(_moments(frame, name).max()).item() for name in names]
    return max((moment for moment in found if isinstance(moment, datetime)), default=None)
