"""Whose word a model waits for, and else what became of it. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from bucle.loop.state import RunRecord, State
from bucle.loop.twins import alike, twins
from bucle.models.registry import champion, was_rolled_back

__all__ = ["Word", "find_candidate", "missing_words", "promoting", "why_never", "why_not_awaited"]


class Word(Struct, frozen=True, kw_only=True):
    """A word that a model waits for: whose, why, and the command that gives it.

    `role` is one that the charter asks for, empty where any person may say it.
    """

    model: str
    why: str
    command: str
    role: str = ""

    @property
    def said(self) -> str:
        """Both in one line."""
        return f"{self.why}: {self.command}"


def missing_words(
    state: State, run: RunRecord, model: str, *, approval: tuple[str, ...], promote: str
) -> Iterator[Word]:
    """Return the words that a model which passed still waits for, the one to be given first first.

    Args:
        state: What is true.
        run: The run whose model it is.
        model: The model version that would answer.
        approval: The roles that the charter asks for.
        promote: `ask` where the charter wants a person to promote, else `auto`.
    """
    given = {role for name in twins(state, model) for role in state.approvals.get(name, ())}
    for role in approval:
        if role not in given:
            call = f'bucle approve {model} --as {role} --because "..."'
            yield Word(model=model, why=f"it waits for {role}", command=call, role=role)
    if promote == "ask":
        call = promoting(state, model)
        yield Word(model=model, why="it waits for a person", command=call)
    never = why_never(state, run, model)
    if never is not None:
        yield never


def why_never(state: State, run: RunRecord, model: str) -> Word | None:
    """Return the word without which a model that passed is never promoted; None for none."""
    if run.started.as_of is not None and not run.started.asked:
        why = "a look at an earlier moment promotes nothing by itself"
        return Word(model=model, why=why, command=promoting(state, model))
    versions = {twin for version in alike(state, model) for twin in twins(state, version)}
    if any(was_rolled_back(state.tenures, version) for version in versions):
        call = f'bucle promote {model} --because "..."'
        return Word(model=model, why="it passed, but was rolled back from before", command=call)
    return None


def promoting(state: State, model: str) -> str:
    """Return the command that promotes a model; only what the gate let pass needs no reason."""
    record = state.models.get(model)
    last = record.verdicts[-1].fact.verdict.outcome if record and record.verdicts else ""
    is_enough = last == "pass" and not was_rolled_back(state.tenures, model)
    return f"bucle promote {model}" + ("" if is_enough else ' --because "..."')


def find_candidate(state: State) -> tuple[RunRecord, str] | None:
    """Return the run and the model that may answer next: one on its way, or one that passed."""
    deployed = state.deployment
    if deployed is not None and deployed.run in state.runs:
        return state.runs[deployed.run], deployed.model
    run = state.runs.get(state.ended or "")
    model = run.finished.tested if run is not None and run.finished is not None else None
    record = state.models.get(model or "")
    if run is None or record is None or not record.verdicts:
        return None
    is_passed = record.verdicts[-1].fact.verdict.outcome == "pass"
    return (run, record.model) if is_passed and not why_not_awaited(state, record.model) else None


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
