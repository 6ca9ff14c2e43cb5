"""Promotion and rollback: the registry's acts, and its lists as projections of the log.

A model is loaded in a limited child process before it may become champion; the act itself is one
durable event, so that a crash leaves the old champion or the new one, never none.
"""

from msgspec import Struct

from bucle.errors import RequestError, StalePositionError, UnknownNameError, nearest
from bucle.loop.alarms.closing import alarms_ended_by
from bucle.loop.events import Fact, Promoted, RolledBack, Withdrawn
from bucle.loop.state import ModelRecord, State
from bucle.loop.workspace import Workspace
from bucle.models.package import Package, open_package
from bucle.models.registry import Tenure, champion, last_good, was_rolled_back

__all__ = [
    "ChampionChange",
    "ListedModel",
    "champion_history",
    "check_loads",
    "find_model",
    "latest_outcome",
    "list_models",
    "open_champion",
    "promote_model",
    "roll_back",
]

_ATTEMPTS = 5


class ListedModel(Struct, frozen=True, kw_only=True):
    """A model version as people list it."""

    model: str
    run: str
    at: str
    metrics: dict[str, float]
    champion: bool
    outcome: str | None


class ChampionChange(Struct, frozen=True, kw_only=True):
    """What a promotion or a rollback did; `changed` is False when it was so already.

    `withdrew` is the canary that was taken away instead, the champion staying.
    """

    model: str
    previous: str | None
    changed: bool
    withdrew: str | None = None


def list_models(state: State) -> tuple[ListedModel, ...]:
    """List model versions, oldest first."""
    current = champion(state.tenures)
    return tuple(
        ListedModel(
            model=record.model,
            run=record.runs[-1] if record.runs else "",
            at=record.at,
            metrics=record.metrics,
            champion=current is not None and current.model == record.model,
            outcome=latest_outcome(record),
        )
        for record in state.models.values()
    )


def champion_history(state: State) -> tuple[Tenure, ...]:
    """List who was champion, oldest first."""
    return state.tenures


def latest_outcome(record: ModelRecord) -> str | None:
    """Return what the referee said last of a model; None when it was never judged."""
    return record.verdicts[-1].fact.verdict.outcome if record.verdicts else None


def find_model(state: State, name: str) -> ModelRecord:
    """Find a model version by its id or the start of it.

    Raises:
        UnknownNameError: None or several begin like that.
    """
    exact = state.models.get(name)
    if exact is not None:
        return exact
    fitting = [model for model in state.models if len(name) > 2 and model.startswith(name)]  # noqa: PLR2004
    if len(fitting) == 1:
        return state.models[fitting[0]]
    raise UnknownNameError(
        f"There is no model version {name!r}"
        if not fitting
        else f"{len(fitting)} model versions begin with {name!r}",
        did_you_mean=fitting or nearest(name, list(state.models)),
        attempt="bucle models",
        code="bucle-220",
    )


def open_champion(workspace: Workspace, state: State) -> Package | None:
    """Return the champion's package, verified; None where there is no champion.

    Raises:
        PackageError: It is damaged, or another one than is on record.
    """
    reigning = champion(state.tenures)
    if reigning is None:
        return None
    record = state.models.get(reigning.model)
    return open_package(
        workspace.packages,
        reigning.model,
        project=workspace.root,
        digest=record.digest if record else None,
    )


