"""Screening of a dataset that has no contract: types are inferred once and then kept.

Must not import readers or tables.
"""

import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.data.breaches import Breaches
from bucle.data.casting import cast_column
from bucle.data.inference import infer_types
from bucle.data.keys import ROW_INDEX, settle_keys
from bucle.data.rows import coercion_of
from bucle.data.screened import Screened, storable
from bucle.errors import ContractError, nearest
from bucle.grammar import say_count

__all__ = ["screen_untyped"]


def screen_untyped(
    frame: pl.DataFrame, *, settings: DatasetSettings, before: pl.Schema | None = None
) -> Screened:
    """Bring rows to the types of the version before, or infer them for the first one.

    A value that is not of its column's type becomes null and is reported. Only keys that are
    empty or contradict one another breach, as nothing else was agreed.

    Raises:
        ContractError: A column of the version before is missing.
    """
    if before is None:
        typed, coercions = infer_types(frame, settings=settings)
        notes: list[str] = []
    else:
        _require_columns(frame, before)
        casts = [cast_column(frame[name], kind, settings=settings) for name, kind in before.items()]
        typed = pl.DataFrame([cast.values for cast in casts])
        coercions = tuple(
            coercion_of(cast.values.name, frame[cast.values.name].filter(cast.failed).to_list())
            for cast in casts
            if cast.failed.any()
        ) + tuple(coercion for cast in casts for coercion in cast.coercions)
        notes = [note for cast in casts for note in cast.notes]
        extra = [name for name in frame.columns if name not in before]
        if extra:
            notes.append(f"{say_count(len(extra), 'new column')} not kept: {', '.join(extra[:8])}")
    breaches = Breaches(frame)
    unique = settle_keys(typed.with_row_index(ROW_INDEX), settings=settings, breaches=breaches)
    bad = breaches.frame()
    good = unique.join(bad, left_on=ROW_INDEX, right_on="_index", how="anti", maintain_order="left")
    return Screened(
        good=storable(good.drop(ROW_INDEX)),
        good_index=good[ROW_INDEX],
        bad=bad,
        repeated=typed.height - unique.height,
        coercions=coercions,
        notes=tuple(notes),
    )


def _require_columns(frame: pl.DataFrame, before: pl.Schema) -> None:
    missing = [name for name in before if name not in frame.columns]
    if missing:
        raise ContractError(
            f"Cannot add these rows: column '{missing[0]}' of the current version is missing",
            did_you_mean=nearest(missing[0], frame.columns),
            attempt='contract = "contract.py:Name" to say which columns may be empty',
            code="bucle-132",
        )
