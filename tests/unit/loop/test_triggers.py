"""Triggers of a loop that serves, and what keeps a retrain back that one of them asks for."""

from datetime import UTC, datetime

import msgspec
import pytest
from state_samples import (
    NOW,
    alarm,
    asked_for,
    began,
    came,
    coded,
    crowned,
    ended,
    gain,
    left,
    made,
    ran,
    resolved,
)

from bucle.clock import from_iso
from bucle.loop.actions import action_id
from bucle.loop.policy import make_policy
from bucle.loop.spans import parse_span
from bucle.loop.triggers import Fired, explain_triggers, find_triggers, why_idle, why_not_now

OLD_RUN = ("2026-01-10", began("r-0"))


def fired(state, text, *, now=NOW, **changes):
    """Return the kinds that fire and why."""
    policy = msgspec.structs.replace(make_policy(text), **changes)
    return [(one.kind, one.why) for one in find_triggers(state, policy, now)]


def causes(state, text, *, now=NOW):
    return [one.cause for one in find_triggers(state, make_policy(text), now)]


def idle(state, text, *, now=NOW, **changes):
    return why_idle(state, msgspec.structs.replace(make_policy(text), **changes), now)


# ---- a person -----------------------------------------------------------------


def test_person_comes_before_every_trigger_and_has_a_cause_for_each_word():
    state = made(("2026-02-01", asked_for()), OLD_RUN, crowned(), ("2026-02-02", gain()))
    assert fired(state, "gain") == [
        ("person", "a new season"),
        ("gain", "a new model would have saved 20% on 9 new labels"),
    ]
    later = made(("2026-02-03", asked_for()))
    assert causes(state, "never") != causes(later, "never")
    assert fired(made(), "never") == []
    assert fired(made(asked_for("")), "never") == [("person", "a person asked for it")]


# ---- harm ---------------------------------------------------------------------


def test_harm_fires_while_an_alarm_is_open():
    state = made(OLD_RUN, crowned(), alarm())
    assert fired(state, "harm") == [("harm", "alarm: wape is up")]
    assert fired(made(OLD_RUN, crowned(), alarm(), resolved()), "harm") == []
    assert idle(made(OLD_RUN, crowned()), "harm") == "no alarm of harm is open"


@pytest.mark.parametrize("layer", ["inputs", "contract"])
def test_no_other_layer_starts_a_retrain(layer):
    state = made(OLD_RUN, crowned(), alarm(layer=layer))
    assert fired(state, "harm") == []


def test_alarm_that_a_retrain_did_not_end_asks_again():
    before = made(crowned(), alarm(), OLD_RUN)
    after = made(crowned(), alarm(), OLD_RUN, ("2026-02-01", began("r-1")))
    assert causes(before, "harm") != causes(after, "harm")


def test_alarm_asks_for_one_retrain_at_a_moment():
    state = made(crowned(), alarm(), ("2026-02-01", began("r-1")))
    moment = from_iso("2026-02-01")
    assert fired(state, "harm", now=moment) == []
    assert idle(state, "harm", now=moment) == "a retrain began at this very moment"


def test_a_rollback_asks_for_one_newer_model_once_there_are_new_rows():
    gone_back = (OLD_RUN, crowned(), crowned("m-1", previous="m-0"), left("m-1", to="m-0"))
    assert fired(made(*gone_back), "harm") == []
    gone_back = (*gone_back, ("2026-01-20", came()))
    state = made(*gone_back)
    why = "m-0, an earlier champion, is back, and no model was made since"
    assert fired(state, "harm") == [("harm", why)]
    assert len(causes(state, "harm")) == 1
    assert causes(state, "harm") == causes(made(*gone_back), "harm")
    assert fired(made(*gone_back, ("2026-02-01", began("r-1"))), "harm") == []
    assert fired(made(*gone_back, crowned("m-2", previous="m-0")), "harm") == []


# ---- age and the calendar --------------------------------------------------------


def test_age_counts_from_the_champions_birth():
    facts = [("2026-01-10", fact) for fact in ran("r-0", "m-0")]
    state = made(*facts, ("2026-01-20", crowned("m-0")))
    assert fired(state, "age:30d", now=from_iso("2026-02-09")) == [
        ("age", "30d and no newer model")
    ]
    assert fired(state, "age:30d", now=from_iso("2026-02-08")) == []


def test_age_gives_a_retrain_without_a_champion_as_much_time_again():
    facts = [("2026-01-10", fact) for fact in ran("r-0", "m-0")]
    failed = [("2026-02-09", began("r-1")), ("2026-02-09", ended("r-1", None, state="failed"))]
    state = made(*facts, crowned("m-0"), *failed)
    assert fired(state, "age:30d", now=from_iso("2026-03-10")) == []
    assert fired(state, "age:30d", now=from_iso("2026-03-11")) != []


