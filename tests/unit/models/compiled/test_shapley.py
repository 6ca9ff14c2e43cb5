"""What a column adds is its Shapley value, as going over every subset of the columns gives it."""

import itertools
import math

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)

from bucle.errors import PackageError
from bucle.models.compiled.forest import Forest, read_forest
from bucle.models.compiled.learners import read_learner
from bucle.models.compiled.shapley import ForestGame
from bucle.models.compiled.trees import Tree, forest_bytes, forest_covers

WIDTH = 5
LEARNERS = [
    HistGradientBoostingRegressor(max_iter=6, min_samples_leaf=3, categorical_features=[0]),
    HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=3),
    GradientBoostingRegressor(n_estimators=6, max_depth=4, random_state=0),
    RandomForestRegressor(n_estimators=4, random_state=0),
]


def worth(tree, row, known, node=0):
    """Return what a tree says of a row of which only some columns are known."""
    if tree.leaf[node]:
        return tree.value[node]
    feature, ways = int(tree.feature[node]), (int(tree.left[node]), int(tree.right[node]))
    if feature not in known:
        parts = [tree.cover[way] * worth(tree, row, known, way) for way in ways]
        return sum(parts) / tree.cover[node]
    value = row[feature]
    if np.isnan(value):
        left = tree.nan_left[node]
    elif node in tree.members:
        left = value in tree.members[node]
    else:
        left = value <= tree.threshold[node]
    return worth(tree, row, known, ways[0] if left else ways[1])


def by_subsets(trees, row):
    """Return what no column gives, and the Shapley value of each, by going over all subsets."""

    def total(known):
        return sum(worth(tree, row, known) for tree in trees)

    found = np.zeros(WIDTH)
    for column in range(WIDTH):
        others = [other for other in range(WIDTH) if other != column]
        for size in range(WIDTH):
            weight = math.factorial(size) * math.factorial(WIDTH - 1 - size)
            for known in itertools.combinations(others, size):
                added = total({*known, column}) - total(set(known))
                found[column] += weight / math.factorial(WIDTH) * added
    return total(set()), found


def game_of(trees, places=None):
    places = np.arange(WIDTH) if places is None else places
    content = forest_bytes(trees, places, width=WIDTH)
    covers = np.array(forest_covers(trees, places))
    return ForestGame(read_forest(content), covers, width=WIDTH)


@pytest.fixture(scope="module")
def matrix():
    rng = np.random.default_rng(3)
    found = np.column_stack([rng.integers(0, 9, 300), rng.normal(size=(300, WIDTH - 1))])
    found[rng.random(found.shape) < 0.1] = np.nan
    return found


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: type(one).__name__)
def test_values_are_those_of_all_subsets(learner, matrix):
    known = np.nan_to_num(matrix)
    label = np.isin(known[:, 0], [1, 4]) + known[:, 1] * known[:, 2] + known[:, 3]
    probability = hasattr(learner, "predict_proba")
    takes_nulls = "Hist" in type(learner).__name__
    rows = matrix if takes_nulls else known
    learner.fit(rows, label > 0 if probability else label)
    trees = read_learner(learner, probability=probability).trees
    game = game_of(trees)
    for row in [*rows[:4], np.full(WIDTH, np.nan if takes_nulls else 0.0), np.full(WIDTH, 1e9)]:
        base, values = by_subsets(trees, row)
        assert game.base == pytest.approx(base, rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(game.values(row), values, rtol=1e-9, atol=1e-12)


def test_values_add_up_to_the_sum_of_the_trees(matrix):
    learner = HistGradientBoostingRegressor(max_iter=120, max_leaf_nodes=63)
    learner.fit(matrix, np.nan_to_num(matrix[:, 1]) ** 3)
    trees = read_learner(learner, probability=False).trees
    game = game_of(trees)
    sums = [game.base + game.values(row).sum() for row in matrix]
    np.testing.assert_allclose(sums, learner.predict(matrix), rtol=0, atol=1e-10)


def test_columns_may_stand_at_other_places(matrix):
    learner = HistGradientBoostingRegressor(max_iter=5).fit(matrix, np.nan_to_num(matrix[:, 2]))
    trees = read_learner(learner, probability=False).trees
    places = np.array([3, 4, 0, 2, 1])
    moved = np.empty(WIDTH)
    moved[places] = matrix[7]
    straight = game_of(trees).values(matrix[7])
    np.testing.assert_allclose(game_of(trees, places).values(moved)[places], straight, rtol=1e-12)


def alone(value):
    """Return a tree that is one leaf."""
    return Tree(
        feature=np.array([0]),
        threshold=np.array([0.0]),
        left=np.array([0]),
        right=np.array([0]),
        nan_left=np.array([False]),
        leaf=np.array([True]),
        value=np.array([value]),
        members={},
        cover=np.array([7.0]),
    )


def test_a_tree_that_is_one_leaf_adds_to_the_base_alone():
    game = game_of([alone(2.0), alone(3.0)])
    assert game.base == 5.0
    assert game.values(np.zeros(WIDTH)).tolist() == [0.0] * WIDTH


@pytest.mark.parametrize("odd", [[], [1.0], [0.0, 7.0], [np.nan, 7.0], [7.0, np.inf], [-7.0, 7.0]])
def test_covers_that_cannot_be_are_refused(odd):
    forest = read_forest(forest_bytes([alone(2.0)], np.arange(WIDTH), width=WIDTH))
    with pytest.raises(PackageError, match="Cannot explain"):
        ForestGame(forest, np.array(odd), width=WIDTH)


def test_a_column_that_is_not_there_is_refused():
    forest = read_forest(forest_bytes([alone(2.0)], np.arange(WIDTH), width=WIDTH))
    with pytest.raises(PackageError, match="Cannot explain"):
        ForestGame(forest, np.array([7.0, 7.0]), width=0)


def forest(child, ends, *, leaves):
    """Return splits on column 0 that lead where `child` says."""
    splits = len(child[0])
    nothing = np.array([], dtype=np.int64)
    return Forest(
        feature=np.zeros(splits, dtype=np.int64),
        threshold=np.zeros(splits),
        nan_left=np.zeros(splits, dtype=bool),
        child=np.array(child),
        ends=np.array(ends),
        value=np.ones(leaves),
        words=nothing,
        known=np.array([]),
        holds=np.zeros((0, 0), dtype=bool),
    )


def chain(length):
    """Return a tree that is as deep as it has splits."""
    numbers = list(range(length))
    right = [*numbers[1:], length]
    ends = [[True] * length, [False] * (length - 1) + [True]]
    return forest([numbers, right], ends, leaves=length + 1)


def test_a_deep_tree_is_explained_and_one_too_deep_is_refused():
    covers = np.concatenate([np.arange(51, 1, -1), np.ones(51)])
    assert ForestGame(chain(50), covers, width=1).base == pytest.approx(1.0)
    with pytest.raises(PackageError, match="too deep"):
        ForestGame(chain(5000), np.ones(10_001), width=1)


@pytest.mark.parametrize(
    ("child", "ends"),
    [
        ([[1, 0], [0, 1]], [[False, False], [True, True]]),  # two splits above each other
        ([[0, 0], [1, 1]], [[True, True], [True, True]]),  # two splits above one leaf
    ],
    ids=["circle", "shared"],
)
def test_splits_that_are_no_tree_are_refused(child, ends):
    with pytest.raises(PackageError, match="Cannot explain"):
        ForestGame(forest(child, ends, leaves=2), np.ones(4), width=1)
