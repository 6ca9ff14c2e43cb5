"""Deployment: a challenger put beside the champion, as a shadow or as a canary, and taken away.

A model is loaded in a limited child process first, and must answer the champion's requests. What
it then does is recorded beside each answer; a change of champion ends a deployment.
"""

from msgspec import Struct

from bucle.errors import RequestError, StalePositionError
from bucle.loop.events import Deployed, Withdrawn
from bucle.loop.registry import check_loads, find_model, latest_outcome
from bucle.loop.state import ModelRecord, State
from bucle.loop.workspace import Workspace
from bucle.models.package import open_package
from bucle.models.registry import Tenure, champion

__all__ = ["DeploymentChange", "deploy_model", "require_fitting", "withdraw"]

_ATTEMPTS = 5


class DeploymentChange(Struct, frozen=True, kw_only=True):
    """What a deployment did; `changed` is False when it was so already."""

    model: str
    champion: str
    share: float
    replaced: str | None = None
    changed: bool = True


def deploy_model(
    workspace: Workspace, name: str, *, share: float, because: str = ""
) -> DeploymentChange:
    """Put a model version beside the champion.

    Args:
        workspace: The project.
        name: A model version, or the start of its id.
        share: What part of the keys it answers, below 1; with 0 it is a shadow and answers none.
        because: Why; a canary that the referee has not passed needs a person's reason.

    Raises:
        RequestError: There is no champion, it is the champion, or a reason is missing.
        PackageError: It does not load, or cannot answer the champion's requests.
    """
    for _ in range(_ATTEMPTS):
        state = workspace.state()
        record = find_model(state, name)
        current = _require_other(state, record)
        outcome = latest_outcome(record)
        if share > 0 and outcome != "pass" and not because.strip():
            raise RequestError(
                f"Cannot let {record.model} answer: its verdict is {outcome or 'missing'}",
                cause="only a passed gate or a person's reason lets a model answer",
                attempt=f"bucle deploy {record.model} --shadow, or --because with a reason",
                code="bucle-373",
            )
        known = state.deployment
        same = known is not None and known.model == record.model
        if known is not None and same and known.share == share:
            return _change(record, current, share, changed=False)
        if not same:
            require_fitting(workspace, state, record, current)
        fact = Deployed(
            model=record.model,
            share=share,
            champion=current.model,
            because=because.strip() or ("a person asked for it" if not share else "it passed"),
        )
        try:
            workspace.record(fact, expected=state.position)
        except StalePositionError:
            continue
        replaced = known.model if known is not None and not same else None
        return _change(record, current, share, replaced=replaced)
    raise _crowded(name)


def withdraw(workspace: Workspace, *, because: str = "") -> str:
    """Take the challenger away and return which one it was.

    Raises:
        RequestError: There is none.
    """
    for _ in range(_ATTEMPTS):
        state = workspace.state()
        if state.deployment is None:
            raise RequestError(
                "Cannot withdraw: no model is deployed beside the champion",
                attempt="bucle status",
                code="bucle-374",
            )
        model = state.deployment.model
        fact = Withdrawn(model=model, because=because.strip() or "a person asked for it")
        try:
            workspace.record(fact, expected=state.position)
        except StalePositionError:
            continue
        return model
    raise _crowded("nothing")


def _require_other(state: State, record: ModelRecord) -> Tenure:
    current = champion(state.tenures)
    if current is None:
        raise RequestError(
            f"Cannot deploy {record.model}: there is no champion to stand beside",
            attempt=f"bucle promote {record.model}",
            code="bucle-371",
        )
    if current.model == record.model:
        raise RequestError(
            f"Cannot deploy {record.model}: it is the champion",
            attempt="bucle models",
            code="bucle-372",
        )
    return current


def require_fitting(
    workspace: Workspace,
    state: State,
    record: ModelRecord,
    current: Tenure,
    *,
    anew: bool = True,
) -> None:
    """Raise unless a challenger loads and takes what the champion's requests hold.

    It is loaded in a limited child process.

    Args:
        workspace: The project.
        state: What is on record.
        record: The challenger.
        current: The champion.
        anew: Load it also where that was done before, with the same code and libraries.

    Raises:
        PackageError: It does not load, or takes other requests.
    """
    from bucle.serve.slots import line_up  # noqa: PLC0415  (imports what serves)

    check_loads(workspace, record.model, digest=record.digest, anew=anew)
    known = state.models.get(current.model)
    signatures = [
        open_package(workspace.packages, model, project=workspace.root, digest=digest).signature
        for model, digest in (
            (current.model, known.digest if known else None),
            (record.model, record.digest),
        )
    ]
    line_up(*signatures)


def _change(
    record: ModelRecord,
    current: Tenure,
    share: float,
    *,
    replaced: str | None = None,
    changed: bool = True,
) -> DeploymentChange:
    return DeploymentChange(
        model=record.model, champion=current.model, share=share, replaced=replaced, changed=changed
    )


def _crowded(name: str) -> RequestError:
    return RequestError(
        f"Cannot deploy {name}: other processes kept changing the log",
        attempt="the same command again",
        code="bucle-225",
    )
