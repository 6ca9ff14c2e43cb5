import numpy as np
import pytest
from scipy import stats

from bucle.gates.comparison import Rule, bound_mean
from bucle.gates.units import number_groups, to_units


def test_rows_without_clusters_are_their_own_units() -> None:
    rows = np.array([1.0, 2.0, 4.0])
    units = to_units(rows)
    assert units.values is rows
    assert (units.count, units.effective, units.rows_per_unit) == (3, 3.0, 1.0)
    assert not units.clustered


def test_clusters_of_one_size_are_their_means() -> None:
    rows = np.random.default_rng(0).normal(size=(25, 8))
    rows += np.random.default_rng(1).normal(size=(25, 1))
    mirrored = np.concatenate([rows, -rows])
    clusters = np.repeat(np.arange(50), 8)
    units = to_units(mirrored.ravel(), clusters=clusters)
    found = bound_mean(units, rule=Rule())
    oracle = stats.ttest_1samp(mirrored.mean(axis=1), 0.0, alternative="greater")
    assert found.low == pytest.approx(oracle.confidence_interval(0.95).low, rel=1e-9)


def test_the_mean_stays_the_mean_over_rows() -> None:
    rows = np.random.default_rng(2).lognormal(size=100)
    clusters = np.random.default_rng(3).integers(0, 9, size=100)
    assert to_units(rows, clusters=clusters).values.mean() == pytest.approx(rows.mean(), rel=1e-12)


def test_one_giant_cluster_counts_for_little_more_than_one() -> None:
    clusters = np.array(["giant"] * 980 + [f"c{number}" for number in range(20)])
    units = to_units(np.random.default_rng(4).normal(size=1000), clusters=clusters)
    assert units.count == 21
    assert units.effective < 1.1


def test_a_giant_among_dwarfs_leaves_few_degrees_of_freedom() -> None:
    clusters = np.concatenate([np.zeros(50, dtype=int), np.arange(1, 51)])
    values = np.concatenate([np.full(50, 0.1), np.linspace(-1.0, 1.0, 50)])
    units = to_units(values, clusters=clusters)
    found = bound_mean(units, rule=Rule())
    error = found.spread / np.sqrt(units.count)
    assert units.effective == pytest.approx(100**2 / (50**2 + 50))
    assert found.estimate - found.low >= stats.t.ppf(0.95, units.effective - 1) * error * 0.999999


def test_rows_that_move_together_widen_the_interval() -> None:
    generator = np.random.default_rng(5)
    clusters = np.repeat(np.arange(40), 25)
    rows = generator.normal(size=40)[clusters] + generator.normal(size=1000)
    together = bound_mean(to_units(rows, clusters=clusters), rule=Rule())
    alone = bound_mean(to_units(rows), rule=Rule())
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_a_row_without_a_cluster_stands_alone() -> None:
    clusters = np.array(["a", "a", None, None], dtype=object)
    assert to_units(np.arange(4.0), clusters=clusters).count == 3


def test_missing_labels_are_one_group_when_they_are_a_value() -> None:
    codes, names = number_groups(np.array(["b", None, "a", None], dtype=object))
    assert names == ("a", "b", "(missing)")
    assert codes.tolist() == [1, 2, 0, 2]


def test_a_value_named_missing_is_no_other_group_than_the_missing() -> None:
    codes, names = number_groups(np.array(["(missing)", None], dtype=object))
    assert names == ("(missing)",)
    assert codes.tolist() == [0, 0]


def test_nan_is_missing() -> None:
    codes, names = number_groups(np.array([1.5, np.nan, 1.5, np.nan]))
    assert names == ("1.5", "(missing)")
    assert codes.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("labels", [np.array([3, 1, 3]), np.array([True, False, True])])
def test_numbers_and_booleans_are_groups_too(labels: np.ndarray) -> None:
    codes, names = number_groups(labels)
    assert codes.tolist() == [1, 0, 1]
    assert names == tuple(str(value) for value in sorted(set(labels.tolist())))


def test_no_rows_are_no_units() -> None:
    units = to_units(np.array([]), clusters=np.array([], dtype=object))
    assert (units.count, units.rows, units.rows_per_unit) == (0, 0, 1.0)
