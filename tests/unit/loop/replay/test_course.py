"""A policy on its way through history: what it does, when, and that it leaves a trace."""

import pytest
from msgspec.structs import replace
from paper import WEEKS, Paper, paper_scale, paper_survey

from bucle.errors import BucleError
from bucle.loop.policy import make_policy
from bucle.loop.replay.course import Driver, foresee
from bucle.loop.replay.outlook import Outlook


def drive(text, *, gate="none", **paper):
    """Let a policy walk through all weeks and return its legs."""
    outlook = Outlook(Paper(**paper), paper_scale())
    outlook.move(0)
    driver = Driver(outlook, make_policy(text, gate=gate, price=3.0))
    for number in range(1, WEEKS):
        outlook.move(number)
        driver.look(outlook.now)
    return driver.legs


def champions(legs):
    return [leg.champion.model for leg in legs]


def did(legs):
    return [[action.name for action in leg.look.did] for leg in legs]


def test_never_keeps_the_model_of_the_first_day() -> None:
    legs = drive("never")
    assert champions(legs) == ["m-0"] * WEEKS
    assert did(legs) == [[]] * WEEKS
    assert {leg.look.why for leg in legs[1:]} == {"the policy never retrains"}


def test_the_calendar_retrains_when_its_span_is_over_and_ships_without_a_gate() -> None:
    legs = drive("every:2w")
    assert champions(legs) == [
        "m-0",
        "m-0",
        "m-2",
        "m-2",
        "m-4",
        "m-4",
        "m-6",
        "m-6",
        *["m-8"] * 2,
        *["m-10"] * 2,
    ]
    assert did(legs)[2] == ["retrain", "promote"]
    assert [leg.candidate and leg.candidate.model for leg in legs[:3]] == [None, None, "m-2"]


def test_a_schedule_retrains_at_the_first_look_after_its_moments() -> None:
    weekly, monthly = drive("cron:0 6 * * wed"), drive("cron:0 6 1 * *")
    assert champions(weekly) == champions(drive("every:1w"))
    # History begins on 19 January and is looked at on Mondays.
    assert [at for at, did in enumerate(did(monthly)) if did] == [2, 6, 11]


def test_a_champion_that_is_old_enough_is_replaced() -> None:
    assert champions(drive("age:14d")) == champions(drive("every:2w"))


def test_a_gate_ships_what_was_tested_or_its_refit() -> None:
    tested, refit = drive("every:2w", gate="referee"), drive("every:2w", gate="referee+refit")
    assert champions(tested)[6] == "m-3"
    # Having seen more, 10 + 6 is further from the weeks it is compared on than 10 + 3.
    assert champions(refit)[6] == "m-3"
    assert did(refit)[6] == ["retrain", "judge", "refit", "promote"]
    assert did(tested)[6] == ["retrain", "judge", "promote"]


def test_a_drop_in_performance_is_seen_once_its_labels_have_come() -> None:
    legs = drive("performance:+50%/every:5w")
    # The model of week 5 was validated at 0.75; the labels of week 5 to 7 are 0.5, 1 and 2 away.
    # Labels take up to two weeks: week 7 is judged in the tenth.
    assert [number for number, actions in enumerate(did(legs)) if actions] == [5, 10]
    assert legs[10].look.why.startswith("mae +5")
    assert champions(legs)[10:] == ["m-10"] * 2


def test_inputs_that_move_start_a_retrain_in_the_week_after() -> None:
    legs = drive("drift:1.0")
    assert next(number for number, actions in enumerate(did(legs)) if actions) == 5
    assert legs[5].look.why.startswith("inputs moved: size by")


def test_a_gain_on_new_labels_starts_a_retrain() -> None:
    legs = drive("gain")
    fired = [leg.look.why for leg in legs if leg.look.did]
    assert fired
    assert all("a new model would have saved" in why for why in fired)


def test_a_training_that_fails_leaves_the_champion_and_the_loop_goes_on() -> None:
    legs = drive("every:2w", failing=[2])
    assert champions(legs)[:5] == ["m-0", "m-0", "m-0", "m-0", "m-4"]
    assert did(legs)[2] == ["retrain"]
    assert legs[2].candidate is None


def test_a_first_day_without_a_model_is_no_beginning() -> None:
    with pytest.raises(BucleError, match="too hot"):
        drive("never", failing=[0])


def test_each_leg_stands_for_all_before_it() -> None:
    heads = [leg.head for leg in drive("every:2w")]
    assert len(set(heads)) == WEEKS
    assert heads == [leg.head for leg in drive("every:2w")]
    other = [leg.head for leg in drive("every:2w", failing=[4])]
    assert other[:4] == heads[:4]
    assert not set(other[4:]) & set(heads)


@pytest.mark.parametrize(
    ("policy", "gate", "sure"),
    [
        ("never", "none", ["whole 0"]),
        ("every:3w", "none", ["whole 0", "whole 3", "whole 6", "whole 9"]),
        ("every:3w", "referee", ["whole 0", "cut 3", "cut 6", "cut 9"]),
        ("drift", "none", ["whole 0"]),
        ("every:3w/drift", "none", ["whole 0"]),
        ("gain", "none", ["whole 0", *(f"cut {week}" for week in range(1, WEEKS))]),
    ],
)
def test_what_is_sure_to_be_trained_is_known_before(policy, gate, sure) -> None:
    found = foresee(paper_survey(), [make_policy(policy, gate=gate)])
    assert sorted(one.view for one in found) == sorted(sure)


def test_one_training_set_asked_from_two_moments_is_foreseen_twice() -> None:
    survey = paper_survey()
    first, third = survey.moments[2], survey.moments[5]
    whole = first.whole["expanding"]
    same = replace(whole, asked_from=whole.moment)
    moments = list(survey.moments)
    moments[5] = replace(third, cut={"expanding": same})
    found = foresee(
        replace(survey, moments=tuple(moments)), [make_policy("every:3w", gate="referee")]
    )
    assert [one.asked_from for one in found if one.view == whole.view] == [
        whole.asked_from,
        whole.moment,
    ]
