"""Every branch of the one place where a decision is taken."""

import pytest
from state_samples import (
    NOW,
    began,
    check,
    crowned,
    drift,
    ended,
    gain,
    judged,
    left,
    made,
    ran,
    refitted,
    window,
)

from bucle.loop.decide import Judge, Promote, Refit, Retrain, Wait, decide
from bucle.loop.policy import Policy, make_policy

NEVER = make_policy("never")
REFIT = make_policy("never", gate="referee+refit")
UNGATED = make_policy("never", gate="none")
ASKING = Policy(text="never", promote="ask")


def decided(*facts, policy=NEVER, now=NOW):
    """Return the one action that is decided."""
    (action,) = decide(made(*facts), policy, now)
    return action


def done(action, kind):
    """Return an action when it is of a kind, else fail."""
    assert isinstance(action, kind), action
    return action


# ---- when to train ----------------------------------------------------------


def test_nothing_fired_is_a_wait_that_says_why():
    action = done(decided(), Wait)
    assert (action.id, action.settled) == ("", "nothing was trained yet")
    assert action.why == "the policy never retrains"


def test_trigger_that_fired_asks_for_a_retrain_on_the_policys_window():
    policy = make_policy("every:1mo", window="last:2y")
    action = done(decided(policy=policy), Retrain)
    assert (action.window, action.why) == ("last:2y", "nothing was trained yet")
    assert action.id.startswith("a-")


def test_same_cause_is_the_same_action_at_any_time_and_another_cause_another():
    policy = make_policy("every:1w")
    early = decided(*ran("r-0", None), policy=policy)
    late = decided(*ran("r-0", None), policy=policy, now=NOW.replace(year=2027))
    other = decided(*ran("r-9", None), policy=policy)
    assert early.id == late.id != other.id


def test_action_whose_effect_is_on_record_is_not_asked_for_again():
    policy = make_policy("drift")
    facts = [crowned(), drift()]
    retrain = done(decided(*facts, policy=policy), Retrain)
    after = [*facts, began("r-1"), ended("r-1", None, state="failed", action=retrain.id)]
    assert isinstance(decided(*after, policy=policy), Wait)


def test_trigger_that_had_its_retrain_does_not_hide_the_next_one():
    policy = make_policy("drift/gain")
    facts = [crowned(), drift()]
    retrain = done(decided(*facts, policy=policy), Retrain)
    after = [
        *facts,
        began("r-1"),
        ended("r-1", None, state="failed", action=retrain.id),
        ("2026-02-25", gain()),
    ]
    action = done(decided(*after, policy=policy), Retrain)
    assert "would have saved" in action.why


def test_retrain_that_was_not_finished_is_asked_for_again_under_its_id():
    action = done(decided(began("r-1", asked="a-7")), Retrain)
    assert (action.id, action.why) == ("a-7", "it was not finished")


def test_retrain_that_was_not_finished_is_not_forgotten_for_runs_that_people_began():
    action = done(decided(began("r-1", asked="a-7"), *ran("r-2", "m-2"), began("r-3")), Retrain)
    assert action.id == "a-7"


def test_run_that_a_person_left_unfinished_is_nobodys_to_finish():
    assert isinstance(decided(began("r-1")), Wait)


def test_run_that_failed_is_settled_with_its_error():
    action = decided(began(), ended(model=None, state="failed", error="no rows"))
    assert done(action, Wait).settled == "the run failed: no rows"
    silent = decided(began(), ended(model=None, state="stopped"))
    assert done(silent, Wait).settled == "the run stopped"


def test_run_without_a_model_to_judge_is_settled():
    assert done(decided(began(), ended(model=None)), Wait).settled == "the run done"


# ---- before the referee -----------------------------------------------------


def test_trained_model_is_judged_beside_the_champion():
    action = done(decided(crowned("m-0"), *ran()), Judge)
    assert (action.run, action.model, action.champion) == ("r-1", "m-1", "m-0")
    assert done(decided(*ran()), Judge).champion is None


@pytest.mark.parametrize("outcome", ["fail", "undecided"])
def test_model_that_did_not_pass_is_settled_with_the_check_that_said_so(outcome):
    checks = (check("pass", name="rows"), check(outcome, needed=1200))
    action = done(decided(*ran(), judged(outcome, checks=checks)), Wait)
    assert action.settled == f"{outcome}: gain, 1,200 more labels would decide"


def test_refusal_without_numbers_is_told_plainly():
    assert done(decided(*ran(), judged("fail", checks=(check("fail"),))), Wait).settled == (
        "fail: gain"
    )
    assert done(decided(*ran(), judged("fail")), Wait).settled == "fail"


def test_model_that_reigns_already_is_not_judged():
    action = done(decided(crowned("m-1"), *ran()), Wait)
    assert action.settled == "the same model as before: there is nothing to judge"


def test_tested_twin_of_the_champion_is_not_judged():
    facts = [*ran(), judged(), refitted(), crowned("m-1r"), *ran("r-2", "m-1")]
    assert "same model" in done(decided(*facts), Wait).settled


def test_verdict_of_another_run_of_the_same_model_does_not_count():
    facts = [*ran(), judged("fail"), *ran("r-2", "m-1")]
    assert done(decided(*facts), Judge).run == "r-2"


