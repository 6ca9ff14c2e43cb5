"""Every branch of what a loop that serves decides: step by step, on trial, with people."""

import msgspec
import pytest
from state_samples import (
    NOW,
    alarm,
    approved,
    asked_for,
    began,
    crowned,
    deployed,
    judged,
    left,
    made,
    paused,
    ran,
    refitted,
    resumed,
    seen,
    withdrawn,
)

from bucle.loop.actions import Action
from bucle.loop.decide import (
    Deploy,
    Judge,
    Promote,
    Refit,
    Retrain,
    RollBack,
    Wait,
    Withdraw,
    decide,
)
from bucle.loop.policy import make_policy
from bucle.loop.rollout import Rollout
from bucle.loop.spans import parse_span

STEPS = msgspec.structs.replace(make_policy("never"), rollout=Rollout())
DAY = 86_400.0
WEEK = 7 * DAY
PASSED = (*ran("r-0", "m-0"), crowned("m-0"), *ran(), judged(champion="m-0"))
TROUBLE = {"failures": 50}


def decided(*facts, now=NOW, base=STEPS, **changes):
    """Return the one action that is decided under a policy with a rollout."""
    (action,) = decide(made(*facts), msgspec.structs.replace(base, **changes), now)
    return action


def done(action, kind):
    """Return an action when it is of a kind, else fail."""
    assert isinstance(action, kind), action
    return action


def on_its_way(*, share=0.0, **changes):
    """Return the facts of a candidate that came to a share in the way of the loop."""
    facts = list(PASSED)
    for at in (0.0, 0.05, 0.25):
        first = decided(*facts, **changes)
        facts.append(deployed(share=at, action=first.id if at == 0 else ""))
        if at == share:
            break
    return facts


# ---- the first step -------------------------------------------------------------


def test_model_that_passed_is_put_beside_the_champion():
    action = done(decided(*PASSED), Deploy)
    assert (action.run, action.model, action.champion, action.share) == ("r-1", "m-1", "m-0", 0.0)
    assert action.why == "the gate says pass"


def test_first_model_of_all_is_promoted_at_once():
    assert done(decided(*ran(), judged()), Promote).model == "m-1"


def test_rollout_without_shares_begins_with_a_shadow():
    action = done(decided(*PASSED, rollout=Rollout(shares=())), Deploy)
    assert action.share == 0.0


def test_model_without_a_gate_goes_step_by_step_too():
    action = done(decided(*PASSED, gate="none"), Deploy)
    assert action.why == "no gate was asked for"


def test_refit_is_what_is_put_beside_the_champion():
    assert done(decided(*PASSED, gate="referee+refit"), Refit).model == "m-1"
    action = done(decided(*PASSED, refitted(), gate="referee+refit"), Deploy)
    assert action.model == "m-1r"


def test_candidate_that_another_run_made_again_is_on_its_way():
    again = (*PASSED, deployed(), *ran("r-2"), judged(run="r-2", champion="m-0"))
    action = done(decided(*again), Deploy)
    waits = done(decided(*again, deployed(run="r-2", action=action.id)), Wait)
    assert waits.settled == "it is on its way as a shadow"


def test_candidate_that_was_taken_away_is_not_put_there_again():
    action = done(decided(*on_its_way(), withdrawn()), Wait)
    assert action.settled == "it was taken away from beside the champion"


def test_candidate_that_did_not_load_is_not_tried_again():
    first = done(decided(*PASSED), Deploy)
    assert isinstance(decided(*PASSED, withdrawn(action=first.id)), Wait)


def test_new_candidate_takes_the_place_of_the_one_on_its_way():
    passed = (*ran("r-2", "m-2"), judged(run="r-2", model="m-2", champion="m-0"))
    facts = [*on_its_way(share=0.25), *passed]
    action = done(decided(*facts), Deploy)
    assert (action.model, action.share) == ("m-2", 0.0)


