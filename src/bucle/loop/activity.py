"""What the models at work did: a projection of the prediction log and of the labels that came.

How much each answered, how fast, how well, and how two compare on the very same rows; what
`bucle load` has asked is left out. Imports polars and numpy when something was predicted.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bucle.charter.settings import Charter
from bucle.errors import EvidenceError
from bucle.loop.workspace import Workspace
from bucle.models.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from bucle.models.metrics import Floats

__all__ = ["Activity", "Paired", "activity_since", "loss_of", "pairs_since", "ripe_until"]

_LEAST_PAIRS = 2
_COLUMNS = ("id", "at", "model", "role", "of", "prediction", "low", "high", "latency_us")


class Activity(Struct, frozen=True, kw_only=True):
    """What one model did in one role.

    `share` is what part of all answers were its own, 0 for a shadow; `p50_ms` and `p99_ms` how
    long scoring took, in milliseconds; `metric` and `error` how well it did on the `labelled`
    rows; `coverage` what part of these lay within its intervals. None where there is nothing to
    tell it from.
    """

    model: str
    role: str
    rows: int
    share: float
    p50_ms: float
    p99_ms: float
    labelled: int
    metric: str
    error: float | None = None
    coverage: float | None = None


class Paired(Struct, frozen=True, kw_only=True):
    """How a challenger compares with the champion on rows that both have scored.

    `gain` is the share of the champion's loss that the challenger saves, below zero is worse,
    with its bounds at any number of looks; None without two labelled pairs. `apart` is the
    median distance of their predictions relative to the champion's.
    """

    champion: str
    challenger: str
    rows: int
    labelled: int
    metric: str
    apart: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    labels_needed: int | None = None

    @property
    def verdict(self) -> str:
        """What that says, in words."""
        if self.low is None or self.high is None:
            return "no labels yet to compare them by"
        if self.low > 0:
            return "the challenger errs less"
        if self.high < 0:
            return "the champion errs less"
        return "cannot be told apart yet"


def activity_since(
    workspace: Workspace, moment: datetime, *, signature: Signature
) -> tuple[Activity, ...]:
    """Return what each model did since a moment, those that answered most first.

    Raises:
        DigestMismatchError: The table of predictions is not what was written.
    """
    rows = _labelled_since(workspace, moment, signature)
    if rows is None or not rows.height:
        return ()
    import polars as pl  # noqa: PLC0415  (heavy; only where something was predicted)

    answers = rows.filter(pl.col("role") != "shadow").height
    found = []
    for (model, role), part in sorted(rows.group_by("model", "role"), key=_most_first):
        times = part["latency_us"] / 1000
        known = part.filter(pl.col("truth").is_not_null())
        metric, error = _error(workspace, known, signature)
        found.append(
            Activity(
                model=str(model),
                role=str(role),
                rows=part.height,
                share=0.0 if role == "shadow" else part.height / answers,
                p50_ms=_quantile(times, 0.5),
                p99_ms=_quantile(times, 0.99),
                labelled=known.height,
                metric=metric,
                error=error,
                coverage=_coverage(known),
            )
        )
    return tuple(found)


def pairs_since(
    workspace: Workspace,
    moment: datetime,
    *,
    champion: str,
    challenger: str,
    signature: Signature,
    is_ripe: bool = False,
) -> Paired:
    """Compare two models on the rows that both have scored since a moment.

    Whichever of the two answered, the other's prediction stands beside it in the log.

    Args:
        workspace: The project.
        moment: Since when.
        champion: One model.
        challenger: The other.
        signature: The champion's.
        is_ripe: Whether only rows count whose label had time to come.
    """
    metric = _metric(workspace.charter, signature)
    rows = _labelled_since(workspace, moment, signature)
    if rows is None:
        return Paired(champion=champion, challenger=challenger, rows=0, labelled=0, metric=metric)
    import polars as pl  # noqa: PLC0415  (as above)

    both = _both(rows, champion, challenger)
    known = both.filter(pl.col("truth").is_not_null())
    if is_ripe and known.height:
        known = known.filter(pl.col("at") <= ripe_until(workspace))
    distance = (both["challenger"] - both["champion"]).abs() / both["champion"].abs()
    apart = distance.filter(distance.is_finite()).median()
    paired = Paired(
        champion=champion,
        challenger=challenger,
        rows=both.height,
        labelled=known.height,
        metric=metric,
        apart=float(apart) if isinstance(apart, float) else None,
    )
    return paired if known.height < _LEAST_PAIRS else _judged(workspace, paired, known)


def ripe_until(workspace: Workspace) -> datetime:
    """Return before when the labels of answers are taken for whole, told from the last labels."""
    from bucle.loop.ripeness import MOST_LABELS, usual_wait  # noqa: PLC0415  (heavy)
    from bucle.serve.compactor import FEEDBACK, read_log_counted  # noqa: PLC0415  (heavy)

    told, _ = read_log_counted(
        workspace.home / "serve" / "log",
        workspace.tables,
        name=FEEDBACK,
        columns=("id", "at"),
        last=MOST_LABELS,
    )
    now = workspace.clock.now()
    return now - usual_wait(told, now)


def loss_of(workspace: Workspace, metric: str) -> "Callable[[Floats, Floats], Floats]":
    """Return what gives the loss of each row from truths and predictions, lower is better."""
    from bucle.models.metrics import losses  # noqa: PLC0415  (heavy)

    threshold, cost = workspace.charter.gates.threshold, _cost(workspace, metric)
    return lambda truth, said: losses(metric, truth, said, threshold=threshold, cost=cost)


def _judged(workspace: Workspace, paired: Paired, known: "pl.DataFrame") -> Paired:
    from msgspec.structs import replace  # noqa: PLC0415  (beside the heavy ones)

    from bucle.gates.comparison import Rule, finite_or_none  # noqa: PLC0415  (heavy)
    from bucle.gates.gains import bound_gain  # noqa: PLC0415  (heavy)

    gates = workspace.charter.gates
    truth, loss = _floats(known, "truth"), loss_of(workspace, paired.metric)
    try:
        champion, challenger = (
            loss(truth, _floats(known, name)) for name in ("champion", "challenger")
        )
    except EvidenceError:  # labels that this metric has no value for
        return paired
    gain = bound_gain(champion, challenger, rule=Rule(confidence=gates.confidence, looks="many"))
    return replace(
        paired,
        gain=finite_or_none(gain.estimate),
        low=finite_or_none(gain.low),
        high=finite_or_none(gain.high),
        labels_needed=gain.labels_needed,
    )


def _both(rows: "pl.DataFrame", champion: str, challenger: str) -> "pl.DataFrame":
    """Return a row for each answer with the predictions of both."""
    import polars as pl  # noqa: PLC0415  (heavy)

    answers = rows.filter(pl.col("role") != "shadow").select(
        "id", "at", "model", "prediction", "truth"
    )
    beside = rows.filter(pl.col("role") == "shadow").select(
        pl.col("of").alias("id"),
        pl.col("model").alias("other"),
        pl.col("prediction").alias("said"),
    )
    pairs = answers.join(beside, on="id", how="inner")
    is_first = (pl.col("model") == champion) & (pl.col("other") == challenger)
    is_second = (pl.col("model") == challenger) & (pl.col("other") == champion)
    return pairs.filter(is_first | is_second).select(
        "at",
        "truth",
        champion=pl.when(is_first).then(pl.col("prediction")).otherwise(pl.col("said")),
        challenger=pl.when(is_first).then(pl.col("said")).otherwise(pl.col("prediction")),
    )


def _labelled_since(
    workspace: Workspace, moment: datetime, signature: Signature
) -> "pl.DataFrame | None":
    """Return predictions since a moment with their truth as a number; None before the first."""
    folder = workspace.home / "serve" / "log"
    if not folder.is_dir() and workspace.tables.version("predictions") is None:
        return None
    from bucle.loop.genuine import label_predictions, read_predictions  # noqa: PLC0415  (heavy)

    predictions = read_predictions(workspace, columns=_COLUMNS, since=moment)
    return label_predictions(workspace, predictions, signature)


def _metric(charter: Charter, signature: Signature) -> str:
    from bucle.gates.referee import deciding_metric  # noqa: PLC0415  (heavy)

    return deciding_metric(charter.charter.kpis, kind=signature.kind)


def _error(
    workspace: Workspace, known: "pl.DataFrame", signature: Signature
) -> tuple[str, float | None]:
    from bucle.models.metrics import measure  # noqa: PLC0415  (heavy)

    metric = _metric(workspace.charter, signature)
    if not known.height:
        return metric, None
    try:
        found = measure(
            signature.kind,
            _floats(known, "truth"),
            _floats(known, "prediction"),
            threshold=workspace.charter.gates.threshold,
            cost=_cost(workspace, metric),
        )
    except EvidenceError:  # labels that measure nothing, such as 7 for a yes or no
        return metric, None
    return metric, found.get(metric)


def _cost(workspace: Workspace, metric: str) -> Any:
    from bucle.models.money import cost_function  # noqa: PLC0415  (heavy)

    if metric != "money":
        return None
    charter = workspace.charter
    return cost_function(
        charter.charter.money, root=workspace.root, threshold=charter.gates.threshold
    )


def _coverage(known: "pl.DataFrame") -> float | None:
    import polars as pl  # noqa: PLC0415  (heavy)

    with_ends = known.filter(pl.col("low").is_not_null())
    if not with_ends.height:
        return None
    return with_ends.filter(pl.col("truth").is_between("low", "high")).height / with_ends.height


def _floats(frame: "pl.DataFrame", name: str) -> "Floats":
    found: Floats = frame[name].to_numpy()
    return found


def _quantile(values: "pl.Series", part: float) -> float:
    found = values.quantile(part, interpolation="higher")
    return 0.0 if found is None else float(found)


def _most_first(group: tuple[Any, "pl.DataFrame"]) -> tuple[int, str]:
    return -group[1].height, str(group[0])
