"""A file of trees is read against a short list before the runtime sees it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bucle.errors import PackageError
from bucle.models.compiled.onnx_file import check_trees_file, open_session
from bucle.models.compiled.trees import Tree, forest_bytes, reach


def tree(*, threshold=0.5, members=None):
    return Tree(
        feature=np.array([1, 0, 0]),
        threshold=np.array([threshold, 0.0, 0.0]),
        left=np.array([1, 0, 0]),
        right=np.array([2, 0, 0]),
        nan_left=np.array([True, False, False]),
        leaf=np.array([False, True, True]),
        value=np.array([0.0, 1.0, 10.0]),
        members=members or {},
        cover=np.array([8.0, 6.0, 2.0]),
    )


LEAF = Tree(
    feature=np.array([0]),
    threshold=np.array([0.0]),
    left=np.array([0]),
    right=np.array([0]),
    nan_left=np.array([False]),
    leaf=np.array([True]),
    value=np.array([100.0]),
    members={},
    cover=np.array([8.0]),
)
PLAIN = forest_bytes([tree(), LEAF], np.array([0, 1]), width=2)


def ask(content, rows):
    return open_session(content).run(None, {"X": np.array(rows, dtype=np.float64)})[0][:, 0]


def test_splits_at_the_threshold_in_double_precision():
    content = forest_bytes([tree(threshold=0.1)], np.array([0, 1]), width=2)
    after = np.nextafter(0.1, 1)
    assert ask(content, [[0, 0.1], [0, after], [0, np.nan]]).tolist() == [1.0, 10.0, 1.0]


def test_adds_a_tree_that_is_one_leaf():
    assert ask(PLAIN, [[0, 0], [0, 1]]).tolist() == [101.0, 110.0]


def test_a_feature_may_stand_at_another_place():
    content = forest_bytes([tree()], np.array([1, 0]), width=2)
    assert ask(content, [[0, 9], [9, 0]]).tolist() == [1.0, 10.0]


@pytest.mark.parametrize("members", [(2.0, 5.0), ()])
def test_levels_go_left_where_they_are_members(members):
    content = forest_bytes([tree(members={0: members})], np.array([0, 1]), width=2)
    found = ask(content, [[0, 2], [0, 5], [0, 3], [0, np.nan]]).tolist()
    inside = 1.0 if members else 10.0
    assert found == [inside, inside, 10.0, 1.0]


def test_equal_trees_give_equal_bytes():
    assert forest_bytes([tree(), LEAF], np.array([0, 1]), width=2) == PLAIN


def test_finds_a_row_that_comes_to_each_split():
    matrix = np.array([[0.0, 7.0], [0.0, 0.1]])
    assert reach(tree(), matrix) == {0: 0}
    assert reach(LEAF, matrix) == {}


def _alien(change):
    model = onnx.load_model_from_string(PLAIN)
    change(model)
    return model.SerializeToString()


def _with_external_data(model):
    tensor = next(at.t for at in model.graph.node[0].attribute if at.name == "nodes_splits")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    tensor.data_location = TensorProto.EXTERNAL


def _with_another_operator(model):
    model.graph.node[0].op_type = "Loop"


def _with_two_operators(model):
    model.graph.node.append(model.graph.node[0])


def _with_an_initializer(model):
    model.graph.initializer.append(helper.make_tensor("X", TensorProto.DOUBLE, [1], [1.0]))


def _with_a_graph_inside(model):
    model.graph.node[0].attribute.append(helper.make_attribute("body", model.graph))


def _with_a_function(model):
    model.functions.add()


def _with_metadata(model):
    model.metadata_props.add()


@pytest.mark.parametrize(
    "change",
    [
        *(_with_external_data, _with_another_operator, _with_two_operators),
        *(_with_an_initializer, _with_a_graph_inside, _with_a_function, _with_metadata),
    ],
)
def test_refuses_what_is_not_trees_alone(change):
    with pytest.raises(PackageError) as caught:
        check_trees_file(_alien(change))
    assert caught.value.code == "bucle-312"


@pytest.mark.parametrize("content", [b"", b"\x08", b"PK\x03\x04", b"\xff" * 40, b"\x3a\x7f"])
def test_refuses_what_is_not_onnx(content):
    with pytest.raises(PackageError) as caught:
        check_trees_file(content)
    assert caught.value.code == "bucle-312"


def test_refuses_a_file_cut_off_anywhere():
    for end in range(len(PLAIN)):
        with pytest.raises(PackageError):
            open_session(PLAIN[:end])


def test_a_plain_file_passes():
    check_trees_file(PLAIN)
