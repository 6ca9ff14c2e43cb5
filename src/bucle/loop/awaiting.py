"""Whether a model still waits for a person's word, and else what became of it. Pure."""

from bucle.loop.state import State
from bucle.loop.twins import twins
from bucle.models.registry import champion, was_rolled_back

__all__ = ["why_not_awaited"]


def why_not_awaited(state: State, model: str) -> str:
    """Say why a role's word on a model changes nothing any more; empty where it is waited for.

    Args:
        state: What is true.
        model: A model version that is on record.
    """
    names, reigning, deployed = twins(state, model), champion(state.tenures), state.deployment
    if reigning is not None and reigning.model in names:
        return f"{reigning.model} is champion since {reigning.since[:16]} UTC"
    if deployed is not None and deployed.model in names:
        return ""
    left = next((state.withdrawn[name] for name in sorted(names) if name in state.withdrawn), None)
    if left is not None:
        return f"it was taken away on {left.at[:16]} UTC: {left.because}"
    if any(was_rolled_back(state.tenures, name) for name in names):
        return "it was rolled back from, and comes back by bucle promote alone"
    run = state.runs.get(state.ended or "")
    ended = run.finished if run is not None else None
    last = {ended.tested, ended.model} if ended is not None else {model}
    if not last & names:
        return f"the run {state.ended} has come after it"
    verdicts = [
        one for name in names if name in state.models for one in state.models[name].verdicts
    ]
    outcome = verdicts[-1].fact.verdict.outcome if verdicts else "pass"
    return "" if outcome == "pass" else f"the gate says {outcome}"
