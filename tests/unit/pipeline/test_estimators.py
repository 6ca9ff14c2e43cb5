"""Estimators as bytes: the same ones each time, and nothing but estimators back."""

import io
import json
import operator
import pickle
import re
import zipfile
from functools import partial

import joblib
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from bucle.errors import PackageError
from bucle.pipeline.estimator_trees import check_trees
from bucle.pipeline.estimators import MAGIC, estimator_from_bytes, estimator_to_bytes

RNG = np.random.default_rng(0)
ROWS = np.hstack([RNG.normal(size=(300, 3)), RNG.integers(0, 5, (300, 1))])
LABELS = np.exp(ROWS[:, 0]) + ROWS[:, 3]
ANSWERS = np.greater(LABELS, np.median(LABELS)).astype(int)


def _mixed():
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), [0, 1, 2]),
            ("codes", OneHotEncoder(handle_unknown="ignore"), [3]),
        ],
        sparse_threshold=0,
    )
    learner = HistGradientBoostingRegressor(max_iter=5, random_state=0)
    return TransformedTargetRegressor(
        make_pipeline(columns, learner), func=np.log1p, inverse_func=np.expm1
    )


ESTIMATORS = {
    "mixed columns, boosting, transformed target": lambda: _mixed().fit(ROWS, LABELS),
    "boosting with categories": lambda: HistGradientBoostingRegressor(
        max_iter=5, random_state=0, categorical_features=[3]
    ).fit(ROWS, LABELS),
    "boosting classifier": lambda: HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(
        ROWS, ANSWERS
    ),
    "gradient boosting": lambda: GradientBoostingRegressor(n_estimators=3, random_state=0).fit(
        ROWS, LABELS
    ),
    "forest": lambda: RandomForestClassifier(4, random_state=0).fit(ROWS, ANSWERS),
    "logistic": lambda: make_pipeline(
        FunctionTransformer(np.arctan), StandardScaler(), LogisticRegression()
    ).fit(ROWS, ANSWERS),
    "voting": lambda: VotingRegressor([("one", Ridge()), ("two", Ridge(alpha=np.float64(3)))]).fit(
        ROWS, LABELS
    ),
}


@pytest.fixture(scope="module", params=ESTIMATORS, ids=str)
def stored(request):
    estimator = ESTIMATORS[request.param]()
    return estimator, estimator_to_bytes(estimator)


@pytest.fixture(scope="module")
def boosted():
    return estimator_to_bytes(ESTIMATORS["boosting with categories"]())


