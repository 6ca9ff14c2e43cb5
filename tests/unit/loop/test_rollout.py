"""The way of a candidate into service: what goes on, what holds, what ends it."""

import msgspec
import pytest
from state_samples import seen

from bucle.loop.rollout import Rollout, compare_former, is_news, next_share, next_step
from bucle.models.registry import Deployment

ROLLOUT = Rollout(labels=10)
DAY = 86_400.0


def at(share=0.0, *, is_former=False):
    return Deployment(
        model="m-1",
        share=share,
        since="2026-02-01",
        began="2026-02-01",
        by="loop",
        because="so",
        run="" if is_former else "r-1",
        is_former=is_former,
    )


def step(share, *, rollout=ROLLOUT, held="", **fields):
    fields = {"labelled": 10} | fields
    return next_step(at(share), seen(share=share, **fields), rollout, held=held)


# ---- shares -----------------------------------------------------------------


def test_shares_follow_one_another_and_then_comes_everyone():
    assert next_share(ROLLOUT, None) == 0.0
    assert next_share(ROLLOUT, 0.0) == 0.05
    assert next_share(ROLLOUT, 0.05) == 0.25
    assert next_share(ROLLOUT, 0.25) is None


def test_share_that_is_none_of_the_rollout_goes_on_to_the_next_higher_one():
    assert next_share(ROLLOUT, 0.1) == 0.25
    assert next_share(Rollout(shares=()), None) is None


# ---- evidence that is missing -------------------------------------------------


def test_nothing_seen_holds():
    found = next_step(at(), None, ROLLOUT)
    assert (found.kind, found.why) == ("hold", "nothing was seen of m-1 yet")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"pairs": 500, "baked_s": 1.0}, "go"),
        ({"pairs": 499, "baked_s": 1.0}, "hold"),
        ({"pairs": 499, "baked_s": DAY - 1}, "hold"),
        ({"pairs": 1, "baked_s": DAY}, "go"),
        ({"pairs": 0, "baked_s": DAY}, "hold"),
        ({"pairs": 500, "slower": None}, "hold"),
        ({"pairs": 500, "slower": 1.2}, "go"),
        ({"pairs": 500, "slower": 1.21}, "hold"),
        ({"pairs": 500, "labelled": 9}, "hold"),
    ],
)
def test_shadow_goes_on_when_it_was_compared_on_enough_rows_or_for_long_enough(fields, kind):
    assert step(0.0, **fields).kind == kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"baked_s": 900.0, "answers": 200}, "go"),
        ({"baked_s": 899.9, "answers": 9000}, "hold"),
        ({"baked_s": 9000.0, "answers": 199}, "hold"),
        ({"baked_s": 900.0, "answers": 200, "pairs": 1}, "go"),
        ({"baked_s": 900.0, "answers": 200, "slower": None}, "hold"),
        ({"baked_s": 900.0, "answers": 200, "labelled": 9}, "hold"),
    ],
)
def test_canary_goes_on_when_it_has_baked_and_answered_enough(fields, kind):
    assert step(0.05, **fields).kind == kind


def test_hold_says_what_it_waits_for():
    assert step(0.0, pairs=3, baked_s=1.0).why == "the shadow waits for pairs, 3 of 500"
    assert step(0.05, baked_s=60.0).why == "the canary bakes, 1 min of 15 min"
    quick = Rollout(labels=10, bake_s=20.0)
    assert step(0.05, rollout=quick, baked_s=12.0).why == "the canary bakes, 12 s of 20 s"
    assert step(0.05, answers=3).why == "the canary waits for answers, 3 of 200"
    assert step(0.05, slower=None).why == "the canary waits until its time can be compared"
    assert step(0.05, slower=1.3).why == "the canary takes 1.3 times as long as the champion"
    assert step(0.05, labelled=3).why == "the canary waits for labels, 3 of 10"
    assert step(0.05, held="it waits for business").why == "it waits for business"


def test_go_says_what_was_seen():
    assert step(0.0).why == "500 rows scored by both, 0 failed, no labels yet"
    told = step(0.0, gain=0.1, low=-0.05, high=0.25).why
    assert told.endswith("on 10 labels it saves +10.0% of the loss (-5.0% to +25.0%)")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(7 * DAY, "after 7 days"), (47 * 3600.0, "after 47 h"), (3600.0, "after 60 min")],
)
def test_what_misses_evidence_at_the_deadline_is_taken_away(seconds, told):
    rollout = Rollout(deadline_s=seconds)
    found = step(0.05, rollout=rollout, baked_s=seconds, answers=3)
    assert found.kind == "stop"
    assert found.why == f"{told} at this share still waits for answers, 3 of 200"
    assert step(0.05, rollout=rollout, baked_s=seconds - 1, answers=3).kind == "hold"


