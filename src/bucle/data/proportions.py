"""Columns that give a target away by arithmetic: a product, a quotient or a fixed ratio.

Pure numerics on one frame. Must not import stores, contracts or models.

Method: relations are sought on logarithms, where a product is a sum, among a few probe rows, and
each candidate is then confirmed on all rows. A relation counts when it holds within the rounding
of the columns involved, or when the target's ratio to it hardly varies while the target does.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["Relation", "find_products", "find_ratios", "numeric_columns"]

_Floats = NDArray[np.float64]

_MIN_ROWS = 30
_PROBES = 64
_MAX_COLUMNS = 500
_COVERAGE = 0.5
_SHARE = 0.95
_LOOSE_MATCH = 0.05
_TIGHT_MATCH = 0.02
_RATIO_TYPICAL = 0.02
_RATIO_SPREAD = 0.25
_RATIO_OF_TARGET = 0.1
_MIN_SPREAD = 0.05
_COARSE = 0.01
_DECIMALS = 6
_GROUP_ROWS = 20


class Relation(Struct, frozen=True, kw_only=True):
    """Columns from which the target follows, and the figures that show it."""

    columns: tuple[str, ...]
    kind: Literal["product", "ratio"]
    evidence: str


def numeric_columns(frame: pl.DataFrame, *, without: Sequence[str] = ()) -> list[str]:
    """Return the names of the number columns, in order."""
    return [
        name
        for name, dtype in frame.schema.items()
        if (dtype.is_numeric() or dtype == pl.Decimal) and name not in without
    ]


def find_ratios(
    frame: pl.DataFrame, *, target: str, columns: Sequence[str], groups: dict[str, pl.Series]
) -> tuple[Relation, ...]:
    """Return the columns whose ratio to the target is near-constant, over all or within groups.

    A column counts when, in the typical row, the ratio is within 2 % of the median of its group
    and, in 9 rows of 10, within 25 % and within a tenth of the target's own spread on the
    logarithmic scale. An honest predictor, however good, scatters more than that.

    Args:
        frame: Rows with a numeric target.
        target: The column predicted.
        columns: Numeric columns to try.
        groups: Labels a row, by the name people know them by; tried beside no grouping.
    """
    found = []
    truth = _floats(frame[target])
    ungrouped: dict[str, pl.Series | None] = {"": None, **groups}
    for name in columns:
        values = _informative(_floats(frame[name]), truth=truth)
        best: tuple[float, str] | None = None
        for label, group in ungrouped.items():
            judged = _ratio_spread(truth, values, group=group)
            if judged is not None and (best is None or judged[0] < 0.5 * best[0]):
                best = (judged[0], _ratio_evidence(name, target, label, *judged))
        if best is not None:
            found.append(Relation(columns=(name,), kind="ratio", evidence=best[1]))
    return tuple(found)


def find_products(
    frame: pl.DataFrame, *, target: str, columns: Sequence[str]
) -> tuple[Relation, ...]:
    """Return pairs of columns whose product or quotient is the target, or a fixed share of it.

    At most 500 columns are paired: those whose size goes most with the size of the target.
    Columns that hardly vary are left out, since a product with them is a ratio.
    """
    truth = _floats(frame[target])
    usable = np.isfinite(truth) & (truth != 0)
    spread = _spread(np.log(np.abs(truth[usable]))) if usable.any() else 0.0
    if usable.sum() < _MIN_ROWS or spread < _MIN_SPREAD:
        return ()
    truth = truth[usable]
    values = {name: _floats(frame[name])[usable] for name in columns}
    names = _paired(values, truth=truth)
    found = []
    for left, right, kind in _candidates(truth, {name: values[name] for name in names}):
        evidence = _confirm(truth, values, left=left, right=right, kind=kind, spread=spread)
        if evidence:
            sign = "×" if kind == "product" else "/"
            words = evidence.replace("TARGET", target)
            found.append(
                Relation(
                    columns=(left, right), kind=kind, evidence=f"{left} {sign} {right} {words}"
                )
            )
    return tuple(found)


def _floats(column: pl.Series) -> _Floats:
    values = column.cast(pl.Float64).to_numpy().astype(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    return values


def _logs(values: _Floats) -> _Floats:
    """Return log |x|, with NaN for nothing and zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.abs(values))
    logs[~np.isfinite(logs)] = np.nan
    return logs