def test_what_a_person_deployed_is_left_alone():
    facts = [*PASSED[:3], *ran("r-x", "m-x"), *PASSED[3:], deployed("m-x", run="")]
    action = done(decided(*facts), Wait)
    assert action.settled == "it waits: ana has put m-x beside the champion"
    assert isinstance(decided(*facts, seen("m-x", **TROUBLE)), Wait)
    assert isinstance(decided(*facts, withdrawn("m-x")), Deploy)


def test_candidate_is_judged_again_beside_a_champion_that_came_since():
    facts = [*ran("r-x", "m-x"), *on_its_way(), crowned("m-x")]
    assert done(decided(*facts), Judge).champion == "m-x"


@pytest.mark.parametrize("gate", ["none", "referee", "referee+refit"])
def test_model_that_was_rolled_back_from_is_not_put_beside_anybody(gate):
    facts = [*PASSED, crowned("m-1"), left("m-1", to="m-0"), *ran("r-2", "m-1")]
    facts += [judged(run="r-2", champion="m-0")]
    assert "was rolled back from before" in done(decided(*facts, gate=gate), Wait).settled


def test_refit_of_a_model_that_was_rolled_back_from_is_not_put_beside_anybody():
    facts = [*PASSED, refitted(), crowned("m-1r"), left("m-1r", to="m-0"), *ran("r-2", "m-1")]
    facts += [judged(run="r-2", champion="m-0"), refitted(run="r-2", model="m-1s")]
    action = done(decided(*facts, gate="referee+refit"), Wait)
    assert "was rolled back from before" in action.settled


# ---- from share to share ----------------------------------------------------------


@pytest.mark.parametrize(("share", "following"), [(0.0, 0.05), (0.05, 0.25)])
def test_candidate_with_all_its_evidence_comes_to_the_next_share(share, following):
    action = done(decided(*on_its_way(share=share), seen(share=share)), Deploy)
    assert (action.run, action.model, action.share) == ("r-1", "m-1", following)


def test_candidate_at_the_last_share_becomes_champion():
    facts = [*on_its_way(share=0.25), seen(share=0.25)]
    action = done(decided(*facts), Promote)
    assert (action.model, action.previous, action.verdict) == ("m-1", "m-0", "pass")
    assert done(decided(*facts, gate="none"), Promote).verdict == ""


def test_candidate_that_misses_evidence_holds():
    facts = on_its_way(share=0.05)
    action = done(decided(*facts), Wait)
    assert action.why.startswith("m-1 is on its way: nothing was seen of m-1 yet; ")
    assert action.settled == "it is on its way as a canary"
    assert isinstance(decided(*facts, seen(share=0.05, answers=3)), Wait)


def test_evidence_of_another_share_counts_for_nothing():
    facts = [*on_its_way(), seen(), deployed(share=0.05), seen(share=0.0)]
    assert isinstance(decided(*facts), Wait)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25])
def test_bad_candidate_is_taken_away_whatever_else_there_is(share):
    facts = [*on_its_way(share=share), seen(share=share, **TROUBLE)]
    action = done(decided(*facts), Withdraw)
    assert (action.model, action.why) == ("m-1", "it failed on 50 of 550 rows")
    assert isinstance(decided(*facts, paused()), Withdraw)


def test_candidate_past_its_deadline_is_taken_away():
    facts = [*on_its_way(share=0.05), seen(share=0.05, answers=3, baked_s=WEEK)]
    assert "still waits for answers" in done(decided(*facts), Withdraw).why


def test_candidate_keeps_triggers_waiting_and_a_person_never():
    every = make_policy("every:1d").triggers
    facts = on_its_way()
    action = done(decided(*facts, triggers=every), Wait)
    assert "but m-1 is on its way" in action.why
    assert done(decided(*facts, asked_for(), triggers=every), Retrain).trigger == "person"


def test_deployment_of_a_run_that_is_not_on_record_is_not_led():
    facts = [*PASSED[:3], deployed("m-9", run="r-unknown"), seen("m-9")]
    assert isinstance(decided(*facts), Wait)
    assert isinstance(decided(*facts, seen("m-9", baked_s=2000.0, **TROUBLE)), Withdraw)


