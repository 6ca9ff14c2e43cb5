"""Days that were judged before and say something else now: labels came late, or were corrected.

Pure.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

__all__ = ["Restatement", "Statement", "restate", "state_again"]

_MOST = 20


class Statement(Struct, frozen=True, kw_only=True):
    """What a day was when it was judged: when, of how many rows, and their mean loss.

    `corrections` counts labels that were told anew with another value.
    """

    at: str
    rows: int
    labelled: int
    corrections: int
    loss: float


class Restatement(Struct, frozen=True, kw_only=True):
    """A day that has another value than at first: `late` labels came since, `corrected` changed.

    `judged` is when the first value was given, `restated` when the present one was.
    """

    date: str
    judged: str
    restated: str
    before: float
    after: float
    late: int
    corrected: int


def state_again(
    known: Mapping[str, Sequence[Statement]], days: Mapping[str, Statement]
) -> dict[str, tuple[Statement, ...]]:
    """Return the statements of all days, with those added that say something new.

    A day whose rows, labels and corrections are as many as they were keeps its last statement, and
    so does one that is not judged any more, or is now judged as of an earlier moment. Of a day that
    changes again and again the first statement and the last nineteen stay.

    Args:
        known: What was stated before, by day, oldest first.
        days: What is to be stated now.
    """
    found = {day: tuple(statements) for day, statements in known.items()}
    for day, new in days.items():
        before = found.get(day, ())
        if before and (_is_same(before[-1], new) or new.at < before[-1].at):
            continue
        whole = (*before, new)
        found[day] = whole if len(whole) <= _MOST else (whole[0], *whole[1 - _MOST :])
    return dict(sorted(found.items()))


def restate(statements: Mapping[str, Sequence[Statement]]) -> tuple[Restatement, ...]:
    """Return the days whose last statement differs from the first, in their order."""
    return tuple(
        Restatement(
            date=day,
            judged=said[0].at,
            restated=said[-1].at,
            before=said[0].loss,
            after=said[-1].loss,
            late=max(0, said[-1].labelled - said[0].labelled),
            corrected=max(0, said[-1].corrections - said[0].corrections),
        )
        for day, said in sorted(statements.items())
        if len(said) > 1
    )


def _is_same(before: Statement, now: Statement) -> bool:
    """Tell whether two statements rest on the same labels, whenever they were made."""
    counts = (before.rows, before.labelled, before.corrections)
    return counts == (now.rows, now.labelled, now.corrections)
