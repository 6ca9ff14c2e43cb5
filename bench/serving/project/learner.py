"""The learner that every contender serves: one-hot, 200 boosted trees, the logarithm of a price.

Runs in the environments of all of them, so it imports numpy and scikit-learn only.
"""

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

WORDS = [
    "country",
    "via",
    "inco_term",
    "vendor",
    "classification",
    "molecule",
    "brand",
    "form",
    "site",
    "first_line",
]
FEATURES = [*WORDS, "pack_size", "packs", "asked_year"]


class Uncompiled(Pipeline):
    """A pipeline of a class that has no compiled form: the estimator itself must answer."""


def make_learner(kind: type[Pipeline] = Pipeline) -> TransformedTargetRegressor:
    """Return the learner, not fitted.

    Args:
        kind: The pipeline's class.
    """
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    trees = HistGradientBoostingRegressor(max_iter=200, early_stopping=False, random_state=0)
    return TransformedTargetRegressor(
        kind(
            [
                ("columns", ColumnTransformer([("words", encode, WORDS)], remainder="passthrough")),
                ("trees", trees),
            ]
        ),
        func=np.log,
        inverse_func=np.exp,
    )
