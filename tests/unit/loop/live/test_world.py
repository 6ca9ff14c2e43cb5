"""The live world under its controller, with jobs that answer when they are told to.

What stands in for processes keeps the whole contract of `Jobs`; time moves only when told to.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from state_samples import began, crowned, ended, judged, ran

from bucle.clock import FixedClock
from bucle.errors import OutsideError
from bucle.loop.actions import Deploy
from bucle.loop.control import Controller, deployed_by
from bucle.loop.events import RetrainAsked, draft_fact
from bucle.loop.live.orders import Answer, written
from bucle.loop.live.world import LiveWorld, Pace
from bucle.loop.observations import ChallengerSeen
from bucle.loop.orders import Paused
from bucle.loop.policy import Policy
from bucle.loop.rollout import Rollout
from bucle.serve.counts import Counts, share
from bucle.store.memory_log import MemoryLog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLLOUT = Rollout(
    shares=(0.0, 0.5), pairs=100, shadow_s=3600, requests=20, bake_s=600, deadline_s=7200
)
POLICY = Policy(text="never", rollout=ROLLOUT)
PACE = Pace(see_s=10, watch_s=1e9)
GOOD = {"pairs": 200, "answers": 100, "slower": 1.0}


class Told:
    """Jobs that were begun, by name, and answers to give; `tired` refuses to begin any."""

    def __init__(self):
        self.orders = {}
        self.answers = {}
        self.begun = []
        self.tired = False

    def start(self, name, order):
        assert name not in self.orders
        if self.tired:
            raise OutsideError("Cannot start a process", code="bucle-421")
        self.orders[name] = order
        # To watch is begun by itself, and is no part of these stories.
        self.begun += [order.kind] if order.kind != "watch" else []

    def is_running(self, name):
        return name in self.orders

    def take(self, name):
        answer = self.answers.pop(name, None)
        if answer is not None:
            del self.orders[name]
        return answer

    def close(self):
        self.orders, self.answers = {}, {}

    def answer(self, kind, *facts, **fields):
        """Let the one job of a kind end."""
        (name,) = (name for name, order in self.orders.items() if order.kind == kind)
        self.answers[name] = Answer(facts=written(facts), **fields)
        return self.orders[name]


class Loop:
    """A controller over a live world of a project that is nowhere."""

    def __init__(self, *facts, clock=None, home=Path("/nowhere"), pace=PACE):
        self.home, self.pace = home, pace
        self.clock = clock or FixedClock(NOON)
        self.log, self.jobs, self.said = MemoryLog(), Told(), []
        self.tell(*facts)
        self.begin()

    def begin(self):
        """Start a controller, as after a crash: nothing but the log is known to it."""
        self.jobs.close()
        workspace = SimpleNamespace(
            clock=self.clock,
            root=Path("/nowhere"),
            overrides=(),
            packages=Path("/nowhere"),
            home=self.home,
        )
        world = LiveWorld(workspace, POLICY, self.jobs, pace=self.pace, say=self.said.append)
        self.controller = Controller(world, POLICY, self.log)

    def tell(self, *facts):
        """Put on record what others did."""
        for fact in facts:
            self.log.append([draft_fact(fact, clock=self.clock, actor="ana")])

    def look(self, seconds=0.0):
        """Look after some seconds; the looks that do nothing leave nothing on record."""
        self.clock.advance(seconds)
        return self.controller.look(self.clock.now(), is_noted=False)

    @property
    def kinds(self):
        """What came on record since the beginning, without looks."""
        return [one.kind for one in self.log.read() if one.kind != "decided"]

    def deploy(self):
        """Let the job that puts the candidate beside the champion end well."""
        order = self.jobs.answer("deploy")
        action = msgspec.convert(order.details["action"], Deploy)
        self.jobs.answer("deploy", deployed_by(action))
        return self.look()

    def see(self, seconds, **fields):
        """Let what is seen of the candidate come in, some seconds after the last look."""
        self.look(seconds)
        order = self.jobs.answer("see")
        deployed = self.controller.state.deployment
        seen = ChallengerSeen(
            champion=self.controller.state.tenures[-1].model,
            model=deployed.model,
            share=deployed.share,
            baked_s=order.details["baked_s"],
            **({"failures": 0, "labelled": 0} | fields),
        )
        self.jobs.answer("see", seen)
        return self.look()


def passed():
    """Return what leads to a candidate that passed beside a champion."""
    return (*ran("r-0", "m-0"), crowned("m-0"), *ran(), judged(champion="m-0"))


def shadowed(clock=None, **fields):
    """Return a loop whose candidate is a shadow."""
    loop = Loop(*passed(), clock=clock, **fields)
    loop.look()
    loop.deploy()
    assert loop.controller.state.deployment.stage == "shadow"
    return loop


def test_candidate_goes_from_shadow_to_canary_to_champion_on_what_is_seen():
    loop = shadowed()
    assert loop.see(20, **GOOD).did[0].name == "deploy"
    assert loop.controller.state.deployment.share == 0.5
    assert loop.see(10, **GOOD).did == ()
    assert "the canary bakes, 5 min of 10 min" in loop.see(300, **GOOD).why
    assert loop.see(400, **GOOD).did[0].name == "promote"
    # The champion before is kept beside it; a share more or less is no job.
    assert loop.jobs.begun.count("deploy") == 2
    loop.deploy()
    assert (loop.controller.state.deployment.model, loop.kinds[-1]) == ("m-0", "deployed")


@pytest.mark.parametrize("jump_s", [-1.0, -86_400.0, -366 * 86_400.0])
def test_clock_that_jumps_back_moves_no_rollout(jump_s):
    loop = shadowed()
    loop.see(20, **GOOD)
    for _ in range(5):
        loop.clock.advance(jump_s)
        assert loop.see(10, **GOOD).did == ()
    assert loop.controller.state.deployment.share == 0.5
    assert loop.see(600, **GOOD).did[0].name == "promote"


class _Sprung(FixedClock):
    """A clock whose wall time alone can be set ahead."""

    ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


def test_clock_that_jumps_a_year_ahead_neither_promotes_nor_takes_away():
    loop = shadowed(clock=_Sprung(NOON))
    loop.see(20, **GOOD)
    loop.clock.ahead = timedelta(days=365)
    for _ in range(5):
        assert loop.see(10, **GOOD).did == ()
    assert loop.controller.state.deployment.share == 0.5
    assert loop.see(600, **GOOD).did[0].name == "promote"


def test_time_that_nobody_watched_counts_for_nothing_after_a_restart():
    loop = shadowed()
    loop.see(20, **GOOD)
    loop.see(10, **GOOD)
    loop.see(300, **GOOD)
    loop.clock.advance(100_000)
    loop.begin()
    assert "bakes, 5 min of 10 min" in loop.see(0, **GOOD).why
    assert loop.see(250, **GOOD).did == ()
    assert loop.see(60, **GOOD).did[0].name == "promote"


def test_missing_evidence_holds_and_is_taken_away_at_the_deadline():
    loop = shadowed()
    assert loop.see(600, pairs=3, answers=0).did == ()
    for _ in range(3):
        loop.see(600, pairs=0, answers=0)
    assert loop.controller.state.deployment is not None
    assert loop.see(7200, pairs=0, answers=0).did[0].name == "withdraw"
    assert loop.controller.state.deployment is None
    assert loop.look().did == ()


def test_paused_loop_goes_no_further_but_takes_a_bad_candidate_away():
    loop = shadowed()
    loop.tell(Paused(because="stocktaking"))
    assert loop.see(20, **GOOD).did == ()
    assert loop.controller.state.deployment.stage == "shadow"
    assert loop.see(20, **(GOOD | {"failures": 60})).did[0].name == "withdraw"


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"failures": 60}, "it failed on 60 of 260 rows"),
        ({"is_shunned": True}, "workers died with it"),
        ({"slower": 3.0}, "it takes 3.0 times as long as the champion"),
        ({"labelled": 90, "gain": -0.2, "low": -0.3, "high": -0.1}, "it errs more"),
    ],
)
def test_candidate_that_does_harm_goes_at_the_next_look(seen, why):
    loop = shadowed()
    assert loop.see(20, **(GOOD | seen)).did[0].name == "withdraw"
    (event,) = (one for one in loop.log.read() if one.kind == "withdrawn")
    assert why in event.body["because"]


def test_failed_look_at_a_candidate_is_told_once_and_holds():
    loop = shadowed()
    for _ in range(3):
        loop.look(20)
        loop.jobs.answer("see", error="the log is damaged")
        assert loop.look().did == ()
    assert loop.said.count("see: the log is damaged") == 1


# ---- work that takes long ----------------------------------------------------------


def asking():
    """Return a loop that a person has asked for a retrain."""
    loop = Loop(*ran("r-0", "m-0"), crowned("m-0"))
    loop.tell(RetrainAsked(because="new prices"))
    return loop


def test_job_is_begun_once_however_often_the_world_is_looked_at():
    loop = asking()
    for _ in range(5):
        assert loop.look(1).under_way.name == "retrain"
    assert loop.jobs.begun == ["retrain"]


def test_machine_that_fails_is_tried_again_with_longer_pauses_and_then_given_up():
    loop, begun = asking(), []
    for _ in range(3000):
        loop.look(1)
        if "retrain" in {order.kind for order in loop.jobs.orders.values()}:
            begun.append(loop.clock.monotonic())
            loop.jobs.answer("retrain", error="disk full", is_outside=True)
    pauses = [round(late - early) for early, late in pairwise(begun)]
    assert len(begun) == 5
    assert pauses == sorted(pauses)
    assert pauses[0] >= 10
    assert loop.kinds[-2:] == ["run_started", "run_finished"]
    assert loop.controller.state.runs[loop.controller.state.ended].finished.error == "disk full"


def test_mistake_of_the_project_is_an_effect_at_once():
    loop = asking()
    loop.look()
    loop.jobs.answer("retrain", error="no such column")
    loop.look()
    loop.look()
    assert loop.kinds[-2:] == ["run_started", "run_finished"]
    assert loop.jobs.begun == ["retrain"]
    assert loop.look(1000).did == ()


def test_candidate_that_cannot_be_put_beside_the_champion_is_withdrawn():
    loop = Loop(*passed())
    loop.look()
    loop.jobs.answer("deploy", error="it failed its trial")
    loop.look()
    loop.look()
    assert loop.kinds[-1] == "withdrawn"
    assert loop.look(1000).did == ()


def test_process_that_cannot_be_started_is_tried_again():
    loop = asking()
    loop.jobs.tired = True
    assert loop.look().under_way.name == "retrain"
    loop.jobs.tired = False
    loop.look(1)
    assert loop.jobs.begun == []
    loop.look(10)
    assert loop.jobs.begun == ["retrain"]


def test_another_reason_begins_no_second_training_beside_one_that_is_not_on_record_yet():
    loop = asking()
    loop.look()
    (first,) = (name for name, order in loop.jobs.orders.items() if order.kind == "retrain")
    loop.clock.advance(1)
    loop.tell(RetrainAsked(because="I cannot wait"))
    assert loop.look(1).under_way.name == "retrain"
    assert loop.jobs.begun == ["retrain"]
    loop.tell(began("r-1", asked=first), ended("r-1", None, action=first))
    loop.jobs.answer("retrain", said="run r-1 made no model")
    loop.look(1)
    assert loop.jobs.begun == ["retrain", "retrain"]
    # Nothing is left of the process that ended.
    assert first not in loop.jobs.orders


def test_a_training_that_came_to_nothing_makes_way_for_the_next_reason():
    loop = asking()
    loop.look()
    loop.clock.advance(1)
    loop.tell(RetrainAsked(because="I cannot wait"))
    loop.jobs.answer("retrain", error="it was ended", is_outside=True)
    loop.look(1)
    assert loop.jobs.begun == ["retrain"]
    loop.look(1)
    assert loop.jobs.begun == ["retrain", "retrain"]


def test_nothing_is_left_of_a_job_that_nobody_asks_for_any_more():
    loop = Loop(*passed())
    loop.look()
    assert loop.jobs.begun == ["deploy"]
    loop.tell(Paused(because="stocktaking"))
    loop.look(1)
    loop.jobs.answer("deploy", said="it fits")
    for _ in range(2):
        loop.look(1)
    assert not [order for order in loop.jobs.orders.values() if order.kind == "deploy"]
    assert "deployed" not in loop.kinds


def test_job_that_ends_without_effect_or_error_is_begun_again():
    loop = asking()
    loop.look()
    loop.jobs.answer("retrain", said="run r-9 stopped")
    loop.look()
    loop.look(1)
    assert loop.jobs.begun == ["retrain", "retrain"]


@pytest.mark.parametrize("is_seen", [False, True])
def test_candidate_that_workers_let_in_no_more_goes_without_waiting_for_a_job(tmp_path, is_seen):
    loop = shadowed(home=tmp_path)
    if is_seen:
        loop.see(20, pairs=50, answers=0)
    counts = Counts()
    counts.predicted("m-1", "shunned", 0)
    counts.predicted("m-9", "failed", 7)
    (tmp_path / "serve").mkdir()
    share(counts, tmp_path / "serve", server=1, worker=1)
    look = loop.look(0.5)
    assert [(one.name, one.why) for one in look.did] == [
        ("withdraw", "workers died with it, again and again")
    ]
    assert loop.controller.state.deployment is None
    assert loop.look(0.5).did == ()


def test_other_model_that_workers_let_in_no_more_changes_nothing(tmp_path):
    loop = shadowed(home=tmp_path)
    counts = Counts()
    counts.predicted("m-9", "shunned", 0)
    (tmp_path / "serve").mkdir()
    share(counts, tmp_path / "serve", server=1, worker=1)
    assert loop.look(0.5).did == ()
    assert loop.controller.state.deployment.model == "m-1"


def test_a_former_champion_is_looked_at_at_its_own_pace_and_no_candidate_waits_for_it():
    loop = Loop(*passed(), pace=Pace(see_s=10, former_s=600, watch_s=1e9))
    loop.look()
    loop.deploy()
    for seconds in (20, 310, 700):
        loop.see(seconds, **GOOD)
    loop.deploy()
    assert loop.controller.state.deployment.is_former
    begun = loop.jobs.begun.count("see")
    loop.see(1, **GOOD)
    for _ in range(5):
        loop.look(100)
    assert loop.jobs.begun.count("see") == begun + 1
    loop.look(100)
    assert loop.jobs.begun.count("see") == begun + 2