def test_without_a_rollout_a_new_model_is_promoted_at_once_and_no_former_one_is_kept():
    action = done(decided(*PASSED, rollout=None), Promote)
    assert action.model == "m-1"
    assert isinstance(decided(*PASSED, crowned("m-1", action=action.id), rollout=None), Wait)


# ---- people -----------------------------------------------------------------------


def test_roles_are_asked_before_a_candidate_answers_anybody():
    roles = {"approval": ("business", "expert")}
    facts = [*on_its_way(**roles), seen()]
    action = done(decided(*facts, **roles), Wait)
    assert "m-1 is on its way: it waits for business: bucle approve m-1" in action.why
    facts.append(approved(role="business"))
    assert "it waits for expert" in done(decided(*facts, **roles), Wait).why
    facts.append(approved(role="expert"))
    assert done(decided(*facts, **roles), Deploy).share == 0.05


def test_canary_without_a_shadow_before_it_asks_first():
    changes = {"approval": ("business",), "rollout": Rollout(shares=(0.1,))}
    assert "it waits for business" in done(decided(*PASSED, **changes), Wait).settled
    assert done(decided(*PASSED, approved(), **changes), Deploy).share == 0.1


def test_approval_of_the_tested_model_counts_for_its_refit():
    changes = {"approval": ("business",), "gate": "referee+refit", "rollout": None}
    assert done(decided(*PASSED, approved(), refitted(), **changes), Promote).model == "m-1r"
    other = done(decided(*PASSED, refitted(), approved("m-1r"), **changes), Promote)
    assert other.model == "m-1r"


def test_approval_of_another_model_counts_for_nothing():
    facts = [*PASSED, approved("m-0")]
    assert isinstance(decided(*facts, approval=("business",), rollout=None), Wait)


def test_candidate_that_waits_for_a_person_for_too_long_is_taken_away():
    changes = {"promote": "ask"}
    facts = on_its_way(**changes)
    assert "it waits for a person" in done(decided(*facts, seen(), **changes), Wait).why
    late = done(decided(*facts, seen(baked_s=WEEK), **changes), Withdraw)
    assert late.why == "after 7 days at this share it waits for a person: bucle promote m-1"


def test_paused_loop_starts_nothing_and_says_since_when():
    action = done(decided(*PASSED, paused()), Wait)
    assert action.why == action.settled == "it is paused since 2026-01-10T00:00: stocktaking"
    assert isinstance(decided(began("r-1", asked="a-1"), paused()), Wait)
    assert isinstance(decided(*PASSED, paused(), asked_for()), Wait)
    assert isinstance(decided(*PASSED, paused(), resumed()), Deploy)


def test_limits_keep_a_trigger_back_and_say_so():
    changes = {
        "triggers": make_policy("every:1d").triggers,
        "cooldown": parse_span("1y"),
        "rollout": None,
    }
    facts = [("2026-02-27", began("r-1"))]
    action = done(decided(*facts, **changes), Wait)
    assert action.why == "1d since the last retrain, but the last retrain is younger than 1y"
    assert isinstance(decided(*facts, asked_for(), **changes), Retrain)


# ---- on probation -------------------------------------------------------------------


def promoted_step_by_step(*more):
    """Return the facts of a champion that the loop has promoted."""
    facts = [*on_its_way(share=0.25), seen(share=0.25)]
    action = done(decided(*facts), Promote)
    return [*facts, crowned("m-1", action=action.id, previous="m-0"), *more]


def kept(*more):
    """Return the same with the champion before beside it."""
    facts = promoted_step_by_step()
    action = done(decided(*facts), Deploy)
    former = deployed("m-0", champion="m-1", run="", is_former=True, action=action.id)
    return [*facts, former, *more]


def before(**fields):
    """Return what was seen of the champion before."""
    return seen("m-0", champion="m-1", **fields)


def test_champion_before_is_kept_to_be_compared_with():
    action = done(decided(*promoted_step_by_step()), Deploy)
    assert (action.run, action.model, action.champion, action.share) == ("", "m-0", "m-1", 0.0)


