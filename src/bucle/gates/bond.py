"""How columns and labels hang together: a plain line through the rows before, and how it holds.

Everything is by rank, so that no magnitude decides: the line foretells where among the labels of
old a row's label will lie. It is learned from the older half of the yardstick and tried on the
newer half, which tells what is usual. Pure numpy.
"""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from bucle.gates.rows import Rows, Span, Spans, spans_of
from bucle.gates.wording import say_amount
from bucle.models.metrics import Floats

__all__ = ["Bond", "bond_of", "find_bias", "own_correlation"]

_LEAST = 75
_SMOOTHING = 10.0
_RIDGE = 1.0
_LEAST_BIAS = 0.1
_SURE = 4.9
_LEFT = 0.3
_LEAST_FACTOR = 1.25


class Bond(Struct, frozen=True, kw_only=True, eq=False):
    """What was foretold of each row, and where its label lies among those of old, by rank.

    `spans` are windows of the rows that the line was not learned from, as places among all.
    `weights` are how each column counts, `half` is how many rows the line was learned from.
    """

    foretold: Floats
    rank: Floats
    spans: Spans
    weights: Mapping[str, Floats]
    half: int

    def correlation(self, span: Span) -> float:
        """Return how closely labels follow what was foretold; 0 where either stands still."""
        return _correlation(self.foretold[span.inside], self.rank[span.inside])

    def order(self, span: Span, label: Floats) -> float:
        """Return how closely the order of a span's labels follows what was foretold."""
        inside = label[span.inside]
        return _correlation(self.foretold[span.inside], _ranks(inside, inside))

    def bias(self, span: Span) -> float:
        """Return by how much labels lie above what was foretold, on average."""
        return float((self.rank[span.inside] - self.foretold[span.inside]).mean())


def bond_of(rows: Rows) -> Bond | None:
    """Learn the bond of rows that all have labels; None where there are too few to tell."""
    half = rows.first // 2
    spans = _moved(spans_of(rows.first - half, rows.size - half), half)
    if half < _LEAST or not spans.fresh:
        return None
    rank = _ranks(rows.label[: rows.first], rows.label)
    foretold, weights = _line(rows, rank, half)
    return Bond(foretold=foretold, rank=rank, spans=spans, weights=weights, half=half)


def own_correlation(rows: Rows, span: Span) -> float:
    """Return how closely labels of a span follow a line that the span alone has taught.

    Every other row teaches and the others are foretold, then the other way round: of labels that
    have nothing to do with the columns no line knows anything.
    """
    places = np.arange(span.start, span.stop)
    found = []
    for first in (0, 1):
        order = np.concatenate([places[first::2], places[1 - first :: 2]])
        half = places[first::2].size
        part = rows.chosen(order, first=half)
        rank = _ranks(part.label[:half], part.label)
        foretold, _ = _line(part, rank, half)
        found.append(_correlation(foretold[half:], rank[half:]))
    return float(np.mean(found))


def _line(rows: Rows, rank: Floats, half: int) -> tuple[Floats, dict[str, Floats]]:
    """Learn ranks of labels from the first rows; return what is foretold of all, and by what."""
    parts = {name: _terms(rows, name, rank, half) for name in rows.columns}
    table = np.column_stack([np.ones(rows.size), *parts.values()])
    known = table[:half]
    weights = np.linalg.solve(
        known.T @ known + _RIDGE * np.eye(table.shape[1]), known.T @ rank[:half]
    )
    widths = np.cumsum([1, *(part.shape[1] for part in parts.values())])
    return np.asarray(table @ weights, dtype=np.float64), {
        name: np.asarray(weights[start:stop], dtype=np.float64)
        for name, start, stop in zip(parts, widths[:-1], widths[1:], strict=True)
    }


def find_bias(rows: Rows, bond: Bond) -> str | None:
    """Return in words which column seems to be in another unit, if one does.

    What is foretold then lies beside the labels, by more than it ever did, and comes right again
    when the column is brought back to the middle that it had.
    """
    spans = bond.spans.before
    usual = np.asarray([bond.bias(span) for span in spans])
    left = (bond.rank - bond.foretold)[spans[-1].start : spans[0].stop]
    chance = float(left.var(ddof=1))
    between = max(0.0, float(usual.var(ddof=1)) - chance / spans[0].rows)
    for span in bond.spans.fresh:
        off = bond.bias(span) - float(usual.mean())
        if abs(off) <= max(_LEAST_BIAS, _SURE * float(np.sqrt(between + chance / span.rows))):
            continue
        for name in filter(rows.is_number, rows.columns):
            factor = _factor(rows.columns[name], span)
            if factor is None:
                continue
            scaled = np.where(
                np.arange(rows.size) >= span.start, rows.columns[name] * factor, rows.columns[name]
            )
            moved = (
                _number_terms(scaled, bond.half) - _number_terms(rows.columns[name], bond.half)
            )[span.inside] @ bond.weights[name]
            if abs(off - float(moved.mean())) <= _LEFT * abs(off):
                return (
                    f"{name} is {say_amount(1 / factor)} times what it was in the middle of "
                    f"{span.rows:,} rows since {rows.day(span.start)}, as in another unit: the "
                    "labels fit as before when it is brought back"
                )
    return None


def _correlation(one: Floats, other: Floats) -> float:
    if one.std() < 1e-9 or other.std() < 1e-9:  # noqa: PLR2004  (nothing but rounding)
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _factor(values: Floats, span: Span) -> float | None:
    """Return what brings a column back to its earlier middle; None where it is about there."""
    was, now = values[span.earlier], values[span.inside]
    was, now = was[np.isfinite(was)], now[np.isfinite(now)]
    if not was.size or not now.size:
        return None
    before, after = float(np.median(was)), float(np.median(now))
    if before * after <= 0:
        return None
    factor = before / after
    return factor if max(factor, 1 / factor) >= _LEAST_FACTOR else None


def _terms(rows: Rows, name: str, rank: Floats, half: int) -> Floats:
    if rows.is_number(name):
        return _number_terms(rows.columns[name], half)
    codes = rows.codes(name) + 1
    size = int(codes.max()) + 1
    count = np.bincount(codes[:half], minlength=size)
    total = np.bincount(codes[:half], weights=rank[:half], minlength=size)
    # A word that is rare, or new, says little: it is drawn in to the middle.
    usual = (total + _SMOOTHING / 2) / (count + _SMOOTHING) - 0.5
    return np.asarray(usual[codes][:, None], dtype=np.float64)


def _number_terms(values: Floats, half: int) -> Floats:
    known = np.isfinite(values)
    place = np.where(known, _ranks(values[:half][known[:half]], values) - 0.5, 0.0)
    return np.column_stack([place, place**2, ~known])


def _ranks(yardstick: Floats, values: Floats) -> Floats:
    """Return where values lie among those of a yardstick, from 0 to 1; ties in their middle."""
    if not yardstick.size:
        return np.full(values.size, 0.5)
    known = np.sort(yardstick)
    low, high = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
    return np.asarray((low + high) / (2 * known.size), dtype=np.float64)


def _moved(spans: Spans, by: int) -> Spans:
    def move(span: Span) -> Span:
        return Span(span.since + by, span.start + by, span.stop + by, span.part)

    return Spans(tuple(map(move, spans.before)), tuple(map(move, spans.fresh)))
