"""The closed list of metrics: what each is called, what it is for and which way is better.

Only names and directions live here, so that a charter can be checked without numbers; the
arithmetic is in `bucle.models.metrics`. Must not import anything heavy.
"""

from typing import Literal

from msgspec import Struct

__all__ = ["METRICS", "MetricInfo", "as_loss", "metrics_for"]

_Kind = Literal["regression", "classification"]


class MetricInfo(Struct, frozen=True, kw_only=True):
    """What is known of a metric without computing it.

    `kind` is the kind of model it can judge, `any` for both; `low` and `high` bound its possible
    values, None where there is no bound.
    """

    name: str
    kind: Literal["regression", "classification", "any"]
    lower_is_better: bool
    low: float | None = None
    high: float | None = None
    summary: str

    def judges(self, kind: str) -> bool:
        """Tell whether the metric can judge a model of this kind."""
        return self.kind in {"any", kind}

    def is_possible(self, value: float) -> bool:
        """Tell whether the metric can take this value."""
        above = self.low is None or value >= self.low
        return above and (self.high is None or value <= self.high)

    def is_stricter(self, value: float, *, than: float) -> bool:
        """Tell whether one limit asks for more than another.

        Example:
            >>> METRICS["wape"].is_stricter(0.1, than=0.2), METRICS["r2"].is_stricter(0.1, than=0.2)
            (True, False)
        """
        return value < than if self.lower_is_better else value > than


def _error(name: str, kind: _Kind, summary: str, high: float | None = None) -> MetricInfo:
    return MetricInfo(
        name=name, kind=kind, lower_is_better=True, low=0.0, high=high, summary=summary
    )


def _score(name: str, kind: _Kind, summary: str, low: float | None) -> MetricInfo:
    return MetricInfo(
        name=name, kind=kind, lower_is_better=False, low=low, high=1.0, summary=summary
    )


_ALL = (
    _error("wape", "regression", "sum of absolute errors over the sum of absolute truths"),
    _error("mae", "regression", "mean absolute error, in the unit of the target"),
    _error("rmse", "regression", "root of the mean squared error, in the unit of the target"),
    _error("mdape", "regression", "median of the absolute errors, each over its truth"),
    _score("r2", "regression", "share of the variance explained", None),
    _score("r2_log", "regression", "share of the variance of the logarithm explained", None),
    MetricInfo(
        name="money",
        kind="any",
        lower_is_better=True,
        summary="mean cost of a row, by [charter.money]",
    ),
    _error("log_loss", "classification", "mean negative log-likelihood, in nats"),
    _error("brier", "classification", "mean squared error of the probability", high=1.0),
    _score("auc", "classification", "chance that a yes is ranked above a no", 0.0),
    _score("accuracy", "classification", "share right at gates.threshold", 0.0),
)

METRICS: dict[str, MetricInfo] = {metric.name: metric for metric in _ALL}


def metrics_for(kind: str) -> tuple[str, ...]:
    """Return the names of the metrics that can judge a model of this kind, in order.

    Example:
        >>> metrics_for("classification")
        ('money', 'log_loss', 'brier', 'auc', 'accuracy')
    """
    return tuple(metric.name for metric in _ALL if metric.judges(kind))


def as_loss(metric: str, value: float) -> float:
    """Return a metric's value so that lower is better: 1 minus a score."""
    return value if METRICS[metric].lower_is_better else 1.0 - value
