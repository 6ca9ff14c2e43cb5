"""Lives of the loop from seeds: whatever happens, every invariant holds after every event.

A failure prints the seed, what it stands for, the last events, and the command to see it again.
"""

import collections
import functools
import os
import subprocess
import sys

import msgspec
import pytest
from pure import watched

from bucle.clock import from_iso
from bucle.errors import RequestError
from bucle.loop.control import Controller
from bucle.loop.decide import Deploy, Promote, Retrain, RollBack, Wait, decide
from bucle.loop.events import (
    ChallengerSeen,
    Promoted,
    RolledBack,
    RunFinished,
    VerdictGiven,
    WindowJudged,
)
from bucle.loop.rollout import Rollout
from bucle.loop.state import Fold
from bucle.models.registry import champion
from bucle.store.memory_log import MemoryLog
from bucle.testing import simulated_log, simulated_world
from bucle.testing.options import Faults, Labels, Live, Options, Trainings, draw_options
from bucle.testing.simulator import Life, SimulationError, live, main
from bucle.types import Verification

SEEDS = 200
LIVELY = 30
MANY = 10_000
BATCH = 500
# Planted bugs are caught within so many seeds.
WITHIN = 30


# ---- lives ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_promise_is_broken(seed):
    live(draw_options(seed))


@pytest.mark.parametrize("seed", range(LIVELY))
def test_everything_settles_when_faults_are_over(seed):
    live(draw_options(seed, mode="liveness"))


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


# Seeds that once broke a promise are kept for ever: of loops that are replayed, and that serve.
ONCE_BROKEN = {
    "a controller was shut out by what another had written": [(1, "safety"), (6, "liveness")],
    "a window that came late hid a later one": [(7, "safety"), (44, "safety"), (2, "liveness")],
    "a refit that was a known model wiped its record": [(164, "safety"), (36, "liveness")],
    "one estimate started two retrains": [(131, "liveness"), (144, "liveness")],
    "a model shipped on a verdict beside another champion": [(4, "safety"), (20, "liveness")],
    "a clock that ran ahead stopped the loop": [(12, "liveness"), (14, "liveness")],
    "a run that was asked for was forgotten": [(164, "liveness"), (228, "liveness")],
}
ONCE_BROKEN_LIVE = {
    "what a person deployed was replaced": [(1, "safety"), (0, "liveness"), (4, "liveness")],
    "a canary answered before a person was asked": [(5, "liveness"), (18, "safety")],
    "a canary answered without an approval": [(107, "safety"), (43, "liveness")],
    "a model waited for a person for ever": [(3, "liveness"), (8, "liveness"), (15, "liveness")],
    "a model that a person put back was on probation": [(422, "liveness")],
    "an alarm ended before what it led to": [(9978, "liveness"), (4445, "safety")],
    "a refit that knew the last shock was taken for no training": [(6060, "liveness")],
    "forty looks in a row were killed": [(7678, "safety")],
}


@pytest.mark.parametrize(("seed", "mode"), [one for seeds in ONCE_BROKEN.values() for one in seeds])
def test_no_promise_is_broken_again(seed, mode):
    live(draw_options(seed, mode=mode, serves=False))


@pytest.mark.parametrize(
    ("seed", "mode"), [one for seeds in ONCE_BROKEN_LIVE.values() for one in seeds]
)
def test_no_promise_is_broken_again_by_a_loop_that_serves(seed, mode):
    live(draw_options(seed, mode=mode))


def test_lives_meet_every_fault():
    """A simulation in which nothing happens proves nothing."""
    met = collections.Counter()
    lives = []
    for seed in range(1, 26):
        life = Life(draw_options(seed))
        lives.append(life.live())
        for event in life.log.kept.read():
            met[event.kind, event.actor == "ana"] += 1
    assert sum(one.kills for one in lives) > 100
    assert sum(one.stale for one in lives) > 50
    assert sum(one.fenced for one in lives) > 5
    assert sum(one.takeovers for one in lives) > 50
    assert sum(one.full for one in lives) > 5
    assert sum(one.retrains for one in lives) > 50
    assert sum(one.promotions for one in lives) > 50
    for kind in ("deployed", "withdrawn", "promoted", "run_started"):
        assert met[kind, False] > 10, kind
        assert met[kind, True] > 5, kind
    for kind in ("paused", "resumed", "approved", "retrain_asked", "rolled_back"):
        assert met[kind, True] > 5, kind
    for kind in ("challenger_seen", "alarm_raised", "alarm_resolved", "data_added", "code_seen"):
        assert met[kind, False] > 5, kind
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


# ---- a kill, or a stop, at every point ------------------------------------------

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