def test_age_needs_a_champion_that_was_made_by_a_run():
    assert idle(made(), "age:30d") == "there is no champion to grow old"
    assert idle(made(crowned("m-ghost")), "age:30d") == "there is no champion to grow old"


def test_schedule_fires_once_for_each_due_moment():
    state = made(("2026-02-22", began("r-0")))
    assert fired(state, "cron:0 6 * * mon") == [("cron", "it was due at 2026-02-23 06:00 UTC")]
    assert causes(state, "cron:0 6 * * mon", now=NOW.replace(day=1)) == causes(
        state, "cron:0 6 * * mon", now=from_iso("2026-02-23T06:00:00")
    )
    after = made(("2026-02-23T06:00:01", began("r-0")))
    assert fired(after, "cron:0 6 * * mon") == []
    assert idle(after, "cron:0 6 * * mon") == "the next is due at 2026-03-02 06:00 UTC"


def test_schedule_follows_the_clocks_of_its_zone():
    state = made(("2026-02-22", began("r-0")))
    found = fired(state, "cron:0 6 * * mon", zone="Europe/Madrid")
    assert found == [("cron", "it was due at 2026-02-23 05:00 UTC")]


def test_schedule_goes_on_after_a_clock_that_ran_ahead():
    state = made(("2027-02-22", began("r-0")))
    assert [kind for kind, _ in fired(state, "cron:0 6 * * mon")] == ["cron"]


def test_schedule_may_have_no_more_moments():
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    state = made(("9999-12-31T22:59:00", began("r-0")))
    assert idle(state, "cron:0 6 1 1 *", now=last) == "the schedule has no more moments"


# ---- data and code ----------------------------------------------------------------


def test_data_fires_when_it_has_grown_by_more_than_a_share_of_what_was_learned_from():
    learned = [came(1), ("2026-01-11", began("r-0", data="f1"))]
    small = made(*learned, came(2, added=15, changed=5, rows=115))
    assert fired(small, "data:+20%") == []
    assert idle(small, "data:+20%") == "data grew by 20%, not above +20%"
    large = made(*learned, came(2, added=15, changed=5, rows=115), came(3, added=1, rows=116))
    assert fired(large, "data:+20%") == [("data", "data grew by 21% since the last retrain")]


def test_data_is_quiet_after_the_retrain_that_learned_from_it():
    facts = [came(1), began("r-0", data="f1"), came(2, added=90, rows=190)]
    assert fired(made(*facts), "data:+20%") != []
    assert fired(made(*facts, ("2026-02-01", began("r-1", data="f2"))), "data:+20%") == []


def test_data_that_a_run_never_came_to_read_is_tried_again_when_more_has_come():
    learned = [came(1), ("2026-01-11", began("r-0", data="f1")), came(2, added=30, rows=130)]
    failed = [*learned, ("2026-02-01", began("r-1"))]
    assert fired(made(*failed), "data:+20%") == [
        ("data", "data grew by 30% since the last retrain")
    ]
    more = made(*failed, came(3, added=1, rows=131))
    assert causes(made(*failed), "data:+20%") != causes(more, "data:+20%")
    again = made(*failed, ("2026-02-02", began("r-2")))
    assert causes(made(*failed), "data:+20%") == causes(again, "data:+20%")


def test_data_counts_each_dataset_for_itself():
    state = made(came(1), came(1, dataset="brands"), began("r-0", data="f1"), came(2, added=1))
    assert idle(state, "data:+20%") == "data grew by 1%, not above +20%"


@pytest.mark.parametrize(
    "facts",
    [
        [began("r-0", data="f1")],
        [came(1), began("r-0", data="f-unknown")],
        [came(1, rows=0), began("r-0", data="f1"), came(2)],
    ],
    ids=["no dataset", "of no known version", "from nothing"],
)
def test_data_that_cannot_be_compared_has_not_grown(facts):
    assert fired(made(*facts), "data:+20%") == []


def test_data_and_code_ask_for_nothing_before_the_first_run():
    assert idle(made(came(1)), "data:+20%") == "nothing was trained yet"
    assert idle(made(coded()), "code") == "the code is that of the last run"


def test_code_fires_when_it_is_another_than_that_of_the_last_run():
    state = made(began("r-0", source="s1"), coded("s2"))
    assert fired(state, "code") == [("code", "the project's code has changed")]
    assert fired(made(began("r-0", source="s1"), coded("s1")), "code") == []
    assert fired(made(began("r-0", source="s1")), "code") == []


def test_run_shows_the_code_too():
    state = made(began("r-0", source="s1"), coded("s2"), began("r-1", source="s3"))
    assert state.code == "s3"
    assert fired(state, "code") == []
    unbegun = made(began("r-0", source="s1"), began("r-1", source=""))
    assert unbegun.code == "s1"
    assert fired(unbegun, "code") == []


