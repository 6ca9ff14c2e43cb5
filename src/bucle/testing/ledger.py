"""A second account of the log, kept by other hands than the fold: what the checkers go by.

It reads event bodies as they are and shares no code with `bucle.loop.state`. Must not be imported
by anything but tests.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bucle.types import Event

__all__ = ["PERSON", "Begun", "Beside", "Ledger", "Reign", "Ruling"]

PERSON = "ana"


@dataclass(frozen=True, kw_only=True)
class Reign:
    """A model that became champion, and how; `action` is empty when a person said so."""

    model: str
    how: str
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What the referee said of a run's model, beside a champion."""

    champion: str | None
    outcome: str


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run: who asked for it, of which moment it is, when it began, from which code."""

    asked: str
    as_of: str | None
    at: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A model beside the champion: where it is, by which way it came there, what was seen of it.

    `began` is the position at which it was deployed, `position` the one at which it came to its
    share, `at_s` that moment by the true time. `path` are the shares that it has been at.
    """

    model: str
    champion: str
    share: float
    run: str
    is_former: bool
    is_persons: bool
    began: int
    position: int
    at_s: float
    path: tuple[float, ...]
    seen: dict[str, Any] | None = None

    @property
    def is_led(self) -> bool:
        """Tell whether the loop leads it from share to share."""
        return not self.is_persons and not self.is_former


def _right() -> float:
    return 0.0


