"""A chapter of the story ends when what it is about has ended, and takes in nothing else."""

import pytest
from state_samples import (
    approved,
    began,
    crowned,
    deployed,
    ended,
    judged,
    left,
    paused,
    ran,
    refitted,
    resumed,
    withdrawn,
)

from bucle.clock import FixedClock, from_iso
from bucle.loop.actions import action_id
from bucle.loop.events import AlarmRaised, AlarmResolved, CodeSeen, RetrainAsked, draft_fact
from bucle.loop.story import tell_story
from bucle.store.memory_log import MemoryLog

FIRST = (*ran("r-0", "m-0", fit="f-0"), judged(run="r-0", model="m-0"), crowned("m-0"))
BEGUN = "A new model: it became champion"
ASKED = "A retrain that was asked for"
HARM = AlarmRaised(layer="harm", subject="r2", since="2026-01-01", why="r2 0.3")
OVER = AlarmResolved(layer="harm", subject="r2", why="the evidence is gone")
STALE = AlarmRaised(layer="contract", subject="sales", since="2026-01-01", why="no rows came")
MOMENT = "2026-01-{:02}T00:00:00.000000Z"


def story(*facts, by="loop"):
    """Return the chapters of a log of facts, a day each."""
    log = MemoryLog()
    for number, fact in enumerate(facts):
        clock = FixedClock(from_iso(MOMENT.format(number + 1)))
        log.append([draft_fact(fact, clock=clock, actor=by)])
    return tell_story(log.read())


def titles(*facts):
    return [one.title for one in story(*FIRST, *facts)[1:] if one.title]


def asked_for(place):
    """Return a wish that stands at a place behind the first champion, and its run's beginning."""
    at = MOMENT.format(len(FIRST) + place + 1)
    run = f"r-{place + 1}"
    return RetrainAsked(because="so"), began(run, asked=action_id("retrain", "person", at))


def words(chapter):
    return " ".join(one.words for one in chapter.sentences)


PASSED = (began("r-1", asked="a-1"), ended("r-1", "m-1"), judged(champion="m-0"))


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ([], "not over yet"),
        ([ended("r-1", "m-0")], "the same model came out"),
        ([ended("r-1", "m-0b", fit="f-0")], "the same model came out"),
        ([ended("r-1", None)], "no model came out"),
        ([ended("r-1", None, state="failed")], "the training failed"),
        ([ended("r-1", None, state="stopped")], "the training stopped"),
        ([ended("r-1", "m-1")], "not over yet"),
        ([ended("r-1", "m-1"), judged("fail", champion="m-0")], "the champion stays"),
        ([ended("r-1", "m-1"), judged("undecided", champion="m-0")], "the champion stays"),
        ([ended("r-1", "m-1"), judged(champion="m-0")], "it passed, and waits"),
        ([*PASSED[1:], deployed()], "not over yet"),
        ([*PASSED[1:], deployed(), withdrawn()], "it was taken away"),
        ([*PASSED[1:], withdrawn()], "it was taken away"),
        ([*PASSED[1:], deployed(), crowned("m-1")], "it became champion"),
        ([*PASSED[1:], refitted(), deployed("m-1r"), crowned("m-1r")], "it became champion"),
        ([*PASSED[1:], approved(), crowned("m-1")], "it became champion"),
        ([*PASSED[1:], deployed(), deployed("m-0b", run="")], "it was taken away"),
    ],
)
def test_a_run_is_told_until_it_is_known_what_became_of_its_model(facts, outcome):
    assert titles(began("r-1", asked="a-1"), *facts) == [f"A new model: {outcome}"]


def test_a_first_model_that_does_not_pass_stays_outside():
    (chapter,) = story(*ran(), judged("fail"))
    assert chapter.title == "A new model: it stays outside"


def test_a_retrain_that_makes_the_same_model_is_over_and_the_next_one_is_a_chapter_of_its_own():
    first, second = asked_for(0), asked_for(3)
    facts = (*first, ended("r-1", "m-0"), *second, ended("r-4", "m-0"), paused(), STALE, resumed())
    _, one, two, after = story(*FIRST, *facts)
    assert one.title == two.title == f"{ASKED}: the same model came out"
    assert words(one) == (
        "A retrain was asked for: so. A retrain began. It made m-0, the same model as before."
    )
    assert (len(one.sentences), len(two.sentences), after.title) == (3, 3, "")
    assert "paused" in words(after)
    assert "no rows came" in words(after)


def test_what_happens_meanwhile_and_has_nothing_to_do_with_it_stands_alone():
    facts = (*PASSED, deployed(), STALE, paused(), CodeSeen(source="s"), resumed())
    _, candidate, meanwhile, *more = story(*FIRST, *facts, crowned("m-1"))
    assert candidate.title == "A new model: it became champion"
    assert [one.event for one in candidate.sentences] == [5, 6, 7, 8, 13]
    assert [one.event for one in meanwhile.sentences] == [9, 10, 11, 12]
    assert (meanwhile.title, more) == ("", [])


