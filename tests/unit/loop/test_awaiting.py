"""Models whose approval is waited for, and what became of the others."""

import pytest
from state_samples import approved, crowned, deployed, judged, left, made, ran, refitted, withdrawn

from bucle.loop.awaiting import find_candidate, missing_words, why_not_awaited
from bucle.loop.twins import twins

PASSED = (*ran("r-0", "m-0"), crowned("m-0"), *ran(), judged(champion="m-0"))


@pytest.mark.parametrize(
    "facts", [PASSED, (*PASSED, deployed()), (*PASSED, refitted(), deployed("m-1r")), ran()]
)
def test_model_on_its_way_waits_for_a_word(facts):
    assert why_not_awaited(made(*facts), "m-1") == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((*PASSED, crowned("m-1")), "m-1 is champion since 2026-01-10T00:00 UTC"),
        ((*PASSED, refitted(), crowned("m-1r")), "m-1r is champion"),
        ((*PASSED, deployed(), withdrawn()), "it was taken away on 2026-01-10T00:00 UTC: so"),
        ((*PASSED, withdrawn()), "it was taken away"),
        ((*PASSED, crowned("m-1"), left("m-1", to="m-0")), "it was rolled back from"),
        ((*PASSED, *ran("r-2", "m-2")), "the run r-2 has come after it"),
        ((*PASSED, deployed(), *ran("r-2", "m-2"), deployed("m-2", run="r-2")), "m-2 took its"),
        ((*ran(), judged("fail")), "the gate says fail"),
    ],
)
def test_model_that_is_no_more_on_its_way_says_what_became_of_it(facts, words):
    assert words in why_not_awaited(made(*facts), "m-1")


def test_twins_are_the_tested_model_and_its_refits():
    state = made(*PASSED, refitted())
    assert twins(state, "m-1") == twins(state, "m-1r") == {"m-1", "m-1r"}


@pytest.mark.parametrize(
    ("facts", "candidate"),
    [
        ((), None),
        (ran(), None),
        ((*ran(), judged("fail")), None),
        ((*ran(), judged()), ("r-1", "m-1")),
        (PASSED, ("r-1", "m-1")),
        ((*PASSED, refitted(), deployed("m-1r")), ("r-1", "m-1r")),
        ((*PASSED, deployed(), *ran("r-2", "m-2")), ("r-1", "m-1")),
        ((*PASSED, crowned("m-1")), None),
        ((*PASSED, refitted(), crowned("m-1r")), None),
        ((*PASSED, crowned("m-1"), deployed("m-0", champion="m-1", run="", is_former=True)), None),
        ((*PASSED, deployed(), withdrawn()), None),
        ((*PASSED, *ran("r-2", "m-2")), None),
    ],
)
def test_the_model_that_may_answer_next_is_found(facts, candidate):
    found = find_candidate(made(*facts))
    assert (found and (found[0].started.run, found[1])) == candidate


def words(*facts, model="m-1", approval=(), promote="auto"):
    state = made(*facts)
    asked = missing_words(state, state.runs["r-1"], model, approval=approval, promote=promote)
    return [(one.role, one.command) for one in asked]


def test_roles_are_asked_one_by_one_and_a_person_last():
    asked = {"approval": ("business", "expert"), "promote": "ask"}
    assert words(*PASSED, **asked) == [
        ("business", 'bucle approve m-1 --as business --because "..."'),
        ("expert", 'bucle approve m-1 --as expert --because "..."'),
        ("", "bucle promote m-1"),
    ]
    assert words(*PASSED, approved(role="business"), **asked)[0][0] == "expert"
    assert words(*PASSED) == []


def test_a_word_on_the_tested_model_counts_for_its_refit():
    facts = (*PASSED, refitted(), approved("m-1", role="business"))
    assert words(*facts, model="m-1r", approval=("business",)) == []


def test_a_reason_is_asked_for_where_promoting_needs_one():
    needed = 'bucle promote m-1r --because "..."'
    # A refit was never before the referee itself.
    assert words(*PASSED, refitted(), model="m-1r", promote="ask") == [("", needed)]
    back = (*PASSED, crowned("m-1"), left("m-1", to="m-0"))
    assert words(*back) == [("", 'bucle promote m-1 --because "..."')]
    look = (*ran(as_of="2026-01-01T00:00:00.000000Z"), judged())
    assert words(*look) == [("", "bucle promote m-1")]