def test_what_waits_for_a_person_is_taken_away_at_the_deadline():
    found = step(0.25, baked_s=7 * DAY, held="it waits for business")
    assert (found.kind, found.why) == ("stop", "after 7 days at this share it waits for business")
    assert step(0.25, baked_s=7 * DAY).kind == "go"
    both = step(0.25, baked_s=7 * DAY, held="it waits for business", labelled=0)
    assert both.why.endswith("still waits for labels, 0 of 10")


# ---- evidence against -----------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.05])
@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"failures": 1, "pairs": 0}, "hold"),
        ({"failures": 2, "pairs": 198}, "hold"),
        ({"failures": 2, "pairs": 197}, "stop"),
        ({"gain": -0.1, "low": -0.2, "high": -0.01}, "stop"),
        ({"gain": -0.1, "low": -0.2, "high": 0.0}, "hold"),
        ({"slower": 2.41, "pairs": 200}, "stop"),
        ({"slower": 2.41, "pairs": 199}, "hold"),
        ({"slower": 2.4, "pairs": 200}, "hold"),
    ],
)
def test_what_does_harm_is_taken_away_whatever_else_is_missing(share, fields, kind):
    found = step(share, **{"baked_s": 1.0, "labelled": 0, "answers": 0} | fields)
    assert found.kind == kind


def test_stop_says_what_is_against_it():
    assert step(0.0, failures=2, pairs=98).why == "it failed on 2 of 100 rows"
    assert step(0.0, slower=3.0).why == "it takes 3.0 times as long as the champion"
    told = step(0.0, gain=-0.1, low=-0.2, high=-0.01).why
    assert told.startswith("it errs more on the same 10 labels: it saves -10.0%")
    bare = step(0.0, high=-0.01).why
    assert bare == "it errs more on the same 10 labels: no gain can be told"


# ---- the champion before --------------------------------------------------------


def former(**fields):
    return compare_former(seen("m-0", champion="m-1", labelled=10, **fields), ROLLOUT)


def test_probation_holds_until_it_is_over():
    assert compare_former(None, ROLLOUT).why == "the promotion is on probation"
    assert former(baked_s=7 * DAY - 1).kind == "hold"
    found = former(baked_s=7 * DAY)
    assert (found.kind, found.why) == ("go", "7 days without harm after the promotion")


def test_former_champion_that_errs_less_ends_the_new_one():
    found = former(baked_s=1.0, gain=0.2, low=0.01, high=0.4)
    assert found.kind == "stop"
    assert found.why.startswith("m-0, the champion before, errs less on the same 10 labels")
    assert former(baked_s=1.0, gain=0.2, low=0.0, high=0.4).kind == "hold"
    assert former(baked_s=9 * DAY, gain=0.2, low=0.01, high=0.4).kind == "stop"


# ---- what is worth a place on record ----------------------------------------------


def test_what_changes_a_step_or_says_much_more_is_news():
    known = seen(share=0.05, baked_s=600.0, answers=100, labelled=10)

    def news(deployed=at(0.05), **fields):  # noqa: B008  (a frozen value)
        return is_news(deployed, msgspec.structs.replace(known, **fields), known, ROLLOUT)

    assert is_news(at(), known, None, ROLLOUT)
    assert not news()
    assert not news(baked_s=700.0, answers=110)
    assert news(answers=200)
    assert news(baked_s=900.0)
    assert news(answers=200, baked_s=900.0)
    assert news(failures=1)
    assert news(high=-0.1)
    assert news(at(is_former=True), low=0.1)
    assert not news(at(is_former=True), slower=9.0)


def test_nothing_that_was_seen_is_no_news_until_it_tells_something():
    nothing = seen(share=0.05, baked_s=10.0, pairs=0, answers=0, labelled=0, slower=None)

    def news(**fields):
        return is_news(at(0.05), msgspec.structs.replace(nothing, **fields), None, ROLLOUT)

    assert not news()
    assert news(baked_s=61.0)
    assert news(failures=1)
    assert news(is_shunned=True)


def test_time_alone_is_news_of_a_former_champion_when_it_has_doubled():
    known = seen(share=0.0, baked_s=DAY, pairs=50, labelled=0)

    def news(days, **fields):
        later = msgspec.structs.replace(known, baked_s=days * DAY, **fields)
        return is_news(at(is_former=True), later, known, ROLLOUT)

    assert not news(1.9)
    assert news(2.1)
    assert news(1.9, pairs=100)
    assert news(7.0), "its probation is over"
