"""What a loss is a loss of, in words: many metrics have no unit of their own.

Imports nothing heavy.
"""

__all__ = ["name_loss"]

_WORDS = {
    "mae": "absolute error",
    "wape": "absolute error",
    "rmse": "squared error",
    "r2": "squared error",
    "r2_log": "squared error of the logarithm",
    "mdape": "absolute log ratio",
    "money": "money",
    "log_loss": "log loss",
    "brier": "squared error of the probability",
    "accuracy": "wrong answers",
}


def name_loss(metric: str) -> str:
    """Say what each row of a metric loses.

    Example:
        >>> name_loss("r2"), name_loss("accuracy"), name_loss("hinge")
        ('squared error', 'wrong answers', 'hinge')
    """
    return _WORDS.get(metric, metric)
