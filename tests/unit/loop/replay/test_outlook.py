"""What can be seen at one moment: nothing that came later, and what was there rightly reckoned."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from paper import ROWS, Paper, at_week, paper_scale

from bucle.charter.metrics import as_loss
from bucle.errors import BucleError
from bucle.loop.looks import Looks
from bucle.loop.replay.outlook import Outlook, Window
from bucle.loop.ripeness import usual_wait
from bucle.serve.records import PredictionIds


def look(number, **paper):
    outlook = Outlook(Paper(**paper), paper_scale())
    outlook.move(number)
    return outlook


def made(outlook, week, *, whole=True):
    find = outlook.archive.whole if whole else outlook.archive.cut
    return outlook.learned(find(week, "expanding"))


def test_only_labels_that_had_come_are_seen() -> None:
    outlook = look(3)
    assert outlook.now == at_week(3)
    assert np.isfinite(outlook.known.labels).sum() == 4 * ROWS
    outlook.move(4)
    assert np.isfinite(outlook.known.labels).sum() == 5 * ROWS


def test_a_challenger_that_is_nearer_passes_and_one_that_is_not_does_not() -> None:
    outlook = look(6)
    old, new = made(outlook, 0), made(outlook, 6, whole=False)
    assert outlook.judge(new, old).outcome == "pass"
    assert outlook.judge(old, new).outcome != "pass"
    # Rows of weeks 3 and 4: newer than what either learned from, and labelled by then. The first
    # row of week 3 came a second before the training's end.
    assert outlook.judge(new, old).rows == 2 * ROWS - 1


def test_a_verdict_on_the_same_two_is_worked_out_once() -> None:
    outlook = look(6)
    old, new = made(outlook, 0), made(outlook, 6, whole=False)
    assert outlook.judge(new, old) is outlook.judge(new, old)


def test_a_second_look_has_to_be_surer() -> None:
    outlook = look(6)
    old, new = made(outlook, 0), made(outlook, 6, whole=False)
    first, again, beside = (
        next(
            check
            for check in outlook.judge(new, old, looks=looks).checks
            if check.name == "champion"
        )
        for looks in (Looks(), Looks(same=2), Looks(others=20))
    )
    assert first.estimate == again.estimate == beside.estimate
    assert again.low < first.low
    assert beside.low < first.low


def test_a_model_is_validated_on_rows_newer_than_its_training() -> None:
    outlook = look(6)
    assert outlook.validated(made(outlook, 6, whole=False)) == pytest.approx(0.75, abs=0.01)
    assert outlook.validated(made(outlook, 6)) is None


def test_a_window_is_finished_when_its_labels_had_time_to_come() -> None:
    outlook = look(6)
    model = made(outlook, 0)
    # A label takes one to two weeks: whoever was asked last in week 4 has waited for one.
    assert outlook.finished_window(model, since=0) == Window(
        first=1, last=3, rows=3 * ROWS, labelled=3 * ROWS, error=pytest.approx(2.0)
    )
    found = outlook.finished_window(model, since=3)
    assert found is not None
    assert (found.first, found.last, found.error) == (3, 3, pytest.approx(3.0))
    assert outlook.finished_window(model, since=4) is None


def test_how_long_labels_take_is_told_from_those_that_have_come() -> None:
    outlook = look(1)
    assert outlook.usual_wait == timedelta(0)
    outlook.move(3)
    assert timedelta(days=13) < outlook.usual_wait < timedelta(days=14)


def test_how_long_labels_take_is_told_alike_of_a_replay_and_of_a_project_at_work() -> None:
    outlook = look(8)
    paper = outlook.archive
    ids = PredictionIds()
    asked = np.flatnonzero((paper.period >= 0) & np.isfinite(outlook.known.labels))
    told = pl.DataFrame(
        {
            "id": [ids.take(now_ms=int(paper.at[row]) // 1000)[0] for row in asked],
            "at": outlook.known.when[asked],
        }
    ).with_columns(pl.from_epoch("at", "us").dt.replace_time_zone("UTC"))
    assert usual_wait(told, at_week(8)) == outlook.usual_wait


def test_the_column_that_moved_most_is_named() -> None:
    outlook = look(5)
    moved = outlook.distance(made(outlook, 0))
    assert moved is not None
    assert moved[0] > 1.0
    assert moved[1:] == ("size", ROWS)
    calm = look(3).distance(made(outlook, 0))
    assert calm is not None
    assert calm[0] < 0.1


def test_a_gain_counts_only_labels_that_came_since() -> None:
    outlook = look(6)
    old, new = made(outlook, 0), made(outlook, 6, whole=False)
    share, saved, rows = outlook.gain(old, new, since=at_week(5))
    # Those of week 4: the labels of week 3 came as week 5 began.
    assert rows == ROWS
    assert share == pytest.approx(_share(outlook, since=5))
    assert saved > 0
    assert outlook.gain(old, new, since=at_week(6)) is None


def _share(outlook, *, since):
    """Work out the share of the loss that is saved, from the rows themselves."""
    paper = outlook.archive
    known = outlook.known
    mine = (known.when > round(at_week(since).timestamp() * 1e6)) & (
        paper.at >= round(at_week(3).timestamp() * 1e6)
    )
    lost = np.abs(paper.truth[mine] - 10).sum()
    return 1 - np.abs(paper.truth[mine] - 13).sum() / lost


def test_a_refit_is_compared_on_rows_of_its_tested_twin() -> None:
    outlook = look(6)
    tested, refit = made(outlook, 6, whole=False), made(outlook, 3)
    # Both answer 13.
    assert outlook.compare_refit(tested, refit).outcome == "pass"
    assert outlook.compare_refit(tested, made(outlook, 0)).outcome != "pass"


def test_a_model_that_refuses_a_row_that_has_come_is_no_model() -> None:
    assert made(look(6, refusing=[6]), 5).model == "m-5"
    with pytest.raises(BucleError, match="refuses 30 rows"):
        made(look(6, refusing=[5]), 6)


def test_a_score_becomes_a_loss() -> None:
    assert as_loss("mae", 3.0) == 3.0
    assert as_loss("r2", 0.25) == 0.75
