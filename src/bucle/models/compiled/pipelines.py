"""The compiled form of scikit-learn pipelines: a column transformer, then trees or weights.

Imports nothing of scikit-learn by itself.
"""

from typing import Any

from bucle.models.compiled.layout import Compiled
from bucle.models.compiled.learners import NoForm
from bucle.models.signature import Signature

__all__ = ["compile_pipeline"]


def compile_pipeline(estimator: Any, signature: Signature) -> Compiled:
    """Return the compiled form of a fitted pipeline.

    Raises:
        NoForm: It, or something in it, has none.
    """
    raise NoForm(f"`{type(estimator).__name__}` has no compiled form for a {signature.kind}")