def _rebuilt(content, change=None, drop=(), extra=()):
    """Take an archive apart, change its schema and put it together again."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members["schema.json"])
    if change is not None:
        change(schema)
    members["schema.json"] = json.dumps(schema).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in [*members.items(), *extra]:
            if name not in drop:
                archive.writestr(name, body)
    return target.getvalue()


def test_what_is_read_back_predicts_the_same(stored):
    estimator, content = stored
    again = estimator_from_bytes(content)
    np.testing.assert_array_equal(again.predict(ROWS), estimator.predict(ROWS))


def test_what_is_read_back_is_written_as_the_same_bytes(stored):
    _, content = stored
    assert estimator_to_bytes(estimator_from_bytes(content)) == content


def test_fitting_again_gives_the_same_bytes(stored, request):
    _, content = stored
    name = request.node.callspec.params["stored"]
    assert estimator_to_bytes(ESTIMATORS[name]()) == content


def test_bytes_hold_no_address_date_or_number_of_processors(boosted):
    with zipfile.ZipFile(io.BytesIO(boosted)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        schema = archive.read("schema.json").decode()
    boosting = json.loads(schema)["content"]["content"]
    assert boosting["_bin_mapper"]["content"]["content"]["n_threads"]["content"] == "null"
    assert max(map(int, re.findall(r'"__id__":(\d+)', schema)), default=0) < 1000


def test_shared_objects_stay_shared_and_equal_ones_stay_apart():
    scaler = StandardScaler()
    scaler.first = scaler.second = np.arange(3.0)
    scaler.third = np.arange(3.0)
    again = estimator_from_bytes(estimator_to_bytes(scaler))
    assert again.first is again.second
    assert again.third is not again.first


def test_sets_are_written_in_one_order():
    one, two = StandardScaler(), StandardScaler()
    one.words = {f"w{number}" for number in range(50)}
    two.words = {f"w{number}" for number in reversed(range(50))}
    assert estimator_to_bytes(one) == estimator_to_bytes(two)


def test_sparse_state_survives():
    model = TfidfVectorizer().fit(["one two", "two three"])
    again = estimator_from_bytes(estimator_to_bytes(model))
    assert (again.transform(["two"]) != model.transform(["two"])).nnz == 0


@pytest.mark.parametrize(
    "held",
    [
        lambda values: values,
        partial(operator.mul, 2),
        operator.itemgetter(1),
        print,
        object(),
        StandardScaler().fit,
        io.BytesIO(b"x"),
        zipfile.ZipFile,
    ],
    ids=["lambda", "partial", "itemgetter", "builtin", "object", "method", "stream", "class"],
)
def test_refuses_to_store_what_it_could_not_read_back(held):
    model = StandardScaler()
    model.held = held
    with pytest.raises(PackageError) as caught:
        estimator_to_bytes(model)
    assert caught.value.code == "bucle-163"


class _Bomb:
    def __reduce__(self):
        return (print, ("exploded",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        MAGIC + b"rest",
        pickle.dumps(_Bomb()),
        b"\x93NUMPY" + bytes(100),
        b"\x80\x04." + MAGIC,
    ],
    ids=["empty", "short", "magic only", "pickle", "npy", "pickle then magic"],
)
def test_refuses_what_is_not_a_stored_estimator(content, capsys):
    with pytest.raises(PackageError) as caught:
        estimator_from_bytes(content)
    assert caught.value.code == "bucle-164"
    assert capsys.readouterr().out == ""


def test_refuses_a_joblib_file():
    stream = io.BytesIO()
    joblib.dump(Ridge(), stream)
    with pytest.raises(PackageError) as caught:
        estimator_from_bytes(stream.getvalue())
    assert caught.value.code == "bucle-164"


@pytest.mark.parametrize("cut", [1, 22, 100, 10_000])
def test_refuses_a_truncated_file(boosted, cut):
    with pytest.raises(PackageError):
        estimator_from_bytes(boosted[:-cut])


def _code_of(content):
    """Return the code with which bytes are refused, empty when they are read."""
    try:
        estimator_from_bytes(content)
    except PackageError as error:
        return error.code
    return ""


@pytest.mark.parametrize("value", [0x00, 0x41, 0xFF])
def test_damage_anywhere_in_the_archives_own_records_is_a_refusal(value):
    content = estimator_to_bytes(StandardScaler())
    codes = set()
    for at in [*range(60), *range(len(content) - 80, len(content))]:
        damaged = bytearray(content)
        damaged[at] = value
        codes.add(_code_of(bytes(damaged)))
    assert codes <= {"", "bucle-164"}
    assert "bucle-164" in codes


def test_refuses_a_compressed_a_doubled_and_a_missing_part(boosted):
    with zipfile.ZipFile(io.BytesIO(boosted)) as source:
        schema = source.read("schema.json")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", schema)
    with pytest.raises(PackageError, match="compressed"):
        estimator_from_bytes(stream.getvalue())
    with pytest.warns(UserWarning, match="Duplicate name"):
        doubled = _rebuilt(boosted, extra=[("schema.json", schema)])
    with pytest.raises(PackageError, match="twice"):
        estimator_from_bytes(doubled)
    with pytest.raises(PackageError, match=r"schema\.json is missing"):
        estimator_from_bytes(_rebuilt(boosted, drop=("schema.json",)))
    with zipfile.ZipFile(io.BytesIO(boosted)) as source:
        part = next(name for name in source.namelist() if name.endswith(".npy"))
    with pytest.raises(PackageError) as caught:
        estimator_from_bytes(_rebuilt(boosted, drop=(part,)))
    assert caught.value.code == "bucle-164"


def _function(module, name):
    return {"__class__": name, "__module__": module, "__loader__": "FunctionNode"}


def _call(module, name):
    return {
        "__class__": name,
        "__module__": module,
        "__loader__": "ConstructorFromReduceNode",
        "content": {
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": [],
        },
    }


CRAFTED = {
    "a function": _function("os", "system"),
    "a call": _call("os", "getcwd"),
    "a call of an allowed estimator": _call(
        "sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor"
    ),
    "a class": {"__class__": "Popen", "__module__": "subprocess", "__loader__": "TypeNode"},
    "an object": {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode"},
    "a method": {
        "__class__": "Ridge",
        "__module__": "sklearn.linear_model._ridge",
        "__loader__": "MethodNode",
        "content": {
            "func": "fit",
            "obj": {
                "__class__": "Ridge",
                "__module__": "sklearn.linear_model._ridge",
                "__loader__": "ObjectNode",
            },
        },
    },
    "an operator": {
        "__class__": "methodcaller",
        "__module__": "operator",
        "__loader__": "OperatorFuncNode",
        "attrs": {
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": [],
        },
    },
}


@pytest.mark.parametrize("node", CRAFTED.values(), ids=CRAFTED)
def test_refuses_a_crafted_file(node):
    content = estimator_to_bytes(Ridge())

    def plant(schema):
        schema["content"]["content"]["alpha"] = node

    with pytest.raises(PackageError) as caught:
        estimator_from_bytes(_rebuilt(content, plant))
    assert caught.value.code == "bucle-165"


def test_refuses_an_older_protocol():
    content = estimator_to_bytes(Ridge())
    older = _rebuilt(content, lambda schema: schema.update(protocol=0))
    with pytest.raises(PackageError, match="protocol 0 instead of 2"):
        estimator_from_bytes(older)


def _damage_boosted(field, value):
    def damage(model):
        nodes = model._predictors[0][0].nodes
        nodes[field][np.flatnonzero(nodes["is_leaf"] == 0)[-1]] = value

    return damage


def _damage_leaf(model):
    nodes = model._predictors[0][0].nodes
    nodes["value"][np.flatnonzero(nodes["is_leaf"])[0]] = np.nan


@pytest.mark.parametrize(
    "damage",
    [
        _damage_boosted("left", 0),
        _damage_boosted("right", 10_000_000),
        _damage_boosted("feature_idx", 4),
        _damage_boosted("feature_idx", -1),
        _damage_leaf,
    ],
    ids=["circle", "outside", "no such feature", "negative feature", "NaN leaf"],
)
def test_refuses_a_damaged_tree_before_anything_walks_it(damage):
    model = HistGradientBoostingRegressor(max_iter=2, random_state=0).fit(ROWS, LABELS)
    damage(model)
    content = estimator_to_bytes(model)
    with pytest.raises(PackageError, match="decision trees is damaged"):
        estimator_from_bytes(content)


def test_refuses_a_split_on_categories_that_are_not_there():
    model = HistGradientBoostingRegressor(max_iter=2, random_state=0, categorical_features=[3]).fit(
        ROWS, LABELS * (ROWS[:, 3] + 1)
    )
    nodes = model._predictors[0][0].nodes
    nodes["bitset_idx"][np.flatnonzero(nodes["is_categorical"])[0]] = 99
    with pytest.raises(PackageError, match="category"):
        check_trees(model)


def test_checks_every_tree_of_a_forest():
    forest = RandomForestClassifier(4, random_state=0).fit(ROWS, ANSWERS)
    assert check_trees(forest) == 4
    forest.estimators_[2].tree_.children_left[0] = 0
    with pytest.raises(PackageError, match="child"):
        check_trees(forest)
