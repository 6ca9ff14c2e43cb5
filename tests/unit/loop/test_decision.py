"""What is decided on a verdict, and what then stands in the log; the referee is told its answer."""

import pytest

from bucle.errors import StalePositionError
from bucle.loop.decision import _decide, policy_by_hand
from bucle.loop.events import Promoted, RolledBack, RunFinished, RunStarted, VerdictGiven
from bucle.loop.judging import Packaged
from bucle.loop.looks import count_looks
from bucle.loop.plan import Cut
from bucle.models.registry import champion
from bucle.pipeline.tasks import Artifact
from bucle.types import Verdict

PLAIN = '[project]\nname = "shop"\n\n'


class ToldReferee:
    """A referee that knows its verdict beforehand and says what a refit would come to."""

    def __init__(self, workspace, model, outcome, *, is_new=True, refit=(None, "not better")):
        self.workspace = workspace
        self.packaged = _packaged(model)
        self.outcome, self.is_new, self.answer = outcome, is_new, refit
        self.asked = []

    def judge(self, state, reigning):
        self.asked.append(reigning)
        return (
            Verdict(
                outcome=self.outcome,
                checks=(),
                rows=1234,
                challenger=self.packaged.model,
                champion=reigning,
            ),
            "evidence",
            self.is_new,
        )

    def refit(self):
        self.asked.append("refit")
        return self.answer


def _packaged(model):
    artifact = Artifact(digest="d", format="json", bytes=1)
    return Packaged(model=model, digest="5" * 64, metrics={}, artifact=artifact)


def started(run, moment=None):
    return RunStarted(
        run=run, source="", environment="", seed=0, parameters={}, datasets={}, as_of=moment
    )


def finished(run, model):
    return RunFinished(run=run, state="done", steps=(), metrics={}, model=model, tested=model)


def decide(made, model, outcome, *, run="r-1", moment=None, **told):
    """Return a decision and the kinds of the events that it added."""
    referee = ToldReferee(made.workspace, model, outcome, **told)
    before = made.workspace.log.head().position
    made.record(started(run, moment))
    policy = policy_by_hand(made.workspace.charter)
    decision = _decide(referee, finished(run, model), policy)
    events = list(made.workspace.log.read(after=before + 1))
    return decision, [event.kind for event in events], referee


def test_first_model_that_passes_becomes_champion(shop):
    made = shop()
    decision, kinds, _ = decide(made, "m-a", "pass")
    assert (decision.champion, decision.promoted, decision.previous) == ("m-a", True, None)
    assert kinds == ["run_finished", "verdict_given", "promoted"]
    assert (
        champion(made.workspace.state().tenures).because
        == "the gate passed on 1,234 rows it had not seen"
    )


def test_run_is_the_cause_of_what_it_ends_in(shop):
    made = shop()
    decide(made, "m-a", "pass")
    causes = {event.kind: event.cause for event in made.workspace.log.read()}
    assert causes == {
        "run_started": "",
        "run_finished": "r-1",
        "verdict_given": "r-1",
        "promoted": "r-1",
    }


@pytest.mark.parametrize("outcome", ["fail", "undecided"])
def test_without_a_pass_the_champion_stays(shop, outcome):
    made = shop()
    decide(made, "m-a", "pass")
    decision, kinds, referee = decide(made, "m-b", outcome, run="r-2")
    assert (decision.champion, decision.promoted, decision.model) == ("m-a", False, "m-b")
    assert kinds == ["run_finished", "verdict_given"]
    assert referee.asked == ["m-a"]
    assert decision.verdict.outcome == outcome


def test_without_a_pass_there_is_no_first_champion(shop):
    decision, _, _ = decide(shop(), "m-a", "fail")
    assert (decision.champion, decision.promoted) == (None, False)


def test_better_challenger_takes_over(shop):
    made = shop()
    decide(made, "m-a", "pass")
    decision, _, _ = decide(made, "m-b", "pass", run="r-2")
    assert (decision.champion, decision.previous) == ("m-b", "m-a")


def test_champion_that_comes_again_is_not_judged(shop):
    made = shop()
    decide(made, "m-a", "pass")
    decision, kinds, referee = decide(made, "m-a", "fail", run="r-2")
    assert (decision.champion, decision.promoted) == ("m-a", False)
    assert decision.verdict.outcome == "pass"
    assert kinds == ["run_finished"]
    assert referee.asked == []


def test_champion_by_a_persons_word_alone_has_no_verdict_to_show(shop):
    made = shop()
    made.record(started("r-0"), finished("r-0", "m-a"), Promoted(model="m-a", because="my word"))
    decision, _, _ = decide(made, "m-a", "pass")
    assert (decision.champion, decision.verdict.outcome) == ("m-a", "undecided")


def test_evidence_that_was_judged_before_gives_no_second_verdict(shop):
    _, kinds, _ = decide(shop(), "m-a", "undecided", is_new=False)
    assert kinds == ["run_finished"]


def test_charter_may_leave_promotion_to_a_person(shop):
    made = shop(PLAIN + '[data.sales]\n\n[gates]\npromote = "ask"\n')
    decision, kinds, _ = decide(made, "m-a", "pass")
    assert (decision.champion, decision.promoted) == (None, False)
    assert kinds == ["run_finished", "verdict_given"]
    assert decision.notes == ("it waits for a person: bucle promote m-a",)


