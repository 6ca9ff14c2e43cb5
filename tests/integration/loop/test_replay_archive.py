"""The archive of a replay: each training set makes one model, whoever asks from when on."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from replays import START, draw_rows, walked_through, write_project

from bucle.clock import to_iso
from bucle.errors import BucleError
from bucle.loop.replay.replay import ReplayRequest

REQUEST = ReplayRequest(
    start=to_iso(START), period="1w", policies=("never", "every:2w"), gates=("none",)
)


def test_a_training_set_asked_from_two_moments_is_one_model_with_two_sets_of_answers(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path / "small", draw_rows(3, count=6000), kind="row-wise")
    with walked_through(project, REQUEST) as walked:
        archive = walked.archive
        early = archive.whole(2, "expanding")
        late = replace(early, asked_from=early.moment)
        assert early.asked_from < late.asked_from
        first = archive.learned(early)
        distinct, trained = archive.distinct, archive.trained
        second = archive.learned(late)
        assert second.model == first.model
        assert (archive.distinct, archive.trained) == (distinct, trained)
        before, after = archive.predictions(first), archive.predictions(second)
        assert np.isfinite(before).sum() > np.isfinite(after).sum() > 0
        both = np.isfinite(after)
        assert before[both].tobytes() == after[both].tobytes()
        assert archive.failures == ()


def test_what_is_trained_now_is_known_the_next_time(tmp_path: Path) -> None:
    project = write_project(tmp_path / "small", draw_rows(4), kind="history")
    with walked_through(project, REQUEST) as walked:
        first = walked.archive
        answers = [first.predictions(model).tobytes() for model in first.models]
        assert first.trained == first.distinct > 2
    with walked_through(project, replace(REQUEST, gates=("none", "referee"))) as walked:
        more = walked.archive
        assert more.trained == more.distinct - first.distinct > 0
        known = {more.predictions(model).tobytes() for model in more.models}
        assert known >= set(answers)


def test_nothing_to_learn_from_is_told_and_kept_as_a_failure(tmp_path: Path) -> None:
    project = write_project(tmp_path / "small", draw_rows(5), kind="yes or no")
    with walked_through(project, REQUEST) as walked:
        archive = walked.archive
        training = archive.whole(1, "expanding")
        nothing = replace(training, since=training.moment, view="none")
        for _ in range(2):
            with pytest.raises(BucleError):
                archive.learned(nothing)
        (said,) = archive.failures
        assert said.startswith("1 training failed, the first on 2025-02-03: ")
