import pytest

from bucle.errors import PipelineError
from bucle.loop.packaging import _require_estimator


class Fitted:
    def predict(self, features):
        return features


@pytest.mark.parametrize("returned", [None, 3, {"predict": 1}])
def test_a_model_step_must_return_what_predicts(returned):
    with pytest.raises(PipelineError, match=f"returned {type(returned).__name__}"):
        _require_estimator(returned)
    _require_estimator(Fitted())