def test_refit_as_good_as_its_twin_ships(shop):
    made = shop(PLAIN + "[gates]\nrefit = true\n")
    decision, kinds, _ = decide(made, "m-a", "pass", refit=(_packaged("m-refit"), "as good"))
    assert (decision.champion, decision.model) == ("m-refit", "m-refit")
    assert decision.notes == ("as good",)
    assert kinds == ["run_finished", "verdict_given", "refitted", "promoted"]
    state = made.workspace.state()
    assert state.models["m-refit"].twin == "m-a"
    assert state.models["m-refit"].digest == "5" * 64
    assert state.models["m-a"].verdicts[-1].fact.verdict.outcome == "pass"


def test_refit_that_is_not_as_good_leaves_the_tested_twin(shop):
    made = shop(PLAIN + "[gates]\nrefit = true\n")
    decision, _, _ = decide(made, "m-a", "pass", refit=(None, "its tested twin ships"))
    assert decision.champion == "m-a"
    assert decision.notes == ("its tested twin ships",)


def test_nothing_is_refitted_that_did_not_pass(shop):
    made = shop(PLAIN + "[gates]\nrefit = true\n")
    _, _, referee = decide(made, "m-a", "undecided")
    assert "refit" not in referee.asked


def test_tested_twin_of_the_champion_is_the_champion(shop):
    made = shop(PLAIN + "[gates]\nrefit = true\n")
    decide(made, "m-a", "pass", refit=(_packaged("m-refit"), "as good"))
    decision, kinds, referee = decide(made, "m-a", "pass", run="r-2")
    assert (decision.champion, decision.model, kinds) == ("m-refit", "m-refit", ["run_finished"])
    assert referee.asked == []
    assert made.workspace.state().models["m-refit"].twin == "m-a"


def test_decision_on_an_old_state_is_refused_whole(shop):
    made = shop()
    made.record(started("r-1"))

    class SlowReferee(ToldReferee):
        """While it judges, another process makes a champion."""

        def judge(self, state, reigning):
            made.record(Promoted(model="m-other", because="another process"))
            return super().judge(state, reigning)

    policy = policy_by_hand(made.workspace.charter)
    with pytest.raises(StalePositionError):
        _decide(SlowReferee(made.workspace, "m-a", "pass"), finished("r-1", "m-a"), policy)
    assert [event.kind for event in made.workspace.log.read()] == ["run_started", "promoted"]


def test_looks_are_counted_for_each_champion_apart(shop):
    made = shop()
    verdicts = [
        Verdict(outcome="undecided", checks=(), rows=1, challenger="m-b", champion=known)
        for known in ("m-a", "m-a", None)
    ]
    state = made.record(
        started("r-1"),
        finished("r-1", "m-b"),
        *(
            VerdictGiven(run="r-1", verdict=verdict, evidence=str(number))
            for number, verdict in enumerate(verdicts)
        ),
    )
    looks = [count_looks(state, "m-b", known, cut=None).same for known in ("m-a", None, "m-c")]
    assert looks == [2, 1, 0]


def test_other_challengers_on_the_same_rows_are_counted(shop):
    cut = Cut(cut="2025-06-01T00:00:00.000000Z")
    facts = []
    for number, (model, at) in enumerate([("m-a", cut.cut), ("m-b", cut.cut), ("m-c", "2024")]):
        run = f"r-{number}"
        verdict = Verdict(outcome="fail", checks=(), rows=1, challenger=model)
        end = RunFinished(
            run=run, state="done", steps=(), metrics={}, model=model, tested=model, cut=at
        )
        facts += [started(run), end, VerdictGiven(run=run, verdict=verdict, evidence=run)]
    state = shop().record(*facts)
    assert count_looks(state, "m-a", None, cut=cut.cut).others == 1
    assert count_looks(state, "m-new", None, cut=cut.cut).others == 2


def test_a_model_that_was_rolled_back_from_needs_a_person(shop):
    made = shop()
    decide(made, "m-a", "pass", run="r-1")
    decide(made, "m-b", "pass", run="r-2")
    made.record(RolledBack(model="m-a", previous="m-b", because="odd prices"))
    decision, kinds, _ = decide(made, "m-b", "pass", run="r-3", is_new=False)
    assert (decision.champion, decision.promoted, kinds) == ("m-a", False, ["run_finished"])
    assert "rolled back from before" in decision.notes[0]


def test_a_look_at_an_earlier_moment_promotes_nothing(shop):
    decision, kinds, _ = decide(shop(), "m-a", "pass", moment="2025-01-01T00:00:00.000000Z")
    assert (decision.champion, kinds) == (None, ["run_finished", "verdict_given"])
    assert "earlier moment" in decision.notes[0]


def test_says_that_the_champions_package_is_gone(shop):
    made = shop()
    decide(made, "m-aaaaaaaaaaaa", "pass", run="r-1")
    decision, _, _ = decide(made, "m-bbbbbbbbbbbb", "undecided", run="r-2")
    assert decision.champion == "m-aaaaaaaaaaaa"
    assert "missing or damaged" in decision.notes[-1]
