"""A second account of the log, kept by other hands than the fold: what the checkers go by.

It reads event bodies as they are and shares no code with `bucle.loop.state`. Must not be imported
by anything but tests.
"""

from dataclasses import dataclass, field

from bucle.types import Event

__all__ = ["Ledger", "Reign", "Ruling"]


@dataclass(frozen=True, kw_only=True)
class Reign:
    """A model that became champion, and how."""

    model: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What the referee said of a run's model, beside a champion."""

    champion: str | None
    outcome: str


@dataclass(kw_only=True)
class Ledger:
    """Who reigned, what was made, judged and refitted, and which actions had their effect."""

    hashes: list[str] = field(default_factory=list)
    reigns: list[Reign] = field(default_factory=list)
    acted: set[str] = field(default_factory=set)
    begun: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    tested: dict[str, str | None] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    rulings: dict[tuple[str, str], list[Ruling]] = field(default_factory=dict)
    refits: dict[str, tuple[str, str | None, str]] = field(default_factory=dict)
    window_ends: dict[tuple[str, str], str] = field(default_factory=dict)
    last_begun_at: str = ""

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
        return {run for run, (asked, _) in self.begun.items() if asked and run not in self.tested}

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
            self.begun[body["run"]] = (body["asked"], body["as_of"])
            self.last_begun_at = event.at

    def _enter_run_finished(self, event: Event) -> None:
        body = event.body
        if body["run"] not in self.tested:
            self.tested[body["run"]] = body["tested"]
            self.models |= {name for name in (body["tested"], body["model"]) if name}

    def _enter_verdict_given(self, event: Event) -> None:
        verdict = event.body["verdict"]
        ruling = Ruling(champion=verdict["champion"], outcome=verdict["outcome"])
        self.rulings.setdefault((event.body["run"], verdict["challenger"]), []).append(ruling)

    def _enter_refitted(self, event: Event) -> None:
        body = event.body
        self.refits[body["run"]] = (body["tested"], body["model"], body["outcome"])
        if body["model"]:
            self.models.add(body["model"])

    def _enter_promoted(self, event: Event) -> None:
        if self.champion != event.body["model"]:
            self.reigns.append(Reign(model=event.body["model"], how=event.kind))

    def _enter_rolled_back(self, event: Event) -> None:
        self._enter_promoted(event)

    def _enter_window_judged(self, event: Event) -> None:
        key = (event.kind, event.body["model"])
        self.window_ends[key] = max(self.window_ends.get(key, ""), event.body["end"])

    def _enter_drift_measured(self, event: Event) -> None:
        self._enter_window_judged(event)
