"""A replay never looks ahead: what comes after a moment changes nothing that was there by it."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from replays import KINDS, START, draw_rows, known_by, poison, walked_through, write_project

from bucle.clock import from_iso, to_iso
from bucle.data import views
from bucle.loop.replay import archive, history, rehearsal, survey
from bucle.loop.replay.replay import ReplayRequest

pytestmark = pytest.mark.thorough

REQUEST = ReplayRequest(
    start=to_iso(START),
    period="1w",
    policies=("never", "every:1w", "performance:+5%", "drift", "gain"),
    gates=("none", "referee", "referee+refit"),
)
WEEK = timedelta(days=7)

moments = st.integers(0, 24 * 20).map(lambda hours: START + timedelta(hours=hours))
windows = st.sampled_from(["expanding", "last:3w"])


def compare(
    kind: str, at: datetime, seed: int, *, rows_from: datetime, window: str = "expanding"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what two replays knew by a moment, of histories that part at it."""
    rows = draw_rows(seed)
    other = poison(rows, at, seed + 1, rows_from=rows_from, late=kind != "at once")
    request = replace(REQUEST, windows=(window,))
    found = []
    with tempfile.TemporaryDirectory(prefix="bucle-replay-") as folder:
        for name, content in (("clean", rows), ("poisoned", other)):
            project = write_project(Path(folder) / name, content, kind=kind)
            with walked_through(project, request) as walked:
                found.append(known_by(walked, at, rows_to=rows_from))
    return found[0], found[1]


def check(kind: str, at: datetime, seed: int, window: str, *, whole_period: bool) -> None:
    """Let histories part at a moment: their labels there, their rows there or with the period."""
    ends = START + ((at - START) // WEEK + 1) * WEEK
    rows_from = ends if whole_period else at
    assert_same(*compare(kind, at, seed, rows_from=rows_from, window=window))


def assert_same(clean: dict[str, Any], poisoned: dict[str, Any]) -> None:
    for part, known in clean.items():
        assert poisoned[part] == known, part


# Shrinking replays takes minutes and a seed says all.
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
DRAWN = {
    "at": moments,
    "seed": st.integers(0, 10_000),
    "window": windows,
    "whole_period": st.booleans(),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=3, phases=WITHOUT_SHRINKING)
@given(**DRAWN)
def test_what_comes_later_changes_no_bit_of_what_was_before(
    kind: str, at: datetime, seed: int, window: str, whole_period: bool
) -> None:
    check(kind, at, seed, window, whole_period=whole_period)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, phases=WITHOUT_SHRINKING)
@given(**DRAWN)
def test_sixty_futures_change_no_bit_of_what_was_before(
    kind: str, at: datetime, seed: int, window: str, whole_period: bool
) -> None:
    check(kind, at, seed, window, whole_period=whole_period)


def see_later_labels(patch: pytest.MonkeyPatch) -> None:
    """Ask with the labels that came while a period went on."""
    patch.setattr(
        history, "as_asked", lambda rows, _start, end, known: views.as_of(rows, end, known)
    )


def see_later_rows(patch: pytest.MonkeyPatch) -> None:
    """Make the examples of a period of all rows that history will ever have."""
    honest = rehearsal.ask

    def ask(*, end, **others):
        found = honest(end="2099-01-01", **others)
        return found.filter(pl.from_epoch("_at", "us").dt.replace_time_zone("UTC") < from_iso(end))

    patch.setattr(rehearsal, "ask", ask)


def train_on_later_labels(patch: pytest.MonkeyPatch) -> None:
    """Train on what is known in the end of the rows that were there."""
    honest = rehearsal.train

    def all_labels(cook, root, frames, *, moment):
        whole = history._OPEN[next(reversed(history._OPEN))]
        name = cook.primary
        seen = frames[name].select("id").join(whole, on="id", maintain_order="left")
        return honest(cook, root, {**frames, name: seen}, moment=moment)

    patch.setattr(rehearsal, "train", all_labels)


def judge_on_later_labels(patch: pytest.MonkeyPatch) -> None:
    """Judge at each moment by the labels that are known in the end."""
    honest = archive.Archive.known
    patch.setattr(archive.Archive, "known", lambda self, _number: honest(self, None))


def cut_by_later_labels(patch: pytest.MonkeyPatch) -> None:
    """Keep for judging a share of the labels that there will be in the end."""
    honest = survey.cut_time

    def late(rows, known, **others):
        return honest(rows, replace(known, label_time=None), **others)

    patch.setattr(survey, "cut_time", late)


LEAKS = (
    ("history", see_later_labels),
    ("grouping", see_later_rows),
    ("row-wise", train_on_later_labels),
    ("row-wise", judge_on_later_labels),
    ("row-wise", cut_by_later_labels),
)


@pytest.mark.parametrize(("kind", "leak"), LEAKS, ids=lambda one: getattr(one, "__name__", one))
def test_a_view_that_looks_ahead_is_caught(kind, leak, monkeypatch: pytest.MonkeyPatch) -> None:
    at, ends = START + timedelta(days=16, hours=5), START + timedelta(days=21)
    assert_same(*compare(kind, at, 5, rows_from=ends))
    leak(monkeypatch)
    clean, poisoned = compare(kind, at, 5, rows_from=ends)
    with pytest.raises(AssertionError):
        assert_same(clean, poisoned)