def test_champion_before_is_kept_once():
    action = done(decided(*kept(withdrawn("m-0"))), Wait)
    assert action.settled == "it was promoted"


def test_nobody_is_kept_after_what_a_person_did():
    by_hand = [*ran("r-0", "m-0"), crowned("m-0"), *ran(), crowned("m-1")]
    assert isinstance(decided(*by_hand), Wait)
    back = [*promoted_step_by_step(), left("m-1", to="m-0")]
    assert isinstance(decided(*back), Wait)


def test_nobody_is_kept_when_a_person_put_back_what_the_loop_had_promoted():
    back = [*promoted_step_by_step(), crowned("m-0"), left("m-0", to="m-1")]
    assert isinstance(decided(*back), Wait)
    again = [*promoted_step_by_step(), left("m-1", to="m-0"), crowned("m-1")]
    assert isinstance(decided(*again), Wait)


def test_first_champion_has_nobody_before_it():
    action = done(decided(*ran(), judged()), Promote)
    assert isinstance(decided(*ran(), judged(), crowned("m-1", action=action.id)), Wait)


def test_promotion_without_harm_ends_its_probation():
    assert isinstance(decided(*kept()), Wait)
    assert isinstance(decided(*kept(before(baked_s=WEEK - 1))), Wait)
    action = done(decided(*kept(before(baked_s=WEEK))), Withdraw)
    assert (action.model, action.why) == ("m-0", "7 days without harm after the promotion")


def test_champion_that_errs_more_than_the_one_before_is_rolled_back():
    facts = kept(before(gain=0.2, low=0.1, high=0.3, labelled=50))
    action = done(decided(*facts), RollBack)
    assert (action.model, action.previous) == ("m-0", "m-1")
    assert isinstance(decided(*facts, paused()), RollBack)


def test_harm_on_probation_rolls_back():
    action = done(decided(*kept(alarm())), RollBack)
    assert action.why == "harm since it became champion: wape is up"
    assert isinstance(decided(*kept(alarm(layer="inputs"))), Wait)


def test_harm_does_not_roll_back_from_a_champion_that_is_shown_to_err_less():
    facts = kept(alarm(), before(gain=-0.2, low=-0.3, high=-0.1, labelled=50))
    assert isinstance(decided(*facts), Wait)
    unknown = kept(alarm(), before(gain=-0.2, low=-0.3, high=0.1, labelled=50))
    assert isinstance(decided(*unknown), RollBack)


def test_alarm_from_before_the_promotion_rolls_nothing_back():
    facts = [alarm(), *kept()]
    assert isinstance(decided(*facts), Wait)


def test_rollback_on_record_is_settled():
    facts = kept(alarm())
    action = done(decided(*facts), RollBack)
    after = decided(*facts, left("m-1", to="m-0"))
    assert isinstance(after, Action)
    assert after.id != action.id
    assert isinstance(after, Wait)


def test_former_champion_that_was_itself_rolled_back_from_is_not_put_back():
    facts = [
        *ran("r-a", "m-a"),
        crowned("m-a"),
        *ran("r-b", "m-b"),
        crowned("m-b"),
        left("m-b", to="m-a"),
        deployed("m-b", champion="m-a", run="", is_former=True),
        seen("m-b", champion="m-a", gain=0.2, low=0.1, high=0.3, labelled=50),
    ]
    assert done(decided(*facts), Withdraw).model == "m-b"


def test_retrains_go_on_while_a_promotion_is_on_probation():
    action = decided(*kept(), triggers=make_policy("every:1d").triggers)
    assert isinstance(action, Retrain)


def test_same_cause_is_the_same_action_and_a_later_deployment_another():
    first = done(decided(*on_its_way(), seen(**TROUBLE)), Withdraw)
    again = done(decided(*on_its_way(), seen(baked_s=2000.0, **TROUBLE)), Withdraw)
    moved = [
        item if not hasattr(item, "share") else ("2026-02-02", item)
        for item in (*on_its_way(), seen(**TROUBLE))
    ]
    assert first.id == again.id != done(decided(*moved), Withdraw).id
