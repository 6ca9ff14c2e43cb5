"""Lives of the loop from seeds: whatever happens, every invariant holds after every event.

A failure prints the seed, what it stands for, the last events, and the command to see it again.
"""

import os
import subprocess
import sys

import msgspec
import pytest
from pure import watched

from bucle.errors import RequestError
from bucle.loop.decide import Promote, Retrain, decide
from bucle.loop.events import Promoted, RolledBack, RunFinished, VerdictGiven, WindowJudged
from bucle.loop.state import Fold
from bucle.models.registry import champion
from bucle.store.memory_log import MemoryLog
from bucle.testing import simulated_log, simulated_world
from bucle.testing.options import Options, Trainings, draw_options
from bucle.testing.simulator import Life, SimulationError, live, main
from bucle.types import Verification

SEEDS = 200
MANY = 10_000
BATCH = 500
# Planted bugs are caught within so many seeds.
WITHIN = 30


# ---- lives ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_promise_is_broken(seed):
    mode = "liveness" if seed % 2 else "safety"
    live(draw_options(seed, mode=mode))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MANY, BATCH))
def test_no_promise_is_broken_in_many_lives(first):
    broken = []
    for seed in range(first, first + BATCH):
        for mode in ("safety", "liveness"):
            try:
                live(draw_options(seed, mode=mode))
            except SimulationError as error:
                broken.append(str(error))
    assert not broken, "\n\n".join(broken[:5])


# Seeds that once broke a promise are kept for ever.
ONCE_BROKEN = {
    "a controller was shut out by what another had written": [(1, "safety"), (6, "liveness")],
    "a window that came late hid a later one": [(7, "safety"), (44, "safety"), (2, "liveness")],
    "a refit that was a known model wiped its record": [(164, "safety"), (36, "liveness")],
    "one estimate started two retrains": [(131, "liveness"), (144, "liveness")],
    "a model shipped on a verdict beside another champion": [(4, "safety"), (20, "liveness")],
    "a clock that ran ahead stopped the loop": [(12, "liveness"), (14, "liveness")],
    "a run that was asked for was forgotten": [(164, "liveness"), (228, "liveness")],
}


@pytest.mark.parametrize(("seed", "mode"), [one for seeds in ONCE_BROKEN.values() for one in seeds])
def test_no_promise_is_broken_again(seed, mode):
    live(draw_options(seed, mode=mode))


def test_lives_meet_every_fault():
    """A simulation in which nothing happens proves nothing."""
    lives = [live(draw_options(seed)) for seed in range(1, 40)]
    assert sum(one.kills for one in lives) > 100
    assert sum(one.stale for one in lives) > 50
    assert sum(one.retrains for one in lives) > 50
    assert sum(one.promotions for one in lives) > 50
    assert any(one.state.refits for one in lives)
    assert any(tenure.how == "rollback" for one in lives for tenure in one.state.tenures)
    assert any(
        verdict.fact.verdict.outcome == outcome
        for outcome in ("fail", "undecided")
        for one in lives
        for model in one.state.models.values()
        for verdict in model.verdicts
    )


