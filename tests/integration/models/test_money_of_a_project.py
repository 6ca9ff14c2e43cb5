"""A cost that the project writes itself."""

import numpy as np
import pytest

from bucle.charter.settings import Money
from bucle.errors import CharterError, EvidenceError
from bucle.models.metrics import measure
from bucle.models.money import cost_function

COSTS = """
import numpy as np

limit = 3


def freight(truth, prediction):
    under = np.maximum(truth - prediction, 0)
    prediction[:] = -1  # its own copy
    return under


def broken(truth, prediction):
    return truth / missing


def single(truth, prediction):
    return 1.0
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "costs.py").write_text(COSTS)
    return tmp_path


def test_is_called_with_arrays_and_cannot_change_them(project):
    cost = cost_function(Money(error="costs.py:freight"), root=project)
    prediction = np.array([1.0, 5.0])
    assert cost(np.array([3.0, 3.0]), prediction).tolist() == [2.0, 0.0]
    assert prediction.tolist() == [1.0, 5.0]


def test_what_it_raises_is_said_with_its_name(project):
    cost = cost_function(Money(error="costs.py:broken"), root=project)
    with pytest.raises(EvidenceError, match=r"costs\.py:broken raised NameError") as caught:
        measure("regression", [1.0], [1.0], cost=cost)
    assert caught.value.code == "bucle-161"


def test_must_return_a_cost_a_row(project):
    cost = cost_function(Money(error="costs.py:single"), root=project)
    with pytest.raises(EvidenceError, match="shape"):
        measure("regression", [1.0, 2.0], [1.0, 2.0], cost=cost)


def test_must_be_a_function(project):
    with pytest.raises(CharterError, match="it is an int"):
        cost_function(Money(error="costs.py:limit"), root=project)
