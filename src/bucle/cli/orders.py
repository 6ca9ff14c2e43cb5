"""What people tell the loop: retrain, approve, pause, resume; and ask of it: why not."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import msgspec

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.status_loop import ANEW, tell_action
from bucle.cli.terminal import Terminal
from bucle.cli.wording import tell_policy
from bucle.clock import to_iso
from bucle.errors import RequestError, nearest
from bucle.loop.awaiting import why_not_awaited
from bucle.loop.decide import Wait, decide
from bucle.loop.fact import Fact
from bucle.loop.live.rules import live_policy
from bucle.loop.orders import Approved, Paused, Resumed, RetrainAsked
from bucle.loop.registry import find_model
from bucle.loop.triggers import Standing, explain_triggers, why_idle
from bucle.loop.workspace import Workspace, open_workspace

__all__ = ["APPROVE", "PAUSE", "RESUME", "RETRAIN", "WHY_NOT"]

_WIDEST = 24


def _because(parser: ArgumentParser, what: str) -> None:
    project_arguments(parser)
    parser.add_argument("--because", required=True, metavar="REASON", help=what)


def _retrain_arguments(parser: ArgumentParser) -> None:
    _because(parser, "why a new model is wanted; it stays on record")


def _retrain(options: Namespace, terminal: Terminal) -> int:
    workspace = _open(options)
    fact, paused = RetrainAsked(because=_reason(options)), workspace.state().paused
    words = "asked for a retrain"
    if paused is not None:
        words += f"; it waits: the loop is paused since {paused[0][:16]} UTC ({paused[1]})"
    return _told(workspace, terminal, fact, words)


def _pause_arguments(parser: ArgumentParser) -> None:
    _because(parser, "why; it stays on record")


def _pause(options: Namespace, terminal: Terminal) -> int:
    workspace, because = _open(options), _reason(options)
    paused = workspace.state().paused
    if paused is not None:
        raise RequestError(
            "Cannot pause: the loop is paused already",
            cause=f"since {paused[0][:16]} UTC: {paused[1]}",
            attempt="bucle resume",
            code="bucle-422",
        )
    words = "paused: nothing new begins; a bad candidate is still taken away"
    return _told(workspace, terminal, Paused(because=because), words)


def _resume_arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("--because", default="", metavar="REASON", help="why")


def _resume(options: Namespace, terminal: Terminal) -> int:
    workspace = _open(options)
    if workspace.state().paused is None:
        raise RequestError(
            "Cannot resume: the loop is not paused", attempt="bucle why-not", code="bucle-423"
        )
    because = options.because.strip() or "a person said so"
    return _told(workspace, terminal, Resumed(because=because), "resumed")


def _approve_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model version, or the start of its id")
    parser.add_argument(
        "--as", required=True, dest="role", metavar="ROLE", help="a role of gates.approval"
    )
    _because(parser, "why it may answer; it stays on record")


def _approve(options: Namespace, terminal: Terminal) -> int:
    workspace, because = _open(options), _reason(options)
    state = workspace.state()
    record = find_model(state, options.model)
    asked = workspace.charter.gates.approval
    if options.role not in asked:
        raise RequestError(
            f"Cannot approve as {options.role!r}",
            cause=f"gates.approval asks for {', '.join(asked) or 'nobody'}",
            did_you_mean=nearest(options.role, list(asked)),
            attempt='approval = ["business"] in [gates]',
            code="bucle-424",
        )
    if options.role in state.approvals.get(record.model, ()):
        terminal.say(f"{record.model} is approved as {options.role} already")
        return 0
    over = why_not_awaited(state, record.model)
    if over:
        raise RequestError(
            f"Cannot approve {record.model}: nothing waits for it any more",
            cause=over,
            attempt="bucle status",
            code="bucle-426",
        )
    fact = Approved(model=record.model, role=options.role, because=because)
    return _told(workspace, terminal, fact, f"approved {record.model} as {options.role}")


def _why_not(options: Namespace, terminal: Terminal) -> int:
    workspace = _open(options)
    policy, now = live_policy(workspace.charter), workspace.clock.now()
    state = workspace.state()
    (action,) = decide(state, policy, now)
    triggers = explain_triggers(state, policy, now)
    terminal.answer(
        {
            "at": to_iso(now),
            "policy": policy.name,
            "action": None if isinstance(action, Wait) else action.name,
            "why": action.why,
            "settled": action.settled if isinstance(action, Wait) else "",
            "triggers": msgspec.to_builtins(triggers),
        }
    )
    if terminal.json:
        return 0
    tell_policy(terminal, policy.name, indent="policy    ")
    if isinstance(action, Wait):
        idle = why_idle(state, policy, now)
        _tell_waiting(terminal, action, triggers, idle=idle)
    else:
        terminal.paragraph(tell_action(state, action), indent=f"{'next':<10}")
    return 0


def _tell_waiting(
    terminal: Terminal, wait: Wait, triggers: Sequence[Standing], *, idle: str
) -> None:
    """Say why nothing is done: what stands in the way of all, then each trigger by its name."""
    before = wait.why.removesuffix(idle).removesuffix("; ") if triggers else wait.why
    width = max((len(one.trigger) for one in triggers if len(one.trigger) <= _WIDEST), default=0)
    label = f"{'why not':<10}"
    if before:
        terminal.paragraph(before, indent=label)
        label = " " * len(label)
    for one in triggers:
        name = one.trigger
        if len(name) > width:
            terminal.paragraph(name, indent=label)
            name, label = "", " " * len(label)
        terminal.paragraph(one.why, indent=f"{label}{name:<{width}}  ")
        label = " " * len(label)
    if wait.settled and wait.settled != wait.why:
        for number, line in enumerate(wait.settled.splitlines()):
            terminal.paragraph(line.strip(), indent=f"{'' if number else 'last run':<10}")
        if wait.settled.startswith("the run failed"):
            terminal.paragraph(f"Once that is mended: {ANEW}", indent=" " * 10)


def _open(options: Namespace) -> Workspace:
    return open_workspace(project_folder(options), overrides=options.set)


def _reason(options: Namespace) -> str:
    found: str = options.because.strip()
    if not found:
        raise RequestError(
            "Cannot go on without a reason",
            cause="--because is empty",
            attempt='--because "the new prices are in"',
            code="bucle-425",
        )
    return found


def _told(workspace: Workspace, terminal: Terminal, fact: Fact, words: str) -> int:
    """Put what a person said on record, and say so."""
    (event,) = workspace.record(fact)
    terminal.answer({"event": event.position, "kind": event.kind, **msgspec.to_builtins(fact)})
    if not terminal.json:
        terminal.say(words)
    return 0


RETRAIN = Handler(_retrain_arguments, _retrain, 'bucle retrain --because "the new prices are in"')
APPROVE = Handler(
    _approve_arguments, _approve, 'bucle approve m-1a2b --as business --because "agreed"'
)
PAUSE = Handler(_pause_arguments, _pause, 'bucle pause --because "stocktaking until Monday"')
RESUME = Handler(_resume_arguments, _resume, "bucle resume")
WHY_NOT = Handler(project_arguments, _why_not, "bucle why-not")