ONE_ROLLOUT = Options(
    seed=7,
    days=7,
    policy="every:1d",
    gate="referee+refit",
    aging=0.1,
    shocks=0.0,
    labels=Labels(delay=0.5),
    live=Live(
        rollout=Rollout(pairs=200, requests=20, labels=20, probation_s=86_400.0),
        cooldown="1d",
        most_per_month=1,
        new=0.0,
        traffic=4000.0,
    ),
)
EFFECTS = {"run_started", "run_finished", "deployed", "withdrawn", "promoted", "rolled_back"}


def _lived(options, **points):
    """Return how a life went, and what was done in it, once."""
    life = Life(options, **points)
    lived, done = life.live(), {}
    for event in life.log.kept.read():
        if event.kind in EFFECTS:
            name = event.body.get("action") or event.body.get("asked") or event.position
            done[event.kind, name] = (
                event.kind,
                event.body.get("model"),
                event.body.get("share"),
            )
    return lived, list(done.values())


@pytest.mark.parametrize(("fault", "leases"), [("kill_at", 0), ("kill_at", 2), ("stop_at", 2)])
def test_whole_rollout_is_the_same_whatever_happens_between_two_effects(fault, leases):
    options = msgspec.structs.replace(
        ONE_ROLLOUT,
        controllers=leases or 1,
        live=msgspec.structs.replace(ONE_ROLLOUT.live, leases=leases > 0),
    )
    whole, done = _lived(options)
    old, new = whole.served
    shipped = {"deployed", "promoted"}
    assert [(kind, share) for kind, model, share in done if model == new and kind in shipped] == [
        ("deployed", 0.0),
        ("deployed", 0.05),
        ("deployed", 0.25),
        ("promoted", None),
    ]
    assert done[-2:] == [("deployed", old, 0.0), ("withdrawn", old, None)]
    fenced = 0
    for point in range(1, whole.points + 1):
        lived, did = _lived(options, **{fault: point})
        assert did == done, f"{fault} {point}"
        # What answers is the old champion or the new one, and never none.
        assert lived.served == (old, new), f"{fault} {point}"
        assert lived.state.deployment is None
        fenced += lived.fenced
    # Who is stopped before his last write comes back as a zombie.
    assert fenced > whole.points / 2 or fault == "kill_at"


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


def test_loop_that_takes_a_new_package_for_a_new_model_is_caught(monkeypatch):
    def change(options):
        again = msgspec.structs.replace(options.trainings, repeats=0.9)
        return msgspec.structs.replace(options, trainings=again, promote="auto")

    for module in ("twins", "awaiting"):
        monkeypatch.setattr(f"bucle.loop.{module}.alike", lambda _, model: {model})
    said = str(_caught(change))
    assert "which answers the same" in said or "was rolled back from" in said


# ---- planted bugs of a loop that serves -------------------------------------------


def _always(**changes):
    """Return what makes every life one in which these things may happen."""

    def change(options):
        live = msgspec.structs.replace(options.live, **changes)
        return msgspec.structs.replace(options, live=live, promote="auto")

    return change


EASY = Rollout(pairs=1, requests=1, bake_s=900.0, probation_s=3 * 86_400.0)
SLOW = Rollout(pairs=50, requests=1, bake_s=3 * 86_400.0, shadow_s=3 * 86_400.0)


def _plant_policy(monkeypatch, **changes):
    """Let the loop follow another policy than the one that people wrote."""

    def change(state, policy, now, actions):
        del actions
        return decide(state, msgspec.structs.replace(policy, **changes), now)

    _plant(monkeypatch, change)


def hurries(state, policy, now, actions):
    """Go on to everyone after the first share."""
    del policy, now
    (action,) = actions
    if isinstance(action, Deploy) and action.share and state.deployment is not None:
        previous = champion(state.tenures).model
        fields = {"id": f"{action.id}p", "why": "why wait", "run": action.run}
        return (Promote(**fields, model=action.model, previous=previous, verdict="pass"),)
    return actions


def goes_back_for_nothing(state, policy, now, actions):
    """Roll back whenever there is a champion before this one."""
    del policy, now
    deployed = state.deployment
    if deployed is None or not deployed.is_former:
        return actions
    previous = champion(state.tenures).model
    back = f"a-back-{deployed.began}"
    return (RollBack(id=back, why="a mood", model=deployed.model, previous=previous),)


def lets_people_suffer(state, policy, now, actions):
    """Withdraw nothing, and roll nothing back."""
    del policy, now
    (action,) = actions
    is_guard = action.name in {"withdraw", "roll back"} and state.deployment is not None
    return (Wait(why="let it be", settled="let it be"),) if is_guard else actions


