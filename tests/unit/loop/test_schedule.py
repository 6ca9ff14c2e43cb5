"""Schedules: what is due on the clocks of a zone, also on days that have 23 or 25 hours."""

from datetime import UTC, datetime, timedelta

import pytest

from bucle.errors import CharterError
from bucle.loop.schedule import Schedule, parse_schedule

MADRID = "Europe/Madrid"
TICK = timedelta(microseconds=1)


def shown(schedule: Schedule, start: str, *, count: int) -> list[str]:
    """Return what clocks show at the next due moments, with their offset in hours."""
    now, found = datetime.fromisoformat(start).replace(tzinfo=UTC), []
    for _ in range(count):
        later = schedule.next(now)
        assert later is not None
        assert schedule.last(later) == later
        assert schedule.last(later - TICK) != later
        local = later.astimezone(schedule.zone)
        hours = (local.utcoffset() or timedelta()) / timedelta(hours=1)
        found.append(f"{local:%d %H:%M}{hours:+g}")
        now = later
    return found


def test_what_clocks_skip_is_due_once_at_the_jump() -> None:
    daily = parse_schedule("30 2 * * *", zone=MADRID)
    assert shown(daily, "2026-03-27T12:00", count=3) == ["28 02:30+1", "29 03:00+2", "30 02:30+2"]


def test_several_that_are_skipped_are_due_once_together() -> None:
    both = parse_schedule("*/20 2-3 * * *", zone=MADRID)
    found = shown(both, "2026-03-29T00:00", count=4)
    assert found == ["29 03:00+2", "29 03:20+2", "29 03:40+2", "30 02:00+2"]


def test_what_clocks_show_twice_is_due_the_first_time() -> None:
    daily = parse_schedule("30 2 * * *", zone=MADRID)
    assert shown(daily, "2026-10-24T12:00", count=2) == ["25 02:30+2", "26 02:30+1"]
    two_hourly = parse_schedule("0 */2 * * *", zone=MADRID)
    assert shown(two_hourly, "2026-10-24T23:00", count=2) == ["25 02:00+2", "25 04:00+1"]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_schedule_for_every_hour_goes_on_as_time_does(day: str) -> None:
    quarters = parse_schedule("*/15 * * * *", zone=MADRID)
    start = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=UTC) - timedelta(hours=3)
    now = start
    for _ in range(40):
        later = quarters.next(now)
        assert later == now + timedelta(minutes=15)
        now = later


def test_half_an_hour_and_a_whole_day_may_be_skipped() -> None:
    island = parse_schedule("15 2 * * *", zone="Australia/Lord_Howe")
    assert shown(island, "2025-10-03T16:00", count=2) == ["05 02:30+11", "06 02:15+11"]
    samoa = parse_schedule("0 12 * * *", zone="Pacific/Apia")
    found = shown(samoa, "2011-12-29T12:00", count=3)
    assert found == ["29 12:00-10", "31 00:00+14", "31 12:00+14"]


def test_midnight_may_be_what_is_skipped() -> None:
    havana = parse_schedule("0 0 * * *", zone="America/Havana")
    assert shown(havana, "2026-03-07T12:00", count=2) == ["08 01:00-4", "09 00:00-4"]


@pytest.mark.parametrize("zone", [MADRID, "America/New_York", "Pacific/Apia", "UTC"])
def test_each_day_of_ten_years_has_one_due_moment(zone: str) -> None:
    daily = parse_schedule("cron 30 2 * * *", zone=zone)
    start = datetime(2008, 1, 1, tzinfo=UTC)
    now, count = start, 0
    while now < datetime(2018, 1, 1, tzinfo=UTC):
        later = daily.next(now)
        assert later is not None
        assert daily.last(later - TICK) == (now if count else daily.last(start))
        now, count = later, count + 1
    # A zone that moves across the date line has a day more of its own.
    assert abs(count - 3653) <= 2


def test_weekdays_are_those_of_the_zone() -> None:
    monday = parse_schedule("30 0 * * mon", zone="Asia/Kolkata")
    assert shown(monday, "2026-01-01T00:00", count=2) == ["05 00:30+5.5", "12 00:30+5.5"]
    assert monday.next(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 4, 19, tzinfo=UTC)


def test_a_leap_day_may_be_eight_years_away() -> None:
    leap = parse_schedule("0 0 29 2 *")
    assert leap.next(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
    assert leap.last(datetime(2104, 2, 28, tzinfo=UTC)) == datetime(2096, 2, 29, tzinfo=UTC)


def test_the_calendar_ends_on_both_sides() -> None:
    daily = parse_schedule("0 6 * * *")
    assert daily.next(datetime(9999, 12, 31, 12, tzinfo=UTC)) is None
    assert daily.last(datetime(1, 1, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("text", ["30 2 * * *", "cron 30 2 * * *", "cron:30 2 * * *"])
def test_reads_what_a_policy_holds(text: str) -> None:
    due = parse_schedule(text, zone="UTC").next(datetime(2026, 1, 1, tzinfo=UTC))
    assert due == datetime(2026, 1, 1, 2, 30, tzinfo=UTC)


def test_refuses_what_it_cannot_read() -> None:
    with pytest.raises(CharterError, match="five fields"):
        parse_schedule("daily")
    with pytest.raises(CharterError, match="no such zone"):
        parse_schedule("0 6 * * *", zone="Mars/Olympus")