def promote_model(workspace: Workspace, name: str, *, because: str = "") -> ChampionChange:
    """Make a model version the champion.

    A model that the referee has not passed, or that was rolled back from, needs a person's
    reason, which the log keeps.

    Raises:
        RequestError: It was not passed and no reason is given.
        PackageError: Its package does not load in a limited child process.
    """
    for _ in range(_ATTEMPTS):
        state = workspace.state()
        record = find_model(state, name)
        current = champion(state.tenures)
        if current and current.model == record.model:
            return ChampionChange(model=record.model, previous=None, changed=False)
        outcome = latest_outcome(record)
        again = was_rolled_back(state.tenures, record.model)
        if (outcome != "pass" or again) and not because.strip():
            raise RequestError(
                f"Cannot promote {record.model}: "
                + (
                    "it was rolled back from" if again else f"its verdict is {outcome or 'missing'}"
                ),
                cause="only a passed gate or a person's reason makes a champion",
                attempt=f'bucle promote {record.model} --because "..."',
                code="bucle-221",
            )
        check_loads(workspace, record.model, digest=record.digest)
        fact = Promoted(
            model=record.model,
            because=because.strip() or "the gate passed",
            verdict=outcome or "",
            previous=current.model if current else None,
        )
        cause = record.verdicts[-1].event if record.verdicts else ""
        try:
            over = alarms_ended_by(state, fact.model)
            workspace.record(fact, *over, expected=state.position, cause=cause)
        except StalePositionError:
            continue
        return ChampionChange(model=record.model, previous=fact.previous, changed=True)
    raise _crowded("promote", name)


def roll_back(workspace: Workspace, *, to: str | None = None, because: str = "") -> ChampionChange:
    """Put an earlier champion back: the last good one, or the one that is named.

    Where a canary answers and none is named, the canary is what is undone: it is withdrawn and
    the champion stays.

    Raises:
        RequestError: There is no champion, or no earlier one to go back to.
        PackageError: The earlier package does not load; the champion stays.
    """
    for _ in range(_ATTEMPTS):
        state = workspace.state()
        current = champion(state.tenures)
        if current is None:
            raise RequestError(
                "Cannot roll back: there is no champion", attempt="bucle run", code="bucle-222"
            )
        reason = because.strip() or "a person asked for it"
        deployed = state.deployment
        if to is None and deployed is not None and deployed.stage == "canary":
            facts: tuple[Fact, ...] = (Withdrawn(model=deployed.model, because=reason),)
            change = ChampionChange(
                model=current.model, previous=None, changed=False, withdrew=deployed.model
            )
        else:
            target = _rollback_target(state, current, to)
            digest = find_model(state, target).digest
            # It was champion: where it was tried as it is now, nobody waits for another trial.
            check_loads(workspace, target, digest=digest, anew=False)
            back = RolledBack(model=target, previous=current.model, because=reason)
            facts = (back, *alarms_ended_by(state, target))
            change = ChampionChange(model=target, previous=current.model, changed=True)
        try:
            workspace.record(*facts, expected=state.position)
        except StalePositionError:
            continue
        return change
    raise _crowded("roll back to", to or "the last good champion")


def check_loads(workspace: Workspace, model: str, *, digest: str | None, anew: bool = True) -> None:
    """Load a package in a limited child process; nothing of it runs in this one.

    Args:
        workspace: The project.
        model: Which package.
        digest: What the log says its digest is; the id alone is its beginning.
        anew: Load it also where that was done before, with the same code and libraries.

    Raises:
        UnknownNameError: It is missing.
        PackageError: It is another one, damaged, or does not load within the limits.
    """
    from bucle.loop.trials import require_trial  # noqa: PLC0415  (used late)

    package = open_package(workspace.packages, model, project=workspace.root, digest=digest)
    require_trial(workspace, package, anew=anew)


def _rollback_target(state: State, current: Tenure, to: str | None) -> str:
    if to is not None:
        target = find_model(state, to).model
        served = [tenure.model for tenure in state.tenures]
        if target == current.model or target not in served:
            raise RequestError(
                f"Cannot roll back to {target}: it "
                + ("is the champion" if target == current.model else "was never champion"),
                attempt="bucle history",
                code="bucle-223",
            )
        return target
    earlier = last_good(state.tenures)
    if earlier is None:
        raise RequestError(
            f"Cannot roll back from {current.model}: there is no earlier champion",
            attempt="bucle history",
            code="bucle-224",
        )
    return earlier.model


def _crowded(act: str, name: str) -> RequestError:
    return RequestError(
        f"Cannot {act} {name}: other processes kept changing the log",
        attempt="the same command again",
        code="bucle-225",
    )