def does_not_hear(state, policy, now, actions):
    """Go on though it is paused."""
    del actions
    return decide(msgspec.structs.replace(state, paused=None), policy, now)


def takes_a_persons_place(state, policy, now, actions):
    """Begin with a candidate as if nobody had put another model beside the champion."""
    deployed = state.deployment
    if deployed is None or deployed.run or deployed.is_former:
        return actions
    (action,) = decide(msgspec.structs.replace(state, deployment=None), policy, now)
    return (action,) if isinstance(action, Deploy) and action.run else actions


def overrules_people(state, policy, now, actions):
    """Keep the champion before one that a person has put there, to roll back to it."""
    del policy, now
    (action,) = actions
    reigning = champion(state.tenures)
    if state.deployment is not None or len(state.tenures) == 1 or reigning is None:
        return actions
    keep = f"a-keep-{reigning.model}-{reigning.since}"
    if reigning.by != "ana" or not isinstance(action, Wait) or keep in state.acted:
        return actions
    former = state.tenures[-2].model
    fields = {"id": keep, "why": "to see", "run": "", "share": 0.0}
    return (Deploy(**fields, model=former, champion=reigning.model),)


@pytest.mark.parametrize(
    ("change", "rollout"),
    [
        (hurries, EASY),
        (goes_back_for_nothing, EASY),
        (lets_people_suffer, EASY),
        (does_not_hear, None),
        (takes_a_persons_place, EASY),
        (overrules_people, EASY),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_decision_that_breaks_a_rule_of_serving_is_caught(monkeypatch, change, rollout):
    _plant(monkeypatch, change)
    assert _caught(_always(rollout=rollout, traffic=4000.0, approval=())) is not None


@pytest.mark.parametrize(
    ("asked", "followed"),
    [
        ({"rollout": EASY, "approval": ("business",)}, {"approval": ()}),
        ({"rollout": SLOW}, {"rollout": EASY}),
        (
            {"rollout": EASY, "breaks": 0.5, "drags": 0.5},
            {"rollout": msgspec.structs.replace(EASY, failing=1.0, slower=9.0)},
        ),
        (
            {"rollout": SLOW, "approval": ("business",), "approving": False},
            {"rollout": msgspec.structs.replace(SLOW, deadline_s=1e9)},
        ),
        ({"most_per_month": 1, "rollout": None}, {"most_per_month": None}),
        ({"cooldown": "2w", "rollout": None}, {"cooldown": None}),
    ],
    ids=["approval", "evidence", "bad candidates", "deadline", "budget", "cool-down"],
)
def test_loop_that_follows_another_policy_is_caught(monkeypatch, asked, followed):
    _plant_policy(monkeypatch, **followed)
    calm = {"approval": (), "traffic": 4000.0, "noted": 0.2}

    def change(options):
        drawn = msgspec.structs.replace(_always(**(calm | asked))(options), policy="every:1d")
        return msgspec.structs.replace(drawn, trainings=Trainings(), faults=Faults(crash=0.01))

    assert _caught(change) is not None


class BakesByTheWallClock(simulated_world.SimulatedWorld):
    """Counts by a clock that people set."""

    def observe(self, state, now):
        return [
            msgspec.structs.replace(fact, baked_s=self._by_wall(state, now))
            if isinstance(fact, ChallengerSeen)
            else fact
            for fact in super().observe(state, now)
        ]

    def _by_wall(self, state, now):
        since = from_iso(state.deployment.since)
        return max((now - since).total_seconds(), 0.0)


def test_clock_that_jumps_would_promote_early_were_time_counted_by_it(monkeypatch):
    monkeypatch.setattr("bucle.testing.simulator.SimulatedWorld", BakesByTheWallClock)

    def change(options):
        changed = _always(rollout=SLOW, traffic=4000.0, approval=(), cooldown="1d")(options)
        faults = Faults(jumps=0.3)
        return msgspec.structs.replace(changed, faults=faults, policy="every:1d", gate="none")

    caught = _caught(change)
    assert caught is not None
    assert "goes on from" in caught


def test_zombie_whose_writes_are_not_fenced_is_caught(monkeypatch):
    def unfenced(*arguments, fence, **others):
        del fence
        return Controller(*arguments, **others)

    monkeypatch.setattr("bucle.testing.crew.Controller", unfenced)
    zombies = functools.partial(
        msgspec.structs.replace, controllers=2, faults=Faults(stops=0.2), policy="every:1d"
    )
    caught = _caught(lambda options: zombies(_always(leases=True)(options)))
    assert caught is not None
    assert "leads" in caught


# ---- planted bugs of the ground floor ----------------------------------------------


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
