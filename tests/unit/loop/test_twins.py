"""Versions that stand for one model: packaged anew, tested for another, refitted."""

from state_samples import NOW, began, crowned, ended, judged, left, made, ran, refitted

from bucle.loop.decide import Wait, decide
from bucle.loop.looks import Looks, count_looks
from bucle.loop.policy import make_policy
from bucle.loop.twins import alike

CUT = "2026-01-01T00:00:00.000000Z"
TWICE = (
    *ran("r-0", "m-0"),
    crowned("m-0"),
    *ran("r-1", "m-1", cut=CUT, fit="f1"),
    judged("undecided", run="r-1", model="m-1", champion="m-0"),
    *ran("r-2", "m-2", cut=CUT, fit="f1"),
)


def test_versions_of_one_fit_are_alike_and_unknown_fits_are_not():
    state = made(*TWICE, *ran("r-3", "m-3"), *ran("r-4", "m-4", fit="f4"))
    assert alike(state, "m-1") == alike(state, "m-2") == {"m-1", "m-2"}
    assert [alike(state, name) for name in ("m-0", "m-3", "m-4", "m-none")] == [
        {"m-0"},
        {"m-3"},
        {"m-4"},
        {"m-none"},
    ]


def test_refit_is_not_taken_for_the_model_it_was_tested_as():
    fact = ended("r-1", "m-1", fit="f1")
    state = made(began("r-1"), fact, refitted(run="r-1", tested="m-1", model="m-1r"))
    assert alike(state, "m-1") == {"m-1"}


def test_model_packaged_anew_is_the_same_challenger_and_no_other_one():
    state = made(*TWICE)
    assert count_looks(state, "m-2", "m-0", cut=CUT) == Looks(same=1, others=0)
    assert count_looks(state, "m-new", "m-0", cut=CUT) == Looks(same=0, others=1)


def test_looks_go_on_beside_a_champion_that_was_packaged_anew():
    state = made(*ran("r-7", "m-00", fit="f0"), *TWICE, *ran("r-9", "m-0", fit="f0"))
    assert count_looks(state, "m-2", "m-00", cut=CUT).same == 1
    assert count_looks(state, "m-2", None, cut=CUT).same == 0


def test_versions_of_another_fit_count_once():
    facts = (*TWICE, judged("undecided", run="r-2", model="m-2", champion="m-0"))
    assert count_looks(made(*facts), "m-new", "m-0", cut=CUT).others == 1


def settled(*facts):
    (action,) = decide(made(*facts), make_policy("never"), NOW)
    assert isinstance(action, Wait), action
    return action.settled


def test_champion_packaged_anew_is_not_judged():
    first = ran("r-1", "m-1", fit="f1")
    again = ran("r-2", "m-2", fit="f1")
    assert settled(*first, crowned("m-1"), *again).startswith("the same model as before")
    # And neither is the tested twin of a refit that reigns.
    facts = (*first, refitted(run="r-1", tested="m-1", model="m-1r"), crowned("m-1r"), *again)
    assert settled(*facts).startswith("the same model as before")


def test_model_rolled_back_from_and_packaged_anew_needs_a_person():
    facts = (
        crowned("m-0"),
        *ran("r-1", "m-1", fit="f1"),
        crowned("m-1", previous="m-0"),
        left("m-1", to="m-0"),
        *ran("r-2", "m-2", fit="f1"),
        judged(run="r-2", model="m-2", champion="m-0"),
    )
    assert "was rolled back from before" in settled(*facts)
