"""No group of rows may be shown to be served worse: the gain within each slice.

Pure numpy; the same paired comparison as for all rows, with the error shared by all slices.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.gates.comparison import Rule, finite_or_none
from bucle.gates.evidence import Labels
from bucle.gates.gains import Gain, bound_gain
from bucle.gates.units import number_groups
from bucle.gates.wording import say_percent
from bucle.grammar import say_count
from bucle.models.metrics import Floats
from bucle.types import Check

__all__ = ["check_slices"]

_LEAST_SHARE = 0.05


class _Slice(Struct, frozen=True):
    value: str
    rows: int
    gain: Gain


def check_slices(
    slices: Mapping[str, Labels],
    *,
    champion: Floats,
    challenger: Floats,
    rule: Rule,
    margin: float,
    clusters: NDArray[Any] | None = None,
) -> tuple[Check, ...]:
    """Answer for each column whether any of its slices is shown to lose by the change.

    A slice is a value that at least 5 % of the rows have. It fails when it is shown to lose more
    than the margin; the error is shared by all slices of all columns (Bonferroni), so that many
    slices do not make a false alarm likely. A slice that is too small to judge holds nothing up,
    and is named.

    Args:
        slices: Column name to the value of each row.
        champion: The champion's loss of each row.
        challenger: The challenger's loss of each row.
        rule: How sure in all, and how often one looks.
        margin: Share of a slice's loss that it may lose.
        clusters: Which rows belong together.

    Returns:
        One check a column, with the numbers of the slice that does worst.
    """
    chosen = {column: _choose(labels) for column, labels in slices.items()}
    shared = rule.shared_by(sum(len(found) for found in chosen.values()))
    return tuple(
        _check_column(
            column,
            [
                _Slice(
                    value,
                    int(rows.sum()),
                    bound_gain(
                        champion[rows],
                        challenger[rows],
                        rule=shared,
                        margin=margin,
                        clusters=None if clusters is None else clusters[rows],
                    ),
                )
                for value, rows in found.items()
            ],
            margin,
        )
        for column, found in chosen.items()
    )


def _choose(labels: Labels) -> dict[str, NDArray[np.bool_]]:
    codes, names = number_groups(labels)
    counts = np.bincount(codes, minlength=len(names))
    least = _LEAST_SHARE * codes.size
    return {name: codes == code for code, name in enumerate(names) if counts[code] >= least}


def _check_column(column: str, found: list[_Slice], margin: float) -> Check:
    name = f"slice:{column}"
    judged = [one for one in found if not one.gain.shortage]
    small = ", ".join(one.value for one in found if one.gain.shortage)
    aside = f"; too small to judge: {small}" if small else ""
    if not judged:
        return Check(
            name=name, outcome="pass", limit=-margin, why=f"no slice is large enough{aside}"
        )
    worst = min(judged, key=lambda one: (one.gain.high, one.value))
    losers = [one for one in judged if one.gain.high < one.gain.limit]
    verdict = (
        f"shown to lose more than {say_percent(margin)}: {', '.join(one.value for one in losers)}"
        if losers
        else f"none of {say_count(len(judged), 'slice')} is shown to lose more than "
        f"{say_percent(margin)}"
    )
    return Check(
        name=name,
        outcome="fail" if losers else "pass",
        estimate=finite_or_none(worst.gain.estimate),
        low=finite_or_none(worst.gain.low),
        high=finite_or_none(worst.gain.high),
        limit=worst.gain.limit,
        detectable=worst.gain.detectable,
        why=f"{verdict}; worst is {worst.value} ({say_count(worst.rows, 'row')}, "
        f"{say_percent(worst.gain.estimate, signed=True)}){aside}",
    )
