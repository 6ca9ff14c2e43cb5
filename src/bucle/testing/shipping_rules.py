"""What must hold whenever the loop brings a model into service, or takes one away.

Told from the ledger, in other words than those of the controller. Must not be imported by anything
but tests.
"""

from collections.abc import Callable
from typing import Any

from bucle.loop.decide import Action, Deploy, Promote, RollBack, Withdraw
from bucle.loop.policy import Policy
from bucle.loop.rollout import Rollout
from bucle.testing.breach import expect, fail
from bucle.testing.ledger import Beside, Ledger
from bucle.testing.service import LEAST_SURE, spread
from bucle.types import Event

__all__ = ["ShippingRules"]

_NEW = {"run_started", "run_finished", "verdict_given", "refitted", "deployed", "promoted"}
_FAR_SLOWER = 2


class ShippingRules:
    """Checks what the loop says it did, before it counts.

    Args:
        ledger: What is so until now.
        policy: What the loop follows.
        gain: Returns what part of a champion's loss a model really saves.
    """

    def __init__(
        self, ledger: Ledger, policy: Policy, *, gain: Callable[[str, str], float]
    ) -> None:
        self._gain = gain
        self._ledger = ledger
        self._policy = policy

    @property
    def _rollout(self) -> Rollout:
        return self._policy.rollout or Rollout(shares=())

    @property
    def _shares(self) -> tuple[float, ...]:
        """The shares that a model must have been at before it may answer all."""
        return self._rollout.shares or (0.0,)

    def check(self, event: Event, action: Action | None) -> None:
        """Check a fact of the loop; `action` is the one whose effect it is."""
        if self._ledger.is_paused and event.kind in _NEW:
            fail(f"{event.kind} while the loop is paused")
        body = event.body
        match event.kind, action:
            case "promoted", Promote():
                self._check_promoted(body, action)
            case "deployed", Deploy():
                self._check_deployed(body, action)
            case "withdrawn", (Deploy() | RollBack()):
                self._check_given_up(body, action)
            case "withdrawn", Withdraw():
                self._check_withdrawn(body)
            case "rolled_back", RollBack():
                self._check_rolled_back(body)
            case (("promoted" | "deployed" | "withdrawn" | "rolled_back"), _):
                fail(f"{event.kind} of {body['model']}, which nobody decided")

    # ---- into service -----------------------------------------------------------

    def _check_promoted(self, body: dict[str, Any], action: Promote) -> None:
        ledger = self._ledger
        expect(body["model"], action.model, "promoted model")
        expect(action.previous, ledger.champion, "champion that is replaced")
        self._check_through(action.run, action.model)
        self._check_people(action)
        if self._policy.rollout is None or ledger.champion is None:
            return
        beside = self._led(action.run, action.model)
        expect(beside.path, self._shares, "shares that it has been at")
        self._check_evidence(beside)

    def _check_deployed(self, body: dict[str, Any], action: Deploy) -> None:
        ledger, share = self._ledger, body["share"]
        expect((body["model"], share, body["run"]), (action.model, action.share, action.run), "it")
        expect(body["champion"], ledger.champion, "champion beside which it is put")
        if self._policy.rollout is None:
            fail("a model was deployed though there is no rollout")
        if body["is_former"]:
            self._check_former(body)
            return
        self._check_through(action.run, action.model)
        if share > 0:
            self._check_people(action)
        beside, shares = ledger.beside, self._shares
        if share == shares[0]:
            if beside is not None and beside.is_persons:
                fail(f"{action.model} takes the place of {beside.model}, which a person deployed")
            return
        before = self._led(action.run, action.model)
        expect((*before.path, share), shares[: len(before.path) + 1], "shares, one after the other")
        self._check_evidence(before)

    def _check_former(self, body: dict[str, Any]) -> None:
        reigns = self._ledger.reigns
        if self._ledger.beside is not None:
            fail(f"{body['model']} takes the place of {self._ledger.beside.model}")
        is_loops = reigns[-1].how == "promoted" and reigns[-1].action
        if len(reigns) == 1 or not is_loops or reigns[-2].model != body["model"]:
            fail(f"{body['model']} is not the champion before this one")
        expect(body["share"], 0.0, "share of the champion before this one")

    def _check_through(self, run: str, model: str) -> None:
        """Check that what ships was tested and let through."""
        ledger = self._ledger
        tested, refit = ledger.tested.get(run), ledger.refits.get(run)
        if tested is None or not (model == tested or refit == (tested, model, "pass")):
            fail(f"{model} ships: neither tested nor a refit as good as its twin")
        if self._policy.gate != "none":
            rulings = ledger.rulings.get((run, tested), [])
            passed = [one.champion for one in rulings if one.outcome == "pass"]
            if ledger.champion not in passed:
                fail(f"{model} ships without a passed gate against {ledger.champion}")
        if ledger.begun[run].as_of is not None:
            fail(f"{model} ships from a look at an earlier moment")
        for name in {model} | self._alike(tested):
            if ledger.was_left(name):
                fail(f"{model} ships again after {name} was rolled back from")
        if ledger.champion in self._alike(tested):
            fail(f"{model} ships beside {ledger.champion}, which answers the same")

    def _alike(self, model: str) -> set[str]:
        """Return the versions of what was fitted as a model."""
        fits = self._ledger.models
        fit = fits.get(model)
        return {model} | {name for name, known in fits.items() if fit and known == fit}

    def _check_people(self, action: Promote | Deploy) -> None:
        model, tested = action.model, self._ledger.tested.get(action.run) or ""
        if self._policy.promote == "ask":
            fail(f"{model} ships though a person was to be asked")
        known = self._ledger.approvals
        approved = known.get(model, set()) | known.get(tested, set())
        for run, made in self._ledger.tested.items():
            if made == tested and run in self._ledger.refits:
                approved = approved | known.get(self._ledger.refits[run][1] or "", set())
        missing = set(self._policy.approval) - approved
        if missing:
            fail(f"{model} ships without the approval of {sorted(missing)}")

    def _led(self, run: str, model: str) -> Beside:
        """Return the model that the loop leads, which must be this one."""
        beside = self._ledger.beside
        if beside is None or not beside.is_led or (beside.run, beside.model) != (run, model):
            fail(f"{model} goes on, and is not the model that the loop leads")
        return beside

    def _check_evidence(self, beside: Beside) -> None:
        against = self._against(beside) or self._missing(beside)
        if against:
            fail(f"{beside.model} goes on from {beside.share:g}, and {against}")

    # ---- out of service ---------------------------------------------------------

    def _check_withdrawn(self, body: dict[str, Any]) -> None:
        beside = self._ledger.beside
        if beside is None or beside.model != body["model"]:
            fail(f"{body['model']} was taken away, and is not there")
        if beside.is_persons:
            fail(f"{body['model']} was taken away, which a person deployed")
        for_s = self._for_s(beside)
        if beside.is_former:
            if for_s < self._rollout.probation_s:
                fail(f"{body['model']} was taken away before the probation was over")
            labelled = beside.seen["labelled"] if beside.seen else 0
            really = self._gain(beside.model, beside.champion)
            if really > LEAST_SURE * spread(labelled):
                fail(f"{beside.champion} stays though {labelled} labels showed that it is worse")
        elif not self._against(beside) and for_s < self._rollout.deadline_s:
            fail(f"{body['model']} was taken away without a reason")

    def _check_given_up(self, body: dict[str, Any], action: Deploy | RollBack) -> None:
        """Check that a model which does not load is taken away and no other."""
        expect(body["model"], action.model, "model that does not load")
        beside = self._ledger.beside
        if isinstance(action, Deploy) and beside is not None and beside.model == action.model:
            fail(f"{action.model} did not load, and was there before")

    def _check_rolled_back(self, body: dict[str, Any]) -> None:
        ledger, beside = self._ledger, self._ledger.beside
        expect(body["previous"], ledger.champion, "champion that is rolled back from")
        if beside is None or not beside.is_former or beside.model != body["model"]:
            fail(f"rolled back to {body['model']}, which was not compared with")
        if ledger.was_left(body["model"]):
            fail(f"rolled back to {body['model']}, which was itself rolled back from")
        if not self._is_harmful(beside):
            fail(f"rolled back to {body['model']} without evidence")

    def check_look(self) -> None:
        """Check that no look ends and leaves people in harm's way."""
        beside = self._ledger.beside
        if beside is None or self._policy.rollout is None:
            return
        if beside.is_former and self._is_harmful(beside):
            fail(f"{beside.champion} stays though {beside.model} errs less")
        if beside.is_led and self._against(beside):
            fail(f"{beside.model} stays at {beside.share:g} though {self._against(beside)}")

    def _is_harmful(self, beside: Beside) -> bool:
        """Tell whether a former champion is shown to be better, or the new one to do harm."""
        low, high = self._bounds(beside)
        return (low is not None and low > 0) or (
            self._ledger.has_harm() and not (high is not None and high < 0)
        )

    # ---- evidence ---------------------------------------------------------------

    def _against(self, beside: Beside) -> str:
        """Say what was seen that no candidate may show."""
        seen, rollout = beside.seen, self._rollout
        if seen is None:
            return ""
        if seen["failures"] > 1 and seen["failures"] > rollout.failing * (
            seen["failures"] + seen["pairs"]
        ):
            return "it fails"
        _, high = self._bounds(beside)
        if high is not None and high < 0:
            return "it errs more"
        slower = seen["slower"]
        if slower is not None and seen["pairs"] >= rollout.requests:
            return "it is far slower" if slower > _FAR_SLOWER * rollout.slower else ""
        return ""

    def _missing(self, beside: Beside) -> str:
        """Say what is not there yet and must be, by the true time."""
        seen, rollout = beside.seen, self._rollout
        for_s = self._for_s(beside)
        if seen is None:
            return "nothing was seen"
        if beside.share > 0:
            if for_s < rollout.bake_s:
                return f"it baked for {for_s:g} s"
            if seen["answers"] < rollout.requests:
                return f"it answered {seen['answers']}"
        elif seen["pairs"] < rollout.pairs and (not seen["pairs"] or for_s < rollout.shadow_s):
            return f"it was compared on {seen['pairs']}"
        if seen["slower"] is None or seen["slower"] > rollout.slower:
            return f"it is slower by {seen['slower']}"
        return f"{seen['labelled']} labels" if seen["labelled"] < rollout.labels else ""

    def _for_s(self, beside: Beside) -> float:
        """Return for how long it has been where it is, by the true time."""
        return round(self._ledger.elapsed_s() - beside.at_s, 2)

    @staticmethod
    def _bounds(beside: Beside) -> tuple[float | None, float | None]:
        seen = beside.seen
        return (seen["low"], seen["high"]) if seen else (None, None)
