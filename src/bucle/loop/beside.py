"""What was seen of the model beside the champion: the evidence that leads or ends a deployment.

A projection of the prediction log, of the labels that came and of what the workers counted.
Imports polars and numpy where something was predicted.
"""

from typing import TYPE_CHECKING

import msgspec

from bucle.clock import from_iso
from bucle.loop.observations import ChallengerSeen
from bucle.loop.registry import open_champion
from bucle.loop.state import State
from bucle.loop.workspace import Workspace
from bucle.models.registry import champion
from bucle.serve.counts import Counts, total

if TYPE_CHECKING:
    import polars as pl

__all__ = ["is_shunned", "see_challenger"]

_LEAST_MS = 5.0
"""Below it nobody notices, and the times of two quick models are mostly noise."""

_TAIL = 0.99
_LEAST_ABOVE = 10
_LEAST_TIMES = 20


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
    from bucle.loop.activity import pairs_since  # noqa: PLC0415  (heavy)

    paired = pairs_since(
        workspace,
        from_iso(deployed.began),
        champion=reigning.model,
        challenger=deployed.model,
        signature=package.signature,
        is_ripe=True,
    )
    counted = _counted(workspace)
    seen = ChallengerSeen(
        champion=reigning.model,
        model=deployed.model,
        share=deployed.share,
        baked_s=round(baked_s, 3),
        failures=counted.get(f"{deployed.model}\tfailed", 0),
        is_shunned=_shunned(deployed.model) in counted,
        labelled=paired.labelled,
        gain=paired.gain,
        low=paired.low,
        high=paired.high,
    )
    return _at_share(workspace, seen, since=deployed.since)


def is_shunned(workspace: Workspace, model: str) -> bool:
    """Tell whether workers died with a model and let it in no more; reads no predictions."""
    return _shunned(model) in _counted(workspace)


def _counted(workspace: Workspace) -> dict[str, int]:
    return total(Counts(), workspace.home / "serve", worker=-1).predictions


def _shunned(model: str) -> str:
    return f"{model}\tshunned"


def _at_share(workspace: Workspace, seen: ChallengerSeen, *, since: str) -> ChallengerSeen:
    """Add what was seen since the model came to its present share."""
    from bucle.loop.genuine import read_predictions  # noqa: PLC0415  (heavy)

    log = workspace.home / "serve" / "log"
    if not log.is_dir() and workspace.tables.version("predictions") is None:
        return seen
    rows = read_predictions(
        workspace, columns=("id", "of", "at", "model", "role", "latency_us"), since=from_iso(since)
    )
    pairs, slower = _pair_up(rows, seen)
    return msgspec.structs.replace(
        seen,
        pairs=pairs.height,
        answers=int((pairs["model"] == seen.model).sum()),
        slower=slower,
    )


def _pair_up(rows: "pl.DataFrame", seen: ChallengerSeen) -> "tuple[pl.DataFrame, float | None]":
    """Return rows that both models scored, and how many times as long the challenger takes."""
    import polars as pl  # noqa: PLC0415  (heavy)

    both = {seen.model, seen.champion}
    answers = rows.filter((pl.col("role") != "shadow") & pl.col("model").is_in(both))
    beside = rows.filter((pl.col("role") == "shadow") & pl.col("model").is_in(both)).select(
        pl.col("of").alias("id"),
        other=pl.col("model"),
        other_us=pl.col("latency_us"),
    )
    pairs = answers.join(beside, on="id", how="inner").filter(pl.col("model") != pl.col("other"))
    own, other = (
        answers.filter(pl.col("model") == name).select("at", us="latency_us")
        for name in (seen.model, seen.champion)
    )
    slower = _ratio(own, other)
    if slower is None:
        # A shadow is scored between answers and waits for them: only what is usual can be compared.
        scored = pairs.filter(pl.col("other") == seen.model)
        slower = _ratio(
            scored.select("at", us="other_us"), scored.select("at", us="latency_us"), most=0.5
        )
    return pairs, slower


def _ratio(own: "pl.DataFrame", other: "pl.DataFrame", *, most: float = _TAIL) -> float | None:
    """Compare the times of two models; None where there are too few.

    Rows of one request share one time, so requests count. A percentile is compared that at least
    ten times lie above, up to `most`: the slowest of a few says more of the machine than of a
    model.
    """
    times = [frame.unique()["us"] for frame in (own, other)]
    count = min(len(series) for series in times)
    if count < _LEAST_TIMES:
        return None
    level = min(most, 1 - _LEAST_ABOVE / count)
    found = [series.quantile(level, interpolation="higher") or 0.0 for series in times]
    mine, its = (max(value / 1000, _LEAST_MS) for value in found)
    return round(mine / its, 4)