def test_a_wish_that_no_run_has_begun_for_waits_and_is_one_with_the_next_wish():
    assert titles(RetrainAsked(because="so")) == [f"{ASKED}: not begun yet"]
    again, run = asked_for(1)
    assert titles(RetrainAsked(because="so"), again, run, ended("r-2", "m-0")) == [
        f"{ASKED}: the same model came out"
    ]


def test_a_run_that_a_trigger_began_is_not_what_a_person_asked_for():
    facts = (RetrainAsked(because="so"), began("r-1", asked="a-1"), ended("r-1", "m-0"))
    assert titles(*facts) == [f"{ASKED}: not begun yet", "A new model: the same model came out"]


def test_a_run_that_is_begun_once_more_after_a_crash_goes_on_with_its_chapter():
    facts = (began("r-1", asked="a-1"), began("r-2", asked="a-1"), ended("r-2", "m-0"))
    assert titles(*facts) == ["A new model: the same model came out"]


def test_a_run_that_was_killed_is_said_to_be_cut_short_once_another_has_ended():
    assert titles(began("r-1")) == ["A new model: not over yet"]
    assert titles(began("r-1"), *ran("r-2", "m-0")) == [
        "A new model: it was cut short",
        "A new model: the same model came out",
    ]


def test_a_model_that_waits_is_overtaken_by_the_next_run_that_ends():
    assert titles(*PASSED, *ran("r-2", "m-2"), judged("fail", run="r-2", model="m-2")) == [
        "A new model: another run came after it",
        "A new model: it stays outside",
    ]


def test_a_model_on_its_way_is_not_overtaken_by_a_run_that_comes_to_nothing():
    facts = (*PASSED, deployed(), *ran("r-2", "m-0"), crowned("m-1"))
    assert titles(*facts) == [
        "A new model: it became champion",
        "A new model: the same model came out",
    ]


def test_a_candidate_whose_place_is_taken_is_over_and_one_beside_a_new_champion_is_not():
    other = (*ran("r-2", "m-2"), judged(run="r-2", model="m-2", champion="m-0"))
    assert titles(*PASSED, deployed(), *other, deployed("m-2", run="r-2")) == [
        "A new model: another run came after it",
        "A new model: not over yet",
    ]
    # It is judged once more, beside the champion that a person has chosen meanwhile.
    assert titles(*PASSED, deployed(), crowned("m-x")) == ["A new model: it passed, and waits"]


def test_the_champion_before_is_told_apart_from_a_model_on_its_way():
    former = deployed("m-0", champion="m-1", run="", is_former=True)
    facts = (*PASSED, crowned("m-1"), former, began("r-2"), withdrawn("m-0"))
    assert titles(*facts) == ["A new model: it became champion", "A new model: not over yet"]


def test_an_alarm_of_harm_is_over_by_itself_or_with_what_was_trained_for_it():
    assert titles(HARM) == ["An alarm of harm: not over yet"]
    assert titles(HARM, OVER) == ["An alarm of harm: it is over"]
    assert titles(HARM, began("r-1", asked="a-1"), ended("r-1", "m-0")) == [
        "An alarm of harm: the same model came out"
    ]
    assert titles(HARM, *PASSED, OVER, deployed(), crowned("m-1")) == [
        "An alarm of harm: the new model became champion"
    ]
    # Who runs by hand may have other reasons.
    assert titles(HARM, *ran("r-1", "m-0"), OVER) == [
        "An alarm of harm: it is over",
        "A new model: the same model came out",
    ]


def test_an_alarm_that_a_new_champion_ends_is_told_with_it_and_a_later_end_is_not():
    past = AlarmResolved(layer="harm", subject="r2", why="m-1 is champion now, and so on")
    _, chapter = story(*FIRST, HARM, *PASSED, crowned("m-1"), past)
    assert "is over: it was of the champion before" in words(chapter)
    failed = (began("r-1", asked="a-1"), ended("r-1", None, state="failed"))
    _, chapter, after = story(*FIRST, HARM, *failed, OVER)
    assert chapter.title == "An alarm of harm: the training failed"
    assert "the evidence is gone" in words(after)


def test_going_back_takes_in_the_alarm_before_it_and_no_candidate():
    back = left("m-1", to="m-0")
    first = (*PASSED, crowned("m-1"))
    assert titles(*first, back) == [BEGUN, "Back to an earlier champion"]
    assert titles(*first, HARM, back) == [BEGUN, "Back to an earlier champion"]
    other = (began("r-2"), ended("r-2", "m-2"), judged(run="r-2", model="m-2", champion="m-1"))
    (candidate, gone) = story(*FIRST, *first, *other, back)[2:]
    assert candidate.title == "A new model: it passed, and waits"
    assert (gone.title, len(gone.sentences)) == ("Back to an earlier champion", 1)