def test_life_depends_on_its_seed_alone(tmp_path):
    """The same in another process, with another hash seed, time zone and locale."""
    for seed in (3, 11):
        expected = live(draw_options(seed)).digest
        done = subprocess.run(
            [sys.executable, "-m", "bucle.testing.simulator", str(seed), "--quiet"],
            env=os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Kolkata", "LC_ALL": "C"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1].endswith(expected)


# ---- a kill at every point ----------------------------------------------------

ONE_PROMOTION = Options(
    seed=7, days=4, policy="every:1w", gate="referee+refit", shocks=0.0, begins_with="nothing"
)


def _promotions(lived):
    return [tenure.model for tenure in lived.state.tenures]


@pytest.mark.parametrize("halves", [0.0, 1.0])
def test_kill_between_any_two_effects_leads_to_the_same_champion(halves):
    options = msgspec.structs.replace(ONE_PROMOTION, trainings=Trainings(halves=halves))
    whole = live(options)
    assert len(_promotions(whole)) == 1
    assert whole.state.refits
    for point in range(1, whole.points + 1):
        killed = live(options, kill_at=point)
        assert killed.kills == 1
        assert _promotions(killed) == _promotions(whole), f"killed at point {point}"
        assert killed.state.acted == whole.state.acted
        assert list(killed.state.runs) == list(whole.state.runs)


# ---- the controller is pure -----------------------------------------------------


def test_decisions_of_a_life_touch_nothing_outside(monkeypatch):
    decisions = []

    def decide_watched(state, policy, now):
        actions, touched = watched(decide, state, policy, now)
        decisions.append(actions)
        assert touched == []
        return actions

    monkeypatch.setattr("bucle.loop.control.decide", decide_watched)
    for seed in range(12):
        live(draw_options(seed if seed % 40 else seed + 1))
    assert len(decisions) > 500


# ---- planted bugs ---------------------------------------------------------------


def _caught(change=lambda options: options):
    """Return what the first seed says that catches what was planted; None when none does."""
    for seed in range(1, WITHIN + 1):
        for mode in ("safety", "liveness"):
            try:
                live(change(draw_options(seed, mode=mode)))
            except (SimulationError, RequestError) as error:
                return str(error)
    return None


class PromotesTwice(simulated_world.SimulatedWorld):
    def perform(self, action, state, now):
        facts = list(super().perform(action, state, now))
        if isinstance(action, Promote) and action.previous:
            back = Promoted(model=action.previous, because="oops", action=f"{action.id}x")
            facts += [back]
        return facts


class ForgetsWhatItDid(simulated_world.SimulatedWorld):
    """Trains anew when a killed process asks again: two effects of one action."""

    def perform(self, action, state, now):
        if isinstance(action, Retrain):
            self._effects.pop(action.id, None)
        return super().perform(action, state, now)

    def train_model(self, cause):
        return super().train_model(f"{cause} on day {self.today}")


class RollsBackUnasked(simulated_world.SimulatedWorld):
    def observe(self, state, now):
        facts = list(super().observe(state, now))
        if len(state.tenures) > 1:
            earlier, current = state.tenures[-2:]
            facts.append(RolledBack(model=earlier.model, previous=current.model, because="mood"))
        return facts


class SaysItPassed(simulated_world.SimulatedWorld):
    """Writes another verdict than the referee's."""

    def perform(self, action, state, now):
        return [
            msgspec.structs.replace(
                fact, verdict=msgspec.structs.replace(fact.verdict, outcome="pass")
            )
            if isinstance(fact, VerdictGiven)
            else fact
            for fact in super().perform(action, state, now)
        ]


class ShipsAnother(simulated_world.SimulatedWorld):
    """Promotes a model that nobody has tested."""

    def perform(self, action, state, now):
        return [
            msgspec.structs.replace(fact, model="m-swapped") if isinstance(fact, Promoted) else fact
            for fact in super().perform(action, state, now)
        ]


@pytest.mark.parametrize(
    "world",
    [PromotesTwice, ForgetsWhatItDid, RollsBackUnasked, SaysItPassed, ShipsAnother],
    ids=lambda world: world.__name__,
)
def test_world_that_does_something_else_is_caught(monkeypatch, world):
    monkeypatch.setattr("bucle.testing.simulator.SimulatedWorld", world)
    assert _caught() is not None


def _plant(monkeypatch, change):
    """Let the loop, and whoever asks beside it, decide otherwise."""

    def decide_otherwise(state, policy, now):
        return change(state, policy, now, decide(state, policy, now))

    monkeypatch.setattr("bucle.loop.control.decide", decide_otherwise)
    monkeypatch.setattr("bucle.testing.invariants.decide", decide_otherwise)


def _ending(state):
    run = state.runs.get(state.ended or "")
    return run if run and run.finished and run.finished.tested else None


def _promote(state, run):
    reigning = champion(state.tenures)
    model = run.finished.tested
    return Promote(
        id=f"a-{run.started.run}-{model}",
        why="why not",
        run=run.started.run,
        model=model,
        previous=reigning.model if reigning else None,
        verdict="pass",
    )


def ships_undecided(state, policy, now, actions):
    """Ship whatever was judged, unless it failed."""
    del policy, now
    run = _ending(state)
    if run is None or f"a-{run.started.run}-{run.finished.tested}" in state.acted:
        return actions
    record = state.models[run.finished.tested]
    last = record.verdicts[-1].fact.verdict.outcome if record.verdicts else "fail"
    return (_promote(state, run),) if last == "undecided" else actions


def ships_what_was_left(state, policy, now, actions):
    """Ship again what a person rolled back from."""
    del policy, now
    run = _ending(state)
    (action,) = actions
    is_held = run is not None and "rolled back" in getattr(action, "settled", "")
    again = is_held and f"a-{run.started.run}-{run.finished.tested}" not in state.acted
    return (_promote(state, run),) if again else actions


def is_impatient(state, policy, now, actions):
    """Train at every look."""
    del policy
    (action,) = actions
    cause = f"a-{now.isoformat()}"
    is_new = action.name == "wait" and cause not in state.acted
    return (Retrain(id=cause, why="why not", window="expanding"),) if is_new else actions


def flips_a_coin(state, policy, now, actions, *, coin=[0]):  # noqa: B006
    """Decide by something that is not in the state."""
    del state, policy, now
    coin[0] += 1
    (action,) = actions
    return (msgspec.structs.replace(action, why=f"{action.why} {coin[0]}"),)


@pytest.mark.parametrize(
    "change",
    [ships_undecided, ships_what_was_left, is_impatient, flips_a_coin],
    ids=lambda change: change.__name__,
)
def test_decision_that_breaks_a_rule_is_caught(monkeypatch, change):
    _plant(monkeypatch, change)
    assert _caught() is not None


class ForgetsActions(Fold):
    def apply(self, event):
        super().apply(event)
        self.acted.discard(event.body.get("action"))


def _often_refitted(options):
    """Let every life refit, and find known models by it: rare by chance."""
    trainings = msgspec.structs.replace(options.trainings, refit_same=0.5)
    return msgspec.structs.replace(options, gate="referee+refit", trainings=trainings)


class ForgetsVerdicts(Fold):
    """As the fold once was: a refit that is a known model lost what was known of it."""

    def _refit(self, event, fact):
        super()._refit(event, fact)
        known = self.models.get(fact.model)
        if known is not None:
            self.models[known.model] = msgspec.structs.replace(known, verdicts=())


class CrownsTwice(Fold):
    def _enthrone(self, event, fact):
        super()._enthrone(event, fact)
        if len(self.tenures) > 1:
            self.tenures[-2] = msgspec.structs.replace(self.tenures[-2], until=None)


class LetsTheLastWindowCount(Fold):
    """As the fold once was: a window that arrived late hid a later one."""

    def _observe(self, event, fact):
        if isinstance(fact, WindowJudged) and fact.model in self.observed:
            known = self.observed[fact.model]
            self.observed[fact.model] = msgspec.structs.replace(known, window=None)
        super()._observe(event, fact)


@pytest.mark.parametrize(
    "broken",
    [ForgetsActions, ForgetsVerdicts, CrownsTwice, LetsTheLastWindowCount],
    ids=lambda broken: broken.__name__,
)
def test_fold_that_forgets_is_caught(monkeypatch, broken):
    monkeypatch.setattr("bucle.loop.control.Fold", broken)
    assert _caught(_often_refitted) is not None


class DropsAnEvent(MemoryLog):
    """Acknowledges two facts and keeps one."""

    def append(self, drafts, *, expected=None, fence=None):
        events = super().append(drafts, expected=expected, fence=fence)
        if len(events) > 1:
            self._rows.pop()
            self._head = type(self._head)(events[-2].position, events[-2].hash)
        return events


class DropsInSilence(MemoryLog):
    """Keeps one fact less than it acknowledges, and says it is intact."""

    def append(self, drafts, *, expected=None, fence=None):
        del expected, fence
        return super().append(drafts)

    def read(self, *, after=0):
        return (event for event in super().read(after=after) if event.position % 7)

    def verify(self):
        seen = super().verify()
        return Verification(events=seen.events, head=seen.head, intact=True)


@pytest.mark.parametrize("log", [DropsAnEvent, DropsInSilence], ids=lambda log: log.__name__)
def test_log_that_drops_an_event_is_caught(monkeypatch, log):
    monkeypatch.setattr(simulated_log, "MemoryLog", log)
    assert _caught() is not None


# ---- what a failure says ----------------------------------------------------------


def test_failure_says_the_seed_the_options_the_last_events_and_one_command(monkeypatch, capsys):
    monkeypatch.setattr("bucle.testing.simulator.SimulatedWorld", RollsBackUnasked)
    text = _caught()
    seed = text.split()[1].rstrip(",")
    for line in draw_options(int(seed)).lines()[:1]:
        assert f"  {line}" in text.splitlines()
    assert "last events:" in text
    command = text.splitlines()[-1].split()
    assert command[:4] == ["python", "-m", "bucle.testing.simulator", seed]
    assert main(command[3:]) == 1
    told = capsys.readouterr().out
    assert text.splitlines()[0] in told


def test_trace_tells_every_event_and_fault(capsys):
    seed = next(seed for seed in range(1, 40) if live(draw_options(seed)).kills)
    assert main([str(seed)]) == 0
    told = capsys.readouterr().out
    lived = live(draw_options(seed))
    assert told.count("** killed") == lived.kills
    assert f"{lived.events} events, {lived.retrains} retrains" in told


def test_facts_of_a_life_are_the_same_when_it_is_lived_again():
    options = draw_options(9)
    first, second = Life(options), Life(options)
    assert first.live() == second.live()
    assert list(first.log.kept.read()) == list(second.log.kept.read())
    assert any(event.kind == RunFinished.kind for event in first.log.kept.read())