def _spread(logs: _Floats) -> float:
    """Return the half-width around the median that holds 9 values of 10."""
    known = logs[np.isfinite(logs)]
    return float(np.quantile(np.abs(known - np.median(known)), 0.9)) if known.size else 0.0


def _resolution(values: _Floats) -> float:
    """Return the step values are rounded to; 0 for whole numbers and for full precision."""
    known = values[np.isfinite(values)]
    known = known[:: max(1, known.size // 2000)]
    for decimals in range(_DECIMALS):
        scaled = known * 10.0**decimals
        if np.all(np.abs(scaled - np.round(scaled)) <= 1e-7 * np.maximum(1.0, np.abs(scaled))):
            return 10.0**-decimals if decimals else 0.0
    return 0.0


def _informative(values: _Floats, *, truth: _Floats) -> _Floats:
    """Leave out values so small that rounding alone moves them by more than 1 %."""
    coarse = np.abs(values) * _COARSE < _resolution(values) / 2
    fine = np.where(coarse, np.nan, values)
    labelled = np.isfinite(truth) & (truth != 0)
    enough = np.isfinite(fine[labelled]).sum() >= _COVERAGE * max(1, labelled.sum())
    return fine if enough else values


def _ratio_spread(
    truth: _Floats, values: _Floats, *, group: pl.Series | None
) -> tuple[float, float, float, int] | None:
    """Return (spread, typical deviation, target's spread, rows) when the ratio is near-constant."""
    labelled = np.isfinite(truth) & (truth != 0)
    valid = labelled & np.isfinite(values) & (values != 0)
    if group is not None:
        valid &= group.is_not_null().to_numpy()
    rows = pl.DataFrame(
        {
            "ratio": _logs(truth[valid] / values[valid]),
            "level": _logs(truth[valid]),
            "group": group.filter(valid)
            if group is not None
            else pl.repeat(0, int(valid.sum()), eager=True),
            "sign": np.sign(truth[valid]) == np.sign(values[valid]),
        }
    ).filter(pl.len().over("group") >= _GROUP_ROWS)
    if rows.height < max(_MIN_ROWS, _COVERAGE * labelled.sum()):
        return None
    same_sign = float(rows["sign"].mean())  # type: ignore[arg-type]
    if max(same_sign, 1 - same_sign) < _SHARE:
        return None
    own = rows.select(
        (pl.col(name) - pl.col(name).median().over("group")).abs() for name in ("ratio", "level")
    )
    spread, level = (float(np.quantile(own[name].to_numpy(), 0.9)) for name in ("ratio", "level"))
    typical = float(np.median(own["ratio"].to_numpy()))
    tight = typical <= _RATIO_TYPICAL and spread <= min(_RATIO_SPREAD, _RATIO_OF_TARGET * level)
    return (spread, typical, level, rows.height) if tight and level >= _MIN_SPREAD else None


def _ratio_evidence(
    name: str, target: str, group: str, spread: float, typical: float, level: float, rows: int
) -> str:
    within = f" of the same {group}" if group else ""
    return (
        f"{target} / {name} stays within {np.expm1(typical):.2%} of its median in half of the "
        f"{rows:,} rows{within} and within {np.expm1(spread):.1%} in 90 %, while {target} itself "
        f"varies by a factor of {np.exp(level):,.3g}"
    )


def _paired(values: dict[str, _Floats], *, truth: _Floats) -> list[str]:
    """Return the columns worth pairing, in their order."""
    level = _logs(truth)
    worth: dict[str, float] = {}
    for name, column in values.items():
        logs = _logs(column)
        valid = np.isfinite(logs)
        if valid.sum() < max(_MIN_ROWS, _COVERAGE * truth.size):
            continue
        if _spread(logs) < _MIN_SPREAD:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            related = np.corrcoef(logs[valid], level[valid])[0, 1]
        worth[name] = abs(float(related)) if np.isfinite(related) else 0.0
    kept = set(sorted(worth, key=lambda name: -worth[name])[:_MAX_COLUMNS])
    return [name for name in worth if name in kept]


def _candidates(
    truth: _Floats, values: dict[str, _Floats]
) -> Iterator[tuple[str, str, Literal["product", "ratio"]]]:
    """Yield the pairs that fit the probe rows, by their sum or difference of logarithms."""
    names = list(values)
    if len(names) < 2:  # noqa: PLR2004
        return
    probes = np.unique(np.linspace(0, truth.size - 1, _PROBES).astype(int))
    logs = np.vstack([_logs(values[name][probes]) for name in names])
    level = _logs(truth[probes])
    for i, left in enumerate(names):
        for kind, needed in (("product", level - logs[i]), ("ratio", logs[i] - level)):
            gap = logs - needed
            typical = _row_medians(np.abs(gap - _row_medians(gap)[:, None]))
            for j in np.flatnonzero(typical <= _LOOSE_MATCH):
                if (j > i) if kind == "product" else (j != i):
                    yield left, names[j], "product" if kind == "product" else "ratio"


def _row_medians(rows: _Floats) -> _Floats:
    """Return the median of what is known in each row, NaN where nothing is."""
    ordered = np.sort(rows, axis=1)
    counts = np.isfinite(ordered).sum(axis=1)
    last = rows.shape[1] - 1
    low, high = np.clip((counts - 1) // 2, 0, last), np.clip(counts // 2, 0, last)
    at = np.arange(len(rows))
    return np.asarray((ordered[at, low] + ordered[at, high]) / 2, dtype=np.float64)


def _confirm(
    truth: _Floats,
    values: dict[str, _Floats],
    *,
    left: str,
    right: str,
    kind: Literal["product", "ratio"],
    spread: float,
) -> str:
    """Return the evidence on all rows, or nothing when the relation does not hold there."""
    a, b = values[left], values[right]
    valid = np.isfinite(a) & np.isfinite(b) & (a != 0) & (b != 0)
    if valid.sum() < max(_MIN_ROWS, _COVERAGE * truth.size):
        return ""
    a, b, y = a[valid], b[valid], truth[valid]
    implied = a * b if kind == "product" else a / b
    step_a, step_b = _resolution(values[left]) / 2, _resolution(values[right]) / 2
    slack = (
        step_a * np.abs(b) + step_b * np.abs(a)
        if kind == "product"
        else step_a / np.abs(b) + step_b * np.abs(a) / b**2
    )
    whole = bool(np.all(y == np.round(y)))
    slack = slack + (0.5 if whole else _resolution(truth) / 2) + 1e-9 * np.abs(y)
    agree = np.abs(implied - y) <= slack
    telling = float(np.median(slack / np.abs(y))) <= _RATIO_OF_TARGET * min(1.0, spread)
    if telling and agree.mean() >= _SHARE:
        return f"equals TARGET within rounding in {int(agree.sum()):,} of {y.size:,} rows"
    factor = y / implied
    middle = float(np.median(factor))
    if middle == 0:
        return ""
    near = np.abs(factor / middle - 1) <= min(_TIGHT_MATCH, _TIGHT_MATCH * spread)
    if near.mean() < _SHARE:
        return ""
    return f"times {middle:.6g} gives TARGET in {int(near.sum()):,} of {y.size:,} rows"