def test_model_that_passed_is_judged_again_beside_a_champion_that_came_since():
    facts = [*ran("r-0", "m-x"), crowned("m-0"), *ran(), judged(champion="m-0"), crowned("m-x")]
    action = done(decided(*facts), Judge)
    assert (action.champion, action.why) == ("m-x", "the champion has changed since it passed")
    assert action.id != done(decided(crowned("m-0"), *ran()), Judge).id


def test_model_that_failed_is_not_judged_again_because_a_person_acted():
    facts = [*ran("r-0", "m-x"), *ran(), judged("fail"), crowned("m-x")]
    assert done(decided(*facts), Wait).settled == "fail"


def test_verdict_beside_the_champion_of_now_counts_whichever_came_last():
    facts = [
        *ran("r-0", "m-x"),
        *ran("r-0b", "m-y"),
        crowned("m-x"),
        *ran(),
        judged("pass", champion="m-x"),
        judged("fail", champion="m-y"),
    ]
    assert isinstance(decided(*facts), Promote)
    assert done(decided(*facts, crowned("m-y")), Wait).settled == "fail"


def test_verdict_stands_where_the_champion_was_made_by_no_run():
    assert isinstance(decided(crowned("m-ghost"), *ran(), judged()), Promote)


# ---- shipping ---------------------------------------------------------------


def test_model_that_passed_is_promoted_in_place_of_the_champion():
    action = done(decided(*ran("r-0", "m-0"), crowned(), *ran(), judged(champion="m-0")), Promote)
    assert (action.run, action.model, action.previous, action.verdict) == (
        "r-1",
        "m-1",
        "m-0",
        "pass",
    )
    assert action.why == "the gate says pass"


def test_without_a_gate_the_model_ships_unjudged():
    action = done(decided(crowned(), *ran(), policy=UNGATED), Promote)
    assert (action.verdict, action.why) == ("", "no gate was asked for")


def test_promotion_that_is_on_record_is_done():
    promote = done(decided(*ran(), judged()), Promote)
    facts = [*ran(), judged(), crowned("m-1", action=promote.id)]
    assert done(decided(*facts), Wait).settled == "it was promoted"


@pytest.mark.parametrize("policy", [NEVER, UNGATED], ids=["referee", "none"])
def test_champion_that_a_person_replaced_is_not_put_back(policy):
    promote = done(decided(*ran(), judged(), policy=policy), Promote)
    facts = [*ran("r-0", "m-x"), *ran(), judged(), crowned("m-1", action=promote.id)]
    action = done(decided(*facts, crowned("m-x"), policy=policy), Wait)
    assert action.settled == "it was promoted"


def test_refit_is_asked_for_once_a_model_has_passed():
    action = done(decided(*ran(), judged(), policy=REFIT), Refit)
    assert (action.run, action.model, action.why) == ("r-1", "m-1", "it passed")
    assert isinstance(decided(*ran(), judged("fail"), policy=REFIT), Wait)


def test_refit_as_good_as_its_tested_twin_ships():
    assert done(decided(*ran(), judged(), refitted(), policy=REFIT), Promote).model == "m-1r"


@pytest.mark.parametrize(
    "refit",
    [
        refitted("undecided"),
        refitted("fail"),
        refitted("undecided", model=None),
        refitted("pass", model=None),
        refitted("pass", model="m-1"),
    ],
    ids=["undecided", "fail", "not made", "passed and not made", "itself"],
)
def test_tested_model_ships_when_its_refit_may_not(refit):
    assert done(decided(*ran(), judged(), refit, policy=REFIT), Promote).model == "m-1"


# ---- held back --------------------------------------------------------------


def test_person_is_asked_where_the_policy_says_so():
    action = done(decided(*ran(), judged(), policy=ASKING), Wait)
    assert action.settled == "it waits for a person: bucle promote m-1"


def test_look_at_an_earlier_moment_promotes_nothing():
    facts = [*ran(as_of="2025-01-01"), judged()]
    assert "an earlier moment promotes nothing" in done(decided(*facts), Wait).settled


@pytest.mark.parametrize("policy", [NEVER, UNGATED, REFIT], ids=["referee", "none", "refit"])
def test_model_that_was_rolled_back_from_needs_a_person(policy):
    facts = [crowned("m-0"), *ran(), crowned("m-1"), left("m-1", to="m-0")]
    again = [*ran("r-2", "m-1"), judged(run="r-2", champion="m-0")]
    action = done(decided(*facts, *again, policy=policy), Wait)
    assert "was rolled back from before" in action.settled


def test_tested_twin_of_a_refit_that_was_rolled_back_from_needs_a_person():
    facts = [
        crowned("m-0"),
        *ran(),
        judged(champion="m-0"),
        refitted(),
        crowned("m-1r"),
        left("m-1r", to="m-0"),
    ]
    assert "was rolled back from before" in done(decided(*facts, policy=REFIT), Wait).settled


def test_held_challenger_does_not_keep_the_loop_from_training():
    policy = Policy(text="drift", triggers=make_policy("drift").triggers, promote="ask")
    facts = [crowned("m-0"), *ran(), judged(champion="m-0"), drift(), window()]
    action = done(decided(*facts, policy=policy), Retrain)
    assert action.why.startswith("inputs moved")


def test_the_check_that_compares_two_models_is_said_in_words():
    checks = (check("undecided", name="champion", needed=40),)
    action = decided(*ran(), judged("undecided", checks=checks))
    assert done(action, Wait).settled == (
        "undecided: not shown to err less than the champion, 40 more labels would decide"
    )
