"""What was seen of the model beside the champion: the evidence that leads or ends a deployment.

A projection of the prediction log, of the labels that came and of what the workers counted.
Imports polars and numpy where something was predicted.
"""

import math
from typing import TYPE_CHECKING

from bucle.clock import from_iso
from bucle.loop.observations import ChallengerSeen
from bucle.loop.registry import open_champion
from bucle.loop.state import State
from bucle.loop.workspace import Workspace
from bucle.models.registry import Deployment, champion
from bucle.models.signature import Signature
from bucle.serve.counts import Counts, total

if TYPE_CHECKING:
    import polars as pl

    from bucle.loop.watching.pairs import PairSums, Spread

__all__ = ["is_shunned", "see_challenger"]

_LEAST_MS = 5.0
"""Below it nobody notices, and the times of two quick models are mostly noise."""

_TAIL = 0.99
_LEAST_ABOVE = 10
_LEAST_TIMES = 20
_LEAST_PAIRS = 2


def see_challenger(workspace: Workspace, state: State, *, baked_s: float) -> ChallengerSeen | None:
    """Return what is known of the deployed model now; None where none is deployed.

    Args:
        workspace: The project.
        state: What is true; the deployment and the champion are taken from it.
        baked_s: For how long it was watched at its present share.

    Raises:
        DigestMismatchError: The prediction log is not what was written.
    """
    deployed, reigning = state.deployment, champion(state.tenures)
    package = open_champion(workspace, state)
    if deployed is None or reigning is None or package is None:
        return None
    from bucle.gates.referee import deciding_metric  # noqa: PLC0415  (heavy)

    charter, signature = workspace.charter, package.signature
    metric = deciding_metric(charter.charter.kpis, kind=signature.kind)
    found = _kept(workspace, deployed, reigning.model, signature, metric)
    if found is None:
        found = _whole(workspace, deployed, reigning.model, signature)
    counted = _counted(workspace)
    return ChallengerSeen(
        champion=reigning.model,
        model=deployed.model,
        share=deployed.share,
        baked_s=round(baked_s, 3),
        failures=counted.get(f"{deployed.model}\tfailed", 0),
        is_shunned=_shunned(deployed.model) in counted,
        labelled=found.labelled,
        gain=found.gain.estimate if found.labelled >= _LEAST_PAIRS else None,
        low=found.gain.low,
        high=found.gain.high,
        pairs=found.pairs,
        answers=found.answers,
        slower=_slower(found),
    )


def _kept(
    workspace: Workspace, deployed: Deployment, reigning: str, signature: Signature, metric: str
) -> "PairSums | None":
    """Return what was seen of the pairs by what was kept of them; None where nothing can be."""
    from bucle.gates.comparison import Rule  # noqa: PLC0415  (heavy)
    from bucle.loop.activity import loss_of, ripe_until  # noqa: PLC0415  (beside the heavy ones)
    from bucle.loop.watching.pairs import Pairing, sum_pairs  # noqa: PLC0415  (heavy)

    pairing = Pairing(
        champion=reigning,
        challenger=deployed.model,
        signature=signature,
        began=from_iso(deployed.began),
        since=from_iso(deployed.since),
        metric=metric,
        losses=loss_of(workspace, metric),
        rule=Rule(confidence=workspace.charter.gates.confidence, looks="many"),
    )
    return sum_pairs(workspace, pairing, ripe_until=ripe_until(workspace))


def _whole(
    workspace: Workspace, deployed: Deployment, reigning: str, signature: Signature
) -> "PairSums":
    """Return what was seen of the pairs by reading all of them."""
    import polars as pl  # noqa: PLC0415  (heavy)

    from bucle.gates.moments import Bounds  # noqa: PLC0415  (heavy)
    from bucle.loop.activity import pairs_since  # noqa: PLC0415  (beside the heavy ones)
    from bucle.loop.genuine import read_predictions  # noqa: PLC0415  (heavy)
    from bucle.loop.watching.pairs import PairSums  # noqa: PLC0415  (heavy)

    paired = pairs_since(
        workspace,
        from_iso(deployed.began),
        champion=reigning,
        challenger=deployed.model,
        signature=signature,
        is_ripe=True,
    )
    columns = ("id", "of", "at", "model", "role", "latency_us")
    rows = read_predictions(workspace, columns=columns, since=from_iso(deployed.since))
    rows = rows.filter(pl.col("model").is_in([reigning, deployed.model]))
    answers = rows.filter(pl.col("role") != "shadow")
    beside = rows.filter(pl.col("role") == "shadow").select(
        pl.col("of").alias("id"), other=pl.col("model"), other_us=pl.col("latency_us")
    )
    pairs = answers.join(beside, on="id", how="inner").filter(pl.col("model") != pl.col("other"))
    scored = pairs.filter(pl.col("other") == deployed.model)
    by_model = [
        _spread(answers.filter(pl.col("model") == name), "latency_us")
        for name in (reigning, deployed.model)
    ]
    return PairSums(
        pairs=pairs.height,
        answers=int((pairs["model"] == deployed.model).sum()),
        champion=by_model[0],
        challenger=by_model[1],
        answered=_spread(scored, "latency_us"),
        beside=_spread(scored, "other_us"),
        labelled=paired.labelled,
        gain=Bounds(estimate=paired.gain, low=paired.low, high=paired.high),
    )


def is_shunned(workspace: Workspace, model: str) -> bool:
    """Tell whether workers died with a model and let it in no more; reads no predictions."""
    return _shunned(model) in _counted(workspace)


def _counted(workspace: Workspace) -> dict[str, int]:
    return total(Counts(), workspace.home / "serve").predictions


def _shunned(model: str) -> str:
    return f"{model}\tshunned"


def _spread(frame: "pl.DataFrame", name: str) -> "Spread":
    """Return how many requests took how long; rows of one request share one time."""
    times = frame.select("at", us=name).unique()["us"].value_counts()
    return dict(times.iter_rows())


def _slower(found: "PairSums") -> float | None:
    """Return how many times as long the challenger takes; None where there are too few."""
    slower = _ratio(found.challenger, found.champion)
    if slower is None:
        # A shadow is scored between answers and waits for them: only what is usual can be compared.
        slower = _ratio(found.beside, found.answered, most=0.5)
    return slower


def _ratio(own: "Spread", other: "Spread", *, most: float = _TAIL) -> float | None:
    """Compare the times of two models; None where there are too few.

    Requests count, whose rows share one time. A percentile is compared that at least ten times lie
    above, up to `most`: the slowest of a few says more of the machine than of a model.
    """
    count = min(sum(own.values()), sum(other.values()))
    if count < _LEAST_TIMES:
        return None
    level = min(most, 1 - _LEAST_ABOVE / count)
    mine, its = (max(_quantile(spread, level) / 1000, _LEAST_MS) for spread in (own, other))
    return round(mine / its, 4)


def _quantile(spread: "Spread", level: float) -> int:
    """Return the first time that at least a share of the requests took no longer than."""
    left = math.ceil(level * (sum(spread.values()) - 1))
    for us, requests in sorted(spread.items()):
        if left < requests:
            return us
        left -= requests
    return 0
