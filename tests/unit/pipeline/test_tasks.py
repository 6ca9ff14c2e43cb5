"""Errors of workers become errors that can be raised."""

import pytest

from bucle.errors import CycleError, OutsideError, StepError
from bucle.pipeline.tasks import TaskResult, failure_of


def result(**problem):
    return TaskResult(name="a", state="failed", why="", error="it broke", problem=problem)


def test_error_keeps_its_class_and_fields():
    origin = OutsideError("disk full", cause="no space", attempt="free some", code="bucle-301")
    error = failure_of(result(**origin.as_json(), **{"class": "OutsideError"}))
    assert type(error) is OutsideError
    assert error.as_json() == origin.as_json()


@pytest.mark.parametrize("name", ["nearest", "NoSuchError", "", "Sequence"])
def test_unknown_class_is_a_step_error(name):
    error = failure_of(result(error="it broke", **{"class": name}))
    assert type(error) is StepError
    assert "it broke" in str(error)


def test_class_with_other_arguments_still_says_everything():
    origin = CycleError("in a circle", path=["a", "a"], where="p.py:1")
    error = failure_of(result(**origin.as_json(), **{"class": "CycleError"}))
    assert "in a circle" in str(error)
    assert error.where == "p.py:1"
    stale = failure_of(result(error="moved on", **{"class": "StalePositionError"}))
    assert type(stale) is StepError
    assert "moved on" in str(stale)
