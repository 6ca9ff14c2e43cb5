"""Hindsight: errors, money, promotions and alarms, by the labels that came in the end."""

import math

import pytest
from paper import ROWS, WEEKS, Paper, error_of, paper_scale

from bucle.errors import RequestError
from bucle.loop.control import Look
from bucle.loop.decide import Retrain
from bucle.loop.policy import make_policy
from bucle.loop.replay.course import Course, Leg
from bucle.loop.replay.scores import Hindsight


def hindsight(**paper):
    material = Paper(**paper)
    return Hindsight(material, material.known(None).labels, paper_scale())


def course(answers, *, retrained=(), policy="every:1w", paper=None):
    """Return a way through history by what its champions answer, retrained in some weeks."""
    material = paper or Paper()

    def made(answer):
        return material.learned(material.whole(answer, "expanding"))

    trigger = policy.partition(":")[0]
    asked = Retrain(id="a", why="", window="expanding", trigger=trigger)
    legs = [
        Leg(
            champion=made(answer),
            look=Look(did=(asked,) if week in retrained else (), why="because"),
            candidate=made(week) if week in retrained else None,
            head="",
        )
        for week, answer in enumerate(answers)
    ]
    return Course(policy=make_policy(policy, gate="none", price=3.0), legs=tuple(legs))


def errors(answers):
    return [error_of(week, answer) for week, answer in enumerate(answers)]


STAYS = [0] * WEEKS
GROWS = [0, 0, 2, 2, 4, 4, 6, 6, 6, 6, 6, 6]


@pytest.mark.parametrize("answers", [STAYS, GROWS])
def test_the_error_is_that_of_each_week_s_champion_over_all_rows(answers) -> None:
    seen = hindsight()
    champions = [leg.champion for leg in course(answers).legs]
    assert seen.rows == ROWS * WEEKS
    assert seen.error(champions) == pytest.approx(sum(errors(answers)) / WEEKS)
    assert seen.losses(champions) == pytest.approx([ROWS * error for error in errors(answers)])


def test_money_is_errors_and_retrains_and_alarms_where_somebody_was_alarmed() -> None:
    seen = hindsight()
    lost = ROWS * sum(errors(GROWS))
    assert sum(seen.money(course(GROWS, retrained=(2, 4, 6)))) == pytest.approx(lost + 3 * 3.0)
    alarmed = course(GROWS, retrained=(2, 4, 6), policy="drift")
    assert sum(seen.money(alarmed)) == pytest.approx(lost + 3 * (3.0 + 1.0))


def test_a_result_counts_what_was_done_and_what_it_was_good_for() -> None:
    seen = hindsight()
    way = course(GROWS, retrained=(2, 4, 6))
    best = seen.oracle([way])
    found = seen.result(way, best)
    assert (found.retrains, found.promotions, found.alarms) == (3, 3, 3)
    assert (found.bad_promotions, found.false_alarms) == (0, 0)
    assert found.regret == pytest.approx(found.money - best.money)
    assert [tick.error for tick in found.timeline] == pytest.approx(errors(GROWS))
    assert [tick.rows for tick in found.timeline] == [ROWS] * WEEKS
    assert [tick.upkeep for tick in found.timeline] == [0, 0, 3, 0, 3, 0, 3, 0, 0, 0, 0, 0]
    assert [tick.did for tick in found.timeline][1:3] == [(), ("retrain",)]


def test_a_champion_that_does_worse_than_the_one_before_was_a_bad_promotion() -> None:
    seen = hindsight()
    back = course([0, 0, 0, 3, 3, *[0] * 7], retrained=(3, 5))
    found = seen.result(back, seen.oracle([back]))
    assert (found.promotions, found.bad_promotions) == (2, 1)


def test_an_alarm_whose_model_would_have_done_no_better_was_false() -> None:
    paper = Paper()
    seen = hindsight()
    legs = list(course(STAYS, retrained=(4,), paper=paper).legs)
    assert (
        seen.result(
            Course(policy=make_policy("drift", gate="none"), legs=tuple(legs)),
            seen.oracle([course(STAYS)]),
        ).false_alarms
        == 0
    )
    from msgspec.structs import replace

    legs[4] = replace(legs[4], candidate=legs[4].champion)
    same = Course(policy=make_policy("drift", gate="none"), legs=tuple(legs))
    assert seen.result(same, seen.oracle([same])).false_alarms == 1
    legs[4] = replace(legs[4], candidate=None)
    failed = Course(policy=make_policy("drift", gate="none"), legs=tuple(legs))
    assert seen.result(failed, seen.oracle([failed])).false_alarms == 1


def test_nobody_who_ships_the_same_models_does_better_than_the_optimum() -> None:
    seen = hindsight()
    ways = [course(STAYS), course(GROWS, retrained=(2, 4, 6)), course([0, 1, 1, 3, 3, *[5] * 7])]
    best = seen.oracle(ways)
    assert all(sum(seen.money(way)) >= best.money - 1e-9 for way in ways)
    assert sum(best.spent) == pytest.approx(best.money)
    assert len(best.champions) == WEEKS
    assert best.champions[0] == "m-0"


def test_two_policies_are_compared_on_the_same_rows() -> None:
    seen = hindsight()
    (pair,) = seen.compare([course(STAYS), course(GROWS, retrained=(2, 4, 6))])
    assert (pair.a, pair.b) == ("every:1w", "every:1w")
    assert pair.difference == pytest.approx(sum(errors(STAYS)) / sum(errors(GROWS)) - 1)
    assert pair.low <= pair.difference <= pair.high


def test_a_champion_that_refuses_rows_of_its_own_week_cannot_be_scored() -> None:
    paper = Paper(refusing=[3])
    seen = hindsight(refusing=[3])
    way = course(STAYS, paper=paper)
    with pytest.raises(RequestError, match=r"refuses 30 rows of 2026-02-09 to 2026-02-16"):
        seen.error([leg.champion for leg in way.legs])


def test_a_model_that_refuses_rows_is_none_that_anybody_would_have_chosen() -> None:
    paper = Paper(refusing_by={"m-2": (9,)})
    seen = Hindsight(paper, paper.known(None).labels, paper_scale())
    way = course(STAYS, retrained=(2,), paper=paper)
    best = seen.oracle([way])
    # m-2 is nearer to every later week, but cannot be scored in week 9.
    assert best.champions[9] == "m-0"
    assert math.isfinite(best.money)
    assert seen.result(way, best).error == pytest.approx(sum(errors(STAYS)) / WEEKS)