def test_code_whose_run_never_began_asks_no_second_time():
    seen = made(began("r-0", source="s1"), coded("s2"))
    tried = made(began("r-0", source="s1"), coded("s2"), began("r-1", source=""))
    assert causes(tried, "code") == causes(seen, "code")


def test_what_an_earlier_bucle_saw_of_the_code_is_passed_over():
    old = msgspec.structs.replace(began("r-0", source="s1"), code="")
    seen = msgspec.structs.replace(coded("s2"), code="")
    assert fired(made(old, seen), "code") == []
    assert fired(made(began("r-0", source="s1"), seen), "code") == []
    assert fired(made(old, seen, coded("s3")), "code") == [
        ("code", "the project's code has changed")
    ]


def test_code_that_comes_back_is_another_reason():
    first = made(began("r-0", source="s1"), coded("s2"))
    again = made(
        began("r-0", source="s1"),
        coded("s2"),
        began("r-1", source="s2"),
        coded("s1"),
        began("r-2", source="s1"),
        coded("s2"),
    )
    (one,), (other,) = causes(first, "code"), causes(again, "code")
    assert one != other


def test_regret_says_what_was_lost_since_the_last_retrain():
    state = made(OLD_RUN, crowned(), ("2026-02-01", gain()))
    assert fired(state, "regret", price=99.0) == [
        ("regret", "since the last retrain a new model would have saved 100 on 9 new labels")
    ]
    assert fired(state, "regret", price=100.0) == []


# ---- what keeps a retrain back ------------------------------------------------------


def held(state, *, kind="every", now=NOW, cooldown=None, **changes):
    span = parse_span(cooldown) if cooldown else None
    policy = msgspec.structs.replace(make_policy("every:1d"), cooldown=span, **changes)
    return why_not_now(state, policy, Fired(kind=kind, cause=("c",), why="so"), now)


def test_nothing_keeps_back_where_no_limit_is_set():
    assert held(made(("2026-02-28", began(asked="a-1")))) == ""


def test_cool_down_counts_from_the_last_retrain_to_the_moment():
    state = made(("2026-02-27", began("r-1", asked="a-1")))
    assert held(state, cooldown="3d") == "the last retrain is younger than 3d"
    assert held(state, cooldown="2d") == ""
    assert held(made(), cooldown="3d") == ""


def test_cool_down_does_not_wait_for_a_clock_that_ran_ahead():
    assert held(made(("2027-02-27", began("r-1", asked="a-1"))), cooldown="3d") == ""


def test_budget_counts_what_the_loop_began_in_this_month():
    runs = [("2026-03-01", began(f"r-{number}", asked=f"a-{number}")) for number in range(2)]
    by_hand = [("2026-03-01", began("r-hand"))]
    earlier = [("2026-02-28", began("r-old", asked="a-old"))]
    state = made(*earlier, *runs, *by_hand)
    assert held(state, most_per_month=2) == "this month's budget of 2 retrains is spent"
    assert held(state, most_per_month=3) == ""
    assert held(state, most_per_month=2, now=from_iso("2026-04-01")) == ""


def test_nothing_keeps_a_persons_word_back():
    state = made(("2026-03-01", began("r-1", asked="a-1")))
    assert held(state, kind="person", cooldown="1y", most_per_month=1) == ""
    assert held(state, cooldown="1y", most_per_month=1) != ""


def test_each_trigger_says_by_its_name_where_it_stands():
    policy = make_policy("harm/gain/regret/every:1d/cron:0 6 * * mon")
    state = made(*ran(), crowned("m-1"))
    stands = explain_triggers(state, policy, NOW)
    told = [(one.trigger, one.why) for one in stands]
    assert told[:3] == [
        ("harm", "no alarm of harm is open"),
        ("gain", "no new labels to estimate a gain on"),
        ("regret", "no new labels to estimate a gain on"),
    ]
    assert [name for name, _ in told[3:]] == ["every:1d", "cron:0 6 * * mon"]
    assert told[3][1] == "1d since the last retrain: it has fired"
    assert why_idle(state, policy, NOW) == "; ".join(why for _, why in told)


def test_a_trigger_that_was_acted_on_is_told_from_one_that_was_not():
    policy = make_policy("cron:0 6 * * mon")
    first = ran("r-1", "m-1")
    (fired,) = find_triggers(made(*first), policy, NOW)
    again = ended("r-2", "m-1", action=action_id("retrain", *fired.cause))
    state = made(*first, again)
    (stands,) = explain_triggers(state, policy, NOW)
    assert stands.why == f"{fired.why}: it was acted on"
