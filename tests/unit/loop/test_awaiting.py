"""Models whose approval is waited for, and what became of the others."""

import pytest
from state_samples import crowned, deployed, judged, left, made, ran, refitted, withdrawn

from bucle.loop.awaiting import why_not_awaited
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
