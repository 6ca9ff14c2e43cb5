import numpy as np
import pytest

from bucle.errors import EvidenceError
from bucle.gates.evidence import Evidence


def test_every_array_has_one_entry_a_row() -> None:
    with pytest.raises(EvidenceError, match=r"baseline median has shape \(3,\)"):
        Evidence(truth=np.ones(4), challenger=np.ones(4), baselines={"median": np.ones(3)})
    with pytest.raises(EvidenceError, match="the clusters has shape"):
        Evidence(truth=np.ones(4), challenger=np.ones(4), clusters=np.ones(5))
    with pytest.raises(EvidenceError, match="slice mode has shape"):
        Evidence(truth=np.ones(4), challenger=np.ones(4), slices={"mode": np.ones((4, 1))})


def test_a_table_of_predictions_is_refused() -> None:
    with pytest.raises(EvidenceError, match=r"the challenger has shape \(4, 2\)"):
        Evidence(truth=np.ones(4), challenger=np.ones((4, 2)))


def test_numbers_of_any_kind_are_taken_as_floats() -> None:
    evidence = Evidence(
        truth=np.array([True, False]),
        challenger=np.array([1, 0], dtype=np.int8),
        champion=np.array([0.5, 0.5], dtype=np.float32),
    )
    assert evidence.truth.dtype == evidence.challenger.dtype == np.float64
    assert evidence.champion is not None
    assert evidence.champion.dtype == np.float64
    assert evidence.rows == 2


def test_words_are_no_predictions() -> None:
    with pytest.raises(EvidenceError, match="predictions of the challenger are not numbers"):
        Evidence(truth=np.ones(2), challenger=np.array(["dear", "cheap"]))
    with pytest.raises(EvidenceError, match="the labels are not numbers"):
        Evidence(truth=np.array(["dear", "cheap"]), challenger=np.ones(2))


@pytest.mark.parametrize("counts", [{"looks": -1}, {"earlier_challengers": -2}, {"planned": 0}])
def test_counts_are_not_negative(counts: dict[str, int]) -> None:
    with pytest.raises(EvidenceError, match="it counts something"):
        Evidence(truth=np.ones(2), challenger=np.ones(2), **counts)
