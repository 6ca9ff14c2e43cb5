"""Whether the rows that judge a model are of the world that the champion was made in.

A referee that is handed poisoned labels finds the model that learned from them the better one. So
the rows since the champion's training are laid beside those before, in the order of their time, and
what no honest world does within weeks is named: a label that lies elsewhere, labels that have
nothing to do with the columns any more, a column in another unit, constant or empty, rows that
come twice. Columns that merely drift are left alone, however far. Pure numpy; reads nothing.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from bucle.gates.bond import Bond, bond_of, find_bias, own_correlation
from bucle.gates.rows import Rows, Span, spans_of
from bucle.gates.wording import LIKENESS, say_amount
from bucle.models.metrics import Floats
from bucle.types import Check

__all__ = ["check_likeness", "find_breaks"]

_LABEL_GAP = 0.6
_FACTOR = 3.0
_KS_SURE = 2.69
_KS_USUAL = 1.36
_TWICE = 2.0
_MORE_REPEATED = 0.3
_ALL, _HALF = 0.99, 0.5
_LEAST_BOND = 0.2
_SURE = 4.9
_AS_CLOSELY = 0.75
_ERRORS = 2.0
_LARGE_PARTS = 2
_MOST_TOLD = 3
_ROUND = 0.999


def check_likeness(rows: Rows) -> Check:
    """Say whether the rows since the champion's training are like those before; fail if not.

    It passes where there are too few rows to tell: too few before to know what is usual, or too
    few since.
    """
    breaks = find_breaks(rows)
    if breaks:
        more = f"; and {len(breaks) - _MOST_TOLD} more" if len(breaks) > _MOST_TOLD else ""
        return Check(
            name=LIKENESS,
            outcome="fail",
            why="the rows since the champion's training are unlike those before: "
            + "; ".join(breaks[:_MOST_TOLD])
            + more
            + "; once they are mended the next retrain decides, or a person promotes",
        )
    if not spans_of(rows.first, rows.size).fresh:
        return Check(name=LIKENESS, outcome="pass", why="too few rows to tell what is usual")
    return Check(
        name=LIKENESS,
        outcome="pass",
        why="the rows since the champion's training are not grossly unlike those before",
    )


def find_breaks(rows: Rows) -> tuple[str, ...]:
    """Return in words what changed with the rows that came last, and no honest world changes.

    The yardstick are windows of the rows before, as large as a third to all of the rows since where
    there are enough. One finding a column and kind.
    """
    known = rows.labelled()
    found = [*_repeats(rows), *_label(known), *_bonds(known)]
    for name in rows.columns:
        found += _standstill(rows, name)
    return tuple(found)


def _label(rows: Rows) -> Iterator[str]:
    """Find a label that is one value throughout, or lies elsewhere altogether."""
    spans = spans_of(rows.first, rows.size)
    for span in spans.fresh:
        found = _constant(rows.label, span, spans.before)
        if found is not None:
            yield f"the label is {found}, since {rows.day(span.start)}"
            return
    usual = max((_gap(rows.label, span)[1] for span in spans.before), default=0.0)
    far = []
    for span in spans.fresh:
        gap, excess, sure = _gap(rows.label, span)
        if gap > max(_LABEL_GAP, sure, _TWICE * usual + gap - excess):
            was, now = (float(np.median(rows.label[part])) for part in (span.earlier, span.inside))
            if was * now <= 0 or max(was / now, now / was) >= _FACTOR:
                far.append((gap, was, now, span))
    if far:
        _, was, now, span = max(far, key=lambda one: one[0])
        yield (
            f"the label is {say_amount(now)} in the middle of {span.rows:,} rows since "
            f"{rows.day(span.start)}, and was {say_amount(was)} before"
        )


def _gap(values: Floats, span: Span) -> tuple[float, float, float]:
    """Return how far apart two distributions lie, beyond chance, and by how much none would.

    The distance of Kolmogorov and Smirnov; chance gives at most 1.36 sqrt(1/n + 1/m) in 95 of 100.
    """
    before, inside = np.sort(values[span.earlier]), np.sort(values[span.inside])
    both = np.concatenate([before, inside])
    found = float(
        np.abs(
            np.searchsorted(before, both, side="right") / before.size
            - np.searchsorted(inside, both, side="right") / inside.size
        ).max()
    )
    scale = float(np.sqrt(1 / before.size + 1 / inside.size))
    return found, max(0.0, found - _KS_USUAL * scale), _KS_SURE * scale


def _standstill(rows: Rows, name: str) -> Iterator[str]:
    """Find a column that is one value, or nothing, throughout, and never was for so long."""
    spans = spans_of(rows.first, rows.size)
    values = rows.columns[name]
    gone = np.isnan(values)
    for span in spans.fresh:
        if span.part > _LARGE_PARTS:
            continue
        usual = max(float(gone[one.inside].mean()) for one in spans.before)
        if gone[span.inside].mean() >= _ALL and usual <= _HALF:
            yield (
                f"{name} is empty in {span.rows:,} rows since {rows.day(span.start)}, and was in "
                f"{100 * usual:.0f} % of rows at most"
            )
            return
    for span in spans.fresh:
        if span.part > _LARGE_PARTS:
            continue
        found = _constant(values, span, spans.before)
        if found is not None:
            value = rows.word(name, _middle(values[span.inside])[0])
            yield f"{name} is {found}, since {rows.day(span.start)}: {value}"
            return


def _constant(values: Floats, span: Span, before: Sequence[Span]) -> str | None:
    """Return in words that a span holds one value, where no span before held half so many."""
    _, share, count = _middle(values[span.inside])
    if share < _ALL or count < span.rows / 2:
        return None
    usual = max(_most_frequent(values[one.inside]) for one in before)
    if usual > _HALF:
        return None
    return f"one value in {count:,} rows, where none had more than {100 * usual:.0f} % before"


def _middle(values: Floats) -> tuple[float, float, int]:
    """Return the middle value, which any is that most have, its share, and how many are known."""
    known = values[np.isfinite(values)]
    if not known.size:
        return float("nan"), 0.0, 0
    middle = float(np.partition(known, known.size // 2)[known.size // 2])
    return middle, float((known == middle).mean()), int(known.size)


def _most_frequent(values: Floats) -> float:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0
    return float(np.unique(known, return_counts=True)[1].max()) / known.size


def _repeats(rows: Rows) -> Iterator[str]:
    """Find rows that repeat others far more often than rows do here."""
    spans = spans_of(rows.first, rows.size)
    again = rows.again
    shares = [float(again[one.inside].mean()) for one in spans.before]
    if not shares:
        return
    low, high = min(shares), max(shares)
    shown = []
    for span in spans.fresh:
        share = float(again[span.inside].mean())
        chance = _SURE * float(np.sqrt(max(high * (1 - high), 1 / span.rows) / span.rows))
        if share - high > max(_MORE_REPEATED, chance, _TWICE * (high - low)):
            shown.append((share, span))
    if shown:
        share, span = max(shown, key=lambda one: one[0])
        yield (
            f"{100 * share:.0f} % of {span.rows:,} rows since {rows.day(span.start)} repeat "
            f"other rows, where at most {100 * high:.0f} % did before"
        )


def _bonds(rows: Rows) -> Iterator[str]:
    """Find labels that the columns have nothing to say of any more, or a column in another unit."""
    bond = bond_of(rows)
    if bond is None:
        return
    found = next(_broken(rows, bond), None)
    if found is None:
        found = find_bias(rows, bond)
    if found is not None:
        yield found


def _broken(rows: Rows, bond: Bond) -> Iterator[str]:
    """Find labels that follow what the columns foretell by half as much as ever, at best.

    By Fisher's transformation, with the spread there was between windows beyond chance.
    """
    spans = bond.spans.before
    usual = np.arctanh([_within(bond.correlation(span)) for span in spans])
    middle = float(usual.mean())
    between = max(0.0, float(usual.var(ddof=1)) - 1 / (spans[0].rows - 3))
    if np.tanh(middle) < _LEAST_BOND:
        return
    loose = []
    for span in bond.spans.fresh:
        found = bond.correlation(span)
        error = float(np.sqrt(between + 1 / (span.rows - 3)))
        if found >= np.tanh(middle) / 2 or middle - np.arctanh(_within(found)) <= _SURE * error:
            continue
        if not _has_turned(rows, bond, span, usual=float(np.tanh(middle))):
            loose.append((found, span))
    if loose:
        found, span = min(loose, key=lambda one: one[0])
        yield (
            f"the columns foretell the label no more since {rows.day(span.start)}: a correlation "
            f"of {found:.2f} in {span.rows:,} rows, where it was {np.tanh(middle):.2f} before"
        )


def _has_turned(rows: Rows, bond: Bond, span: Span, *, usual: float) -> bool:
    """Tell whether labels follow the columns as closely as ever, by another rule than before.

    That is how customers turn to something else. Labels of other rows follow nothing; those turned
    upside down follow the old rule, the wrong way round.
    """
    # By their order among themselves: labels that all lie high have no order among those of old.
    if bond.order(span, rows.label) < -usual / 2:
        return False
    own = own_correlation(rows, span)
    surely = np.tanh(np.arctanh(_within(own)) - _ERRORS / np.sqrt(span.rows - 3))
    return own > _AS_CLOSELY * usual and float(surely) > usual / 2


def _within(correlation: float) -> float:
    """Return a correlation that has a finite transform."""
    return min(max(correlation, -_ROUND), _ROUND)