@dataclass(kw_only=True)
class Ledger:
    """Who reigned, what was made, judged and refitted, and which actions had their effect.

    `models` holds what each was fitted as, empty for a refit; `elapsed_s` is the true time, which
    nobody can set wrong.
    """

    hashes: list[str] = field(default_factory=list)
    reigns: list[Reign] = field(default_factory=list)
    acted: set[str] = field(default_factory=set)
    begun: dict[str, Begun] = field(default_factory=dict)
    tested: dict[str, str | None] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    rulings: dict[tuple[str, str], list[Ruling]] = field(default_factory=dict)
    refits: dict[str, tuple[str, str | None, str]] = field(default_factory=dict)
    window_ends: dict[tuple[str, str], str] = field(default_factory=dict)
    last_begun_at: str = ""
    beside: Beside | None = None
    alarms: dict[str, dict[str, Any]] = field(default_factory=dict)
    approvals: dict[str, set[str]] = field(default_factory=dict)
    is_paused: bool = False
    asks: int = 0
    code: str = ""
    elapsed_s: Callable[[], float] = _right

    @property
    def champion(self) -> str | None:
        """Who reigns."""
        return self.reigns[-1].model if self.reigns else None

    def was_left(self, model: str) -> bool:
        """Tell whether the last reign of a model was ended by rolling back from it."""
        at = max((at for at, reign in enumerate(self.reigns) if reign.model == model), default=-1)
        return 0 <= at < len(self.reigns) - 1 and self.reigns[at + 1].how == "rolled_back"

    def unfinished(self) -> set[str]:
        """Return the runs that an action asked for and that have not ended."""
        return {run for run, one in self.begun.items() if one.asked and run not in self.tested}

    def asked_runs(self) -> int:
        """Return how many runs an action asked for."""
        return sum(bool(one.asked) for one in self.begun.values())

    def trainings(self) -> int:
        """Return how many runs an action asked for, and refits that became champion."""
        reigned = {reign.model for reign in self.reigns}
        return self.asked_runs() + sum(model in reigned for _, model, _ in self.refits.values())

    def is_stopgap(self) -> bool:
        """Tell whether the champion is an earlier one that somebody went back to."""
        return bool(self.reigns) and self.reigns[-1].how == "rolled_back"

    def has_harm(self) -> bool:
        """Tell whether an alarm about the champion's errors is open."""
        return any(one["layer"] == "harm" for one in self.alarms.values())

    def enter(self, event: Event) -> bool:
        """Take in an event; tell whether its effect is one that was not counted before."""
        self.hashes.append(event.hash)
        action = str(event.body.get("action", ""))
        if action:
            if action in self.acted:
                return False
            self.acted.add(action)
        enter = getattr(self, f"_enter_{event.kind}", None)
        if enter is not None:
            enter(event)
        return True

    def _enter_run_started(self, event: Event) -> None:
        body = event.body
        if body["run"] not in self.begun:
            self.begun[body["run"]] = Begun(
                asked=body["asked"], as_of=body["as_of"], at=event.at, code=body["code"]
            )
            self.last_begun_at = event.at
            self.code = body["code"] if body["source"] else self.code

    def _enter_run_finished(self, event: Event) -> None:
        body = event.body
        if body["run"] not in self.tested:
            self.tested[body["run"]] = body["tested"]
            for name in (body["model"], body["tested"]):
                if name:
                    self.models[name] = body["fit"] if name == body["tested"] else ""

    def _enter_verdict_given(self, event: Event) -> None:
        verdict = event.body["verdict"]
        ruling = Ruling(champion=verdict["champion"], outcome=verdict["outcome"])
        self.rulings.setdefault((event.body["run"], verdict["challenger"]), []).append(ruling)

    def _enter_refitted(self, event: Event) -> None:
        body = event.body
        self.refits[body["run"]] = (body["tested"], body["model"], body["outcome"])
        if body["model"]:
            self.models.setdefault(body["model"], "")

    def _enter_promoted(self, event: Event) -> None:
        body = event.body
        if self.champion != body["model"]:
            self.reigns.append(Reign(model=body["model"], how=event.kind, action=body["action"]))
            self.beside = None
            kept = {name: one for name, one in self.alarms.items() if one["layer"] == "contract"}
            self.alarms = kept

    def _enter_rolled_back(self, event: Event) -> None:
        self._enter_promoted(event)

    def _enter_window_judged(self, event: Event) -> None:
        key = (event.kind, event.body["model"])
        self.window_ends[key] = max(self.window_ends.get(key, ""), event.body["end"])

    def _enter_drift_measured(self, event: Event) -> None:
        self._enter_window_judged(event)

    def _enter_deployed(self, event: Event) -> None:
        body, before = event.body, self.beside
        model, share, reigning = body["model"], body["share"], self.champion
        if reigning is None or body["champion"] != reigning or model == reigning:
            return
        is_same = before is not None and before.model == model
        if before is not None and is_same and before.share == share:
            return
        is_led = bool(body["run"])
        goes_on = before is not None and is_same and is_led and before.run == body["run"]
        self.beside = Beside(
            model=model,
            champion=reigning,
            share=share,
            run=body["run"],
            is_former=body["is_former"],
            is_persons=not is_led and not body["is_former"],
            began=before.began if before is not None and is_same else event.position,
            position=event.position,
            at_s=self.elapsed_s(),
            path=(*before.path, share) if before is not None and goes_on else (share,),
        )

    def _enter_withdrawn(self, event: Event) -> None:
        if self.beside is not None and self.beside.model == event.body["model"]:
            self.beside = None

    def _enter_challenger_seen(self, event: Event) -> None:
        body, beside = event.body, self.beside
        if beside is None or (body["champion"], body["model"], body["share"]) != (
            beside.champion,
            beside.model,
            beside.share,
        ):
            return
        if beside.seen is None or body["baked_s"] >= beside.seen["baked_s"]:
            self.beside = replace(beside, seen=body)

    def _enter_alarm_raised(self, event: Event) -> None:
        self.alarms.setdefault(f"{event.body['layer']}/{event.body['subject']}", event.body)

    def _enter_alarm_resolved(self, event: Event) -> None:
        self.alarms.pop(f"{event.body['layer']}/{event.body['subject']}", None)

    def _enter_approved(self, event: Event) -> None:
        self.approvals.setdefault(event.body["model"], set()).add(event.body["role"])

    def _enter_paused(self, event: Event) -> None:
        del event
        self.is_paused = True

    def _enter_resumed(self, event: Event) -> None:
        del event
        self.is_paused = False

    def _enter_retrain_asked(self, event: Event) -> None:
        del event
        self.asks += 1

    def _enter_code_seen(self, event: Event) -> None:
        self.code = event.body["code"] or self.code
