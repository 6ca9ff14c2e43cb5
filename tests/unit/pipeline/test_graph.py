"""Functions become steps, parameter names become the graph."""

import pytest

from bucle.errors import CycleError, PipelineError, UnknownNameError
from bucle.pipeline.graph import read_graph
from bucle.pipeline.modules import Module
from bucle.pipeline.syntax import read_facts


def graph(text, datasets=("sales",)):
    facts = read_facts(text.encode(), file="pipeline.py")
    return read_graph(Module(name="pipeline", file="pipeline.py", facts=facts), datasets=datasets)


STEPS = """
def report(model, features): return 1
def model(features, rate: float = 0.1, names=("a", "b"), deep=None): return 1
def features(clean, as_of): "Make features. More."; return 1
def clean(sales): return 1
def _helper(x): return x
LIMIT = 3
class Model: pass
"""


def test_steps_come_after_what_they_need():
    found = graph(STEPS)
    assert [step.name for step in found.steps] == ["clean", "features", "model", "report"]
    assert found.datasets == ("sales",)


def test_parameters_are_those_with_a_default():
    model = graph(STEPS).step("model")
    assert model.inputs == ("features",)
    assert model.defaults == {"rate": 0.1, "names": ["a", "b"], "deep": None}


def test_as_of_is_no_input():
    features = graph(STEPS).step("features")
    assert features.as_of
    assert features.inputs == ("clean",)
    assert features.summary == "Make features. More."


def test_default_that_is_no_literal_is_a_parameter_all_the_same():
    step = graph("LIMIT = 3\ndef a(sales, limit=LIMIT, more=2 ** 9): return 1").step("a")
    assert [(known.name, known.literal) for known in step.parameters] == [
        ("limit", False),
        ("more", False),
    ]
    assert step.defaults == {}


def test_upstream_takes_what_is_needed_and_no_more():
    found = graph(STEPS)
    assert [step.name for step in found.upstream(["features"])] == ["clean", "features"]


def test_circle_is_named_in_order():
    with pytest.raises(CycleError) as caught:
        graph("def a(c): return 1\ndef b(a): return 1\ndef c(b): return 1\ndef d(a): return 1")
    path = caught.value.path
    assert path[0] == path[-1]
    assert set(path) == {"a", "b", "c"}
    assert caught.value.where.startswith("pipeline.py:")


def test_step_that_needs_itself_is_a_circle():
    with pytest.raises(CycleError) as caught:
        graph("def a(a): return 1")
    assert caught.value.path == ("a", "a")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("async def a(sales): return 1", "async"),
        ("def a(*sales): return 1", "`*`"),
        ("def a(sales, **more): return 1", "`*`"),
        ("def a(sales, /): return 1", "positional"),
        ("def a(sales): yield 1", "yields"),
        ("def a(sales): return 1\ndef a(sales): return 2", "line 1"),
        ("def sales(): return 1", "dataset"),
        ("def as_of(): return 1", "as_of"),
    ],
)
def test_function_that_cannot_be_a_step_is_refused(text, cause):
    with pytest.raises(PipelineError) as caught:
        graph(text)
    assert caught.value.code == "bucle-144"
    assert cause in caught.value.cause
    assert caught.value.where.startswith("pipeline.py:")


def test_function_inside_a_step_may_yield():
    assert graph("def a(sales):\n    def f(): yield 1\n    return list(f())").step("a")


def test_pipeline_without_steps_is_refused():
    with pytest.raises(PipelineError, match="no step"):
        graph("def _a(): return 1")


def test_unknown_input_names_the_nearest():
    with pytest.raises(PipelineError) as caught:
        graph("def clean(sale): return 1")
    assert caught.value.did_you_mean == ("sales",)
    assert caught.value.where == "pipeline.py:1"


def test_unknown_step_names_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        graph(STEPS).step("modle")
    assert caught.value.did_you_mean == ("model",)


def test_only_parameters_that_differ_are_returned():
    given = {"model": {"rate": 0.1, "names": ["a"], "deep": {"x": 1}}}
    assert graph(STEPS).check_parameters(given) == {"model": {"names": ["a"], "deep": {"x": 1}}}


def test_whole_number_may_stand_for_a_decimal_one():
    found = graph(STEPS).check_parameters({"model": {"rate": 1}})
    assert found == {"model": {"rate": 1.0}}
    assert type(found["model"]["rate"]) is float


@pytest.mark.parametrize("value", ["ten", True, None, [0.1], float("nan"), float("inf"), {"a": 1}])
def test_value_of_another_kind_is_refused(value):
    with pytest.raises(PipelineError) as caught:
        graph(STEPS).check_parameters({"model": {"rate": value}})
    assert caught.value.code == "bucle-146"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"model": {"rat": 1}}, "bucle-145"),
        ({"model": {"features": 1}}, "bucle-145"),
        ({"modle": {"rate": 1}}, "bucle-148"),
    ],
)
def test_unknown_parameter_is_refused(given, code):
    with pytest.raises(UnknownNameError) as caught:
        graph(STEPS).check_parameters(given)
    assert caught.value.code == code


def test_numbers_too_large_to_be_kept_are_refused():
    with pytest.raises(PipelineError, match="64 bits"):
        graph("def a(n: int = 1): return n").check_parameters({"a": {"n": 2**64}})


def test_long_chains_do_not_end_at_the_limit_of_recursion():
    lines = [f"def s{i}(s{i + 1}): return 1" for i in range(3000)]
    assert len(graph("\n".join([*lines, "def s3000(): return 1"])).steps) == 3001
