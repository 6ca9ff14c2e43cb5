"""The steps of a rollout are set anew while a candidate is on its way: no evidence is skipped."""

import msgspec
import pytest
from state_samples import NOW, crowned, deployed, judged, left, made, ran, seen, withdrawn

from bucle.loop.decide import Deploy, Judge, Promote, Wait, Withdraw, decide
from bucle.loop.policy import make_policy
from bucle.loop.rollout import Rollout

STEPS = msgspec.structs.replace(make_policy("never"), rollout=Rollout(), unled=Rollout())
NO_STEPS = msgspec.structs.replace(STEPS, rollout=None)
PASSED = (*ran("r-0", "m-0"), crowned("m-0"), *ran(), judged(champion="m-0"))
BESIDE = (*PASSED, deployed())
CANARY = (*BESIDE, deployed(share=0.05))


def decided(*facts, base):
    """Return the one action that is decided."""
    (action,) = decide(made(*facts), base, NOW)
    return action


def led_by(*shares):
    """Return a policy of other steps."""
    return msgspec.structs.replace(STEPS, rollout=Rollout(shares=shares))


# ---- no steps are left ----------------------------------------------------------------


@pytest.mark.parametrize("facts", [BESIDE, CANARY, (*BESIDE, seen()), (*CANARY, seen(share=0.05))])
def test_candidate_is_held_where_no_steps_are_left(facts):
    action = decided(*facts, base=NO_STEPS)
    assert isinstance(action, Wait)
    assert "m-1 is on its way: " in action.why


def test_candidate_with_all_evidence_waits_for_a_person_where_no_steps_are_left():
    assert "bucle promote m-1" in decided(*BESIDE, seen(), base=NO_STEPS).why


def test_candidate_is_still_taken_away_where_no_steps_are_left():
    assert isinstance(decided(*CANARY, seen(share=0.05, failures=50), base=NO_STEPS), Withdraw)
    late = seen(baked_s=8 * 86_400.0)
    assert isinstance(decided(*BESIDE, late, base=NO_STEPS), Withdraw)


@pytest.mark.parametrize("base", [NO_STEPS, led_by(0.1, 0.5)])
def test_candidate_that_was_taken_away_does_not_come_back_by_other_steps(base):
    action = decided(*CANARY, withdrawn(), base=base)
    assert isinstance(action, Wait)
    assert action.settled == "it was taken away from beside the champion"


def test_candidate_whose_place_a_person_gave_away_is_not_promoted_without_steps():
    other = [*PASSED[:3], *ran("r-x", "m-x"), *PASSED[3:], deployed(), deployed("m-x", run="")]
    assert isinstance(decided(*other, base=NO_STEPS), Wait)
    assert isinstance(decided(*other, withdrawn("m-x"), base=NO_STEPS), Wait)


def test_beside_another_champion_a_candidate_begins_again():
    facts = [*BESIDE, withdrawn(), *ran("r-x", "m-x"), crowned("m-x")]
    facts = [*facts, *ran("r-1", "m-1"), left("m-x", to="m-0"), crowned("m-x")]
    assert not isinstance(decided(*facts, base=STEPS), Promote)


def test_candidate_that_lost_its_champion_is_judged_and_deployed_anew():
    facts = [*ran("r-9", "m-9"), crowned("m-9"), *PASSED[:3], *PASSED[3:], deployed()]
    facts.append(left("m-0", to="m-9"))
    assert isinstance(decided(*facts, base=STEPS), Judge)
    action = decided(*facts, judged(champion="m-9"), base=STEPS)
    assert isinstance(action, Deploy)
    assert action.champion == "m-9"


# ---- other steps ------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [(0.0,), (0.0, 0.5), (0.1, 0.2), (0.25,)])
def test_candidate_at_a_share_that_is_no_step_any_more_begins_again(shares):
    facts = [*CANARY, seen(share=0.05)]
    action = decided(*facts, base=led_by(*shares))
    assert isinstance(action, Deploy)
    assert action.share == shares[0]
    assert "begins again" in action.why


def test_candidate_that_begins_again_walks_all_the_steps_of_now():
    base, facts, shares = led_by(0.0, 0.5), [*CANARY, seen(share=0.05)], []
    while not isinstance(action := decided(*facts, base=base), Promote):
        assert isinstance(action, Deploy)
        shares.append(action.share)
        facts += [deployed(share=action.share, action=action.id)]
        assert isinstance(decided(*facts, base=base), Wait), "nothing was seen at this share yet"
        facts += [seen(share=action.share)]
    assert shares == [0.0, 0.5]


def test_step_that_was_walked_before_is_walked_again():
    there, back = led_by(0.0, 0.05), led_by(0.0, 0.5)
    facts = [*BESIDE, seen()]
    for base, share in ((there, 0.05), (back, 0.0), (back, 0.5), (there, 0.0), (there, 0.05)):
        action = decided(*facts, base=base)
        assert isinstance(action, Deploy)
        assert (action.share, made(*facts).acted & {action.id}) == (share, frozenset())
        facts += [deployed(share=share, action=action.id), seen(share=share)]


def test_candidate_at_a_step_that_is_left_goes_on_from_there():
    action = decided(*BESIDE, seen(), base=led_by(0.0, 0.5))
    assert isinstance(action, Deploy)
    assert action.share == 0.5
