"""What a model's world looked like when it was made: the days that later ones are judged against.

Kept in its package, so that nothing else is needed to watch it. Imports polars and numpy.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from bucle.errors import PackageError
from bucle.ids import canonical_json
from bucle.models.metrics import Floats
from bucle.watch.days import Days, profile_days
from bucle.watch.estimate import Validated
from bucle.watch.harm import Standard
from bucle.watch.losses import LossForm
from bucle.watch.sample import Sample, code_rows, thin_weeks
from bucle.watch.yardsticks import Measure, Yardstick, measures_of, yardsticks_of

__all__ = ["OUTPUT", "Reference", "make_reference", "reference_bytes", "reference_from_bytes"]

OUTPUT = "(prediction)"
"""What the model's own output is called among the columns."""

_DAYS = 400
_DAY = "_day"
_SAMPLE = "reference-sample.parquet"


class Reference(Struct, frozen=True, kw_only=True, eq=False):
    """What is measured, the days it was measured on, and what the losses were.

    `form` and `standard` are None where there were too few rows to validate on. `bins` are those
    of the rows it has learned from, for `measure_distances`, and `sample` a few of all rows; a
    package of an earlier version has none. `validated` is what rows lost at validation as they are,
    and how wide their intervals were; None in a package of an earlier version.
    """

    yardsticks: tuple[Yardstick, ...]
    days: Days
    form: LossForm | None = None
    standard: Standard | None = None
    bins: dict[str, Any] = {}
    sample: Sample | None = None
    validated: Validated | None = None

    @property
    def inputs(self) -> tuple[Yardstick, ...]:
        """What is measured of the columns that the model takes."""
        return tuple(stick for stick in self.yardsticks if stick.column != OUTPUT)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All measures, in the order of the days' columns."""
        return measures_of(self.yardsticks)


class _Record(Struct, frozen=True, kw_only=True):
    yardsticks: tuple[Yardstick, ...]
    form: LossForm | None
    standard: Standard | None
    bins: dict[str, Any] = {}
    validated: Validated | None = None


def make_reference(
    features: pl.DataFrame,
    days: pl.Series,
    *,
    outputs: Floats,
    output_days: pl.Series,
    form: LossForm | None = None,
    standard: Standard | None = None,
    bins: dict[str, Any] | None = None,
    validated: Validated | None = None,
) -> Reference:
    """Return the reference of a model.

    Args:
        features: Rows as the model takes them, those it has learned from and newer ones.
        days: The day of each of them; the last 400 days count.
        outputs: Predictions of rows that the model had not seen.
        output_days: The day of each of those.
        form: How rows become losses.
        standard: What losses were at validation.
        bins: Those of the rows it has learned from.
        validated: What rows lost at validation, and how wide their intervals were.
    """
    rows = features.with_columns(days.cast(pl.Date).alias(_DAY)).drop_nulls(_DAY)
    latest = rows[_DAY].max()
    if latest is not None:
        rows = rows.filter(pl.col(_DAY) > pl.lit(latest).dt.offset_by(f"-{_DAYS}d"))
    sticks = yardsticks_of(rows.drop(_DAY))
    answers = pl.DataFrame({OUTPUT: outputs, _DAY: output_days.cast(pl.Date)})
    output = yardsticks_of(answers.select(OUTPUT))
    inputs = profile_days(rows, sticks, time=_DAY)
    return Reference(
        yardsticks=(*sticks, *output),
        days=inputs.beside(profile_days(answers, output, time=_DAY)),
        form=form,
        standard=standard,
        bins=bins or {},
        sample=thin_weeks(code_rows(rows, sticks, time=_DAY)),
        validated=validated,
    )


def reference_bytes(reference: Reference) -> dict[str, bytes]:
    """Return a reference as the files that a package keeps."""
    record = _Record(
        yardsticks=reference.yardsticks,
        form=reference.form,
        standard=reference.standard,
        bins=reference.bins,
        validated=reference.validated,
    )
    days = reference.days
    columns: dict[str, Any] = {"day": days.dates, "rows": days.rows}
    for number in range(days.counts.shape[1]):
        columns[f"n{number}"] = days.counts[:, number]
        columns[f"s{number}"] = days.sums[:, number]
        columns[f"q{number}"] = days.squares[:, number]
    found = {
        "reference.json": canonical_json(msgspec.to_builtins(record)),
        "reference.parquet": _parquet(pl.DataFrame(columns)),
    }
    if reference.sample is not None:
        found[_SAMPLE] = _parquet(_sample_frame(reference.sample))
    return found


def reference_from_bytes(files: Mapping[str, bytes]) -> Reference:
    """Read a reference back.

    Raises:
        PackageError: A file cannot be read, or the two do not fit together.
    """
    try:
        record = msgspec.json.decode(files["reference.json"], type=_Record)
        frame = pl.read_parquet(BytesIO(files["reference.parquet"]))
        count = len(measures_of(record.yardsticks))

        def matrix(letter: str) -> Floats:
            names = [f"{letter}{number}" for number in range(count)]
            return np.asarray(frame.select(names).to_numpy(), dtype=np.float64)

        days = Days(
            dates=frame["day"].cast(pl.Int64).to_numpy(),
            rows=frame["rows"].cast(pl.Float64).to_numpy(),
            counts=matrix("n"),
            sums=matrix("s"),
            squares=matrix("q"),
        )
        inputs = sum(stick.column != OUTPUT for stick in record.yardsticks)
        sample = _sample_of(files.get(_SAMPLE), inputs)
    except (KeyError, msgspec.DecodeError, pl.exceptions.PolarsError) as error:
        raise PackageError(
            "Cannot read the reference of a package",
            cause=str(error)[:200],
            attempt="bucle run",
            code="bucle-380",
        ) from error
    return Reference(
        yardsticks=record.yardsticks,
        days=days,
        form=record.form,
        standard=record.standard,
        bins=record.bins,
        sample=sample,
        validated=record.validated,
    )


def _parquet(frame: pl.DataFrame) -> bytes:
    content = BytesIO()
    frame.write_parquet(content, compression="zstd", statistics=False)
    return content.getvalue()


def _sample_frame(sample: Sample) -> pl.DataFrame:
    """Return a sample as a frame; its values are whole numbers that single precision holds."""
    columns: dict[str, Any] = {"day": sample.dates}
    for number in range(sample.values.shape[1]):
        columns[f"c{number}"] = sample.values[:, number].astype(np.float32)
    return pl.DataFrame(columns)


def _sample_of(content: bytes | None, columns: int) -> Sample | None:
    if content is None:
        return None
    frame = pl.read_parquet(BytesIO(content))
    values = frame.select([f"c{number}" for number in range(columns)]).to_numpy()
    return Sample(
        values=np.asarray(values, dtype=np.float64),
        dates=frame["day"].cast(pl.Int64).to_numpy(),
    )
