"""Triggers: each fires, does not fire, and does not fire twice on one observation."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from state_samples import NOW, began, crowned, day, drift, ended, gain, made, ran, window

from bucle.clock import from_iso
from bucle.errors import CharterError, RequestError
from bucle.loop.policy import make_policy, window_span
from bucle.loop.triggers import find_triggers, why_idle

OLD_RUN = ("2026-01-10", began("r-0"))


def fired(state, text, *, now=NOW, price=0.0):
    """Return the kinds that fire and why."""
    found = find_triggers(state, make_policy(text, price=price), now)
    return [(one.kind, one.why) for one in found]


def idle(state, text, *, now=NOW, price=0.0):
    return why_idle(state, make_policy(text, price=price), now)


# ---- policies ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "window", "name"),
    [
        ("none", "expanding", "every:1mo"),
        ("referee", "expanding", "every:1mo referee"),
        ("referee+refit", "last:2y", "every:1mo referee+refit last:2y"),
    ],
)
def test_name_leaves_out_what_is_simplest(gate, window, name):
    policy = make_policy("every:1mo", gate=gate, window=window, price=3.0)
    assert (policy.name, policy.gate, policy.window, policy.price) == (name, gate, window, 3.0)


def test_unknown_policies_gates_and_windows_are_refused():
    with pytest.raises(CharterError) as caught:
        make_policy("evry:1mo")
    assert caught.value.code == "bucle-119"
    with pytest.raises(RequestError) as caught:
        make_policy("never", gate="referre")
    assert (caught.value.code, caught.value.did_you_mean[0]) == ("bucle-250", "referee")
    with pytest.raises(RequestError) as caught:
        make_policy("never", window="expandin")
    assert (caught.value.code, caught.value.did_you_mean[0]) == ("bucle-251", "expanding")
    with pytest.raises(RequestError) as caught:
        make_policy("never", window="last:2")
    assert caught.value.code == "bucle-252"


def test_window_is_all_of_the_past_or_a_span():
    assert window_span("expanding") is None
    assert window_span("last:6mo").text == "6mo"


def test_zone_is_read_when_the_policy_is_made():
    with pytest.raises(CharterError) as caught:
        msgspec.structs.replace(make_policy("never"), zone="Europe/Madird")
    assert (caught.value.code, caught.value.did_you_mean[0]) == ("bucle-196", "Europe/Madrid")


def test_never_never_fires():
    state = made(crowned(), window(error=9.0), drift(distance=9.0), gain())
    assert fired(state, "never") == []
    assert idle(state, "never") == "the policy never retrains"


# ---- the calendar -----------------------------------------------------------


def test_calendar_fires_at_once_when_nothing_was_trained():
    assert fired(made(), "every:1mo") == [("every", "nothing was trained yet")]
    assert idle(made(), "every:1mo") == "nothing was trained yet: it has fired"


@pytest.mark.parametrize(
    ("trained", "span", "due"),
    [
        ("2026-01-31", "1mo", "2026-02-28"),
        ("2024-01-31", "1mo", "2024-02-29"),
        ("2024-02-29", "1y", "2025-02-28"),
        ("2026-03-31", "1mo", "2026-04-30"),
        ("2025-12-31", "2mo", "2026-02-28"),
        ("2026-02-28", "1d", "2026-03-01"),
        ("2026-02-23", "1w", "2026-03-02"),
    ],
)
def test_calendar_fires_on_the_day_and_not_a_moment_before(trained, span, due):
    state = made((trained, began("r-0")))
    moment = from_iso(due)
    assert fired(state, f"every:{span}", now=moment) == [
        ("every", f"{span} since the last retrain")
    ]
    just_before = moment - timedelta.resolution
    assert fired(state, f"every:{span}", now=just_before) == []
    assert idle(state, f"every:{span}", now=just_before).startswith("the next is due in ")


def test_calendar_counts_from_the_champion_when_there_was_no_run():
    state = made(("2026-02-20", crowned()))
    assert fired(state, "every:1w", now=from_iso("2026-02-26")) == []
    assert fired(state, "every:1w", now=from_iso("2026-02-27")) != []


def test_calendar_counts_from_the_last_run_whoever_asked_and_however_it_ended():
    state = made(
        ("2026-01-10", began("r-0")),
        ("2026-02-27", began("r-1")),
        ("2026-02-27", ended("r-1", None, state="failed")),
    )
    assert fired(state, "every:1w") == []


def test_calendar_has_one_cause_between_two_runs():
    state = made(OLD_RUN)
    policy = make_policy("every:1mo")
    causes = {
        find_triggers(state, policy, now)[0].cause
        for now in (NOW, datetime(2026, 3, 2, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    }
    assert causes == {("every", "1mo", "r-0")}


def test_clock_set_back_a_little_asks_for_nothing_early():
    state = made(("2026-03-01", began("r-0")))
    assert fired(state, "every:1mo", now=from_iso("2026-02-28")) == []
    assert fired(state, "every:1mo", now=from_iso("2026-02-01")) == []


def test_retrain_dated_far_ahead_by_a_wrong_clock_does_not_stop_the_calendar():
    state = made(("2027-03-01", began("r-0")))
    assert fired(state, "every:1mo") == [
        ("every", "the last retrain is dated more than 1mo ahead: a clock was wrong")
    ]


# ---- performance ------------------------------------------------------------


def test_performance_fires_above_its_share_and_says_by_how_much():
    state = made(OLD_RUN, crowned(), window(error=0.5, reference=0.4))
    assert fired(state, "performance:+20%") == [
        ("performance", "wape +25% against what the champion was validated at")
    ]


@pytest.mark.parametrize(
    "seen",
    [
        window(error=0.5, reference=0.4, end="2026-01-09"),
        window(error=0.5, reference=0.4, model="m-other"),
        window(error=0.45, reference=0.4),
        window(error=0.3, reference=0.4),
        window(error=0.5, reference=0.0),
        drift(distance=9.0),
    ],
    ids=["before the retrain", "of another", "within", "better", "no reference", "drift"],
)
def test_performance_does_not_fire(seen):
    state = made(OLD_RUN, crowned(), seen)
    assert fired(state, "performance:+20%") == []


def test_performance_does_not_fire_without_a_champion():
    assert fired(made(window(error=9.0)), "performance:+20%") == []


def test_performance_is_quiet_after_the_retrain_it_caused():
    state = made(OLD_RUN, crowned(), window(), ("2026-02-27", began("r-1")))
    assert fired(state, "performance:+20%") == []
    assert idle(state, "performance:+20%").startswith("no window with all its labels")


def test_performance_has_one_cause_for_one_window_however_often_it_is_stated():
    policy = make_policy("performance:+20%")
    once = made(OLD_RUN, crowned(), window(error=0.5))
    again = made(OLD_RUN, crowned(), window(error=0.5), window(error=0.6), at="2026-02-25")
    (one,), (other,) = (find_triggers(state, policy, NOW) for state in (once, again))
    assert one.cause == other.cause
    assert one.why != other.why


def test_performance_says_how_far_it_is():
    state = made(OLD_RUN, crowned(), window(error=0.42, reference=0.4))
    assert idle(state, "performance:+20%") == "wape +5%, not above +20%"
    assert idle(made(), "performance:+20%").startswith("no window with all its labels")


# ---- drift ------------------------------------------------------------------


def test_drift_fires_above_its_distance_and_names_the_column():
    state = made(OLD_RUN, crowned(), drift(distance=0.3))
    assert fired(state, "drift") == [("drift", "inputs moved: price by 0.30")]
    assert fired(state, "drift:0.3") == []
    assert idle(state, "drift:0.3") == "inputs moved by 0.30, not above 0.3"


def test_drift_does_not_fire_on_what_the_retrain_has_seen():
    state = made(OLD_RUN, crowned(), drift(distance=0.3), ("2026-02-20", began("r-1")))
    assert fired(state, "drift") == []
    assert idle(state, "drift") == "no window of inputs since the last retrain"
    assert idle(made(), "drift") == "no window of inputs since the last retrain"


# ---- gain -------------------------------------------------------------------


def test_gain_fires_above_its_price():
    state = made(OLD_RUN, crowned(), ("2026-02-01", gain(0.2, saved=100.0)))
    assert fired(state, "gain", price=99.0) == [
        ("gain", "a new model would have saved 20% on 9 new labels")
    ]
    assert fired(state, "gain", price=100.0) == []
    assert idle(state, "gain", price=100.0).endswith("would save 100, not above the price 100")


def test_gain_needs_to_be_one():
    assert fired(made(OLD_RUN, crowned(), ("2026-02-01", gain(-0.2, saved=1.0))), "gain") == []


def test_gain_is_quiet_after_the_retrain_it_caused():
    state = made(OLD_RUN, crowned(), ("2026-02-01", gain()), ("2026-02-01", began("r-1")))
    assert fired(state, "gain") == []
    assert idle(state, "gain") == "no new labels to estimate a gain on"
    assert idle(made(), "gain") == "no new labels to estimate a gain on"


def test_gain_that_is_delivered_again_later_has_the_same_cause():
    policy = make_policy("gain")
    state = made(OLD_RUN, crowned(), ("2026-02-01", gain()))
    again = made(
        OLD_RUN,
        crowned(),
        ("2026-02-01", gain()),
        ("2026-02-02", began("r-1")),
        ("2026-02-03", gain(0.1, challenger="m-next")),
        ("2026-02-04", gain()),
    )
    (one,), (other,) = (find_triggers(known, policy, NOW) for known in (state, again))
    assert one.cause == other.cause


# ---- several ----------------------------------------------------------------


def test_all_triggers_that_fired_are_told_in_the_order_of_the_policy():
    state = made(OLD_RUN, crowned(), window(), drift(), ("2026-02-01", gain()))
    kinds = [kind for kind, _ in fired(state, "gain/drift/performance:+10%/every:1mo")]
    assert kinds == ["gain", "drift", "performance", "every"]


def test_all_triggers_say_how_far_they_are():
    state = made(("2026-02-27", began("r-0")), crowned())
    assert idle(state, "performance:+10%/every:1mo") == (
        "no window with all its labels since the last retrain; the next is due in 26 days"
    )


@pytest.mark.parametrize("text", ["performance:+20%", "drift", "gain"])
def test_what_is_seen_counts_though_the_last_retrain_is_dated_ahead(text):
    state = made(
        *[("2027-01-01", fact) for fact in ran("r-0", "m-0")],
        crowned(),
        window(),
        drift(),
        ("2026-02-01", gain()),
    )
    assert [kind for kind, _ in fired(state, text)] == [text.partition(":")[0]]


def test_windows_that_arrive_out_of_order_do_not_hide_a_later_one():
    late = window("2026-02-20", error=0.5)
    early = window("2026-02-13", start="2026-02-06", error=0.1)
    state = made(OLD_RUN, crowned(), late, early)
    assert state.observed["m-0"].window[1].end == day("2026-02-20")
    assert [kind for kind, _ in fired(state, "performance:+20%")] == ["performance"]
