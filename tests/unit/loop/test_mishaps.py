"""What goes wrong in a simulation: how it is written, and what usually does."""

from datetime import UTC, datetime, timedelta

import pytest

from bucle.errors import RequestError
from bucle.loop.simulation.mishaps import (
    BOOKS_STILL,
    KILL,
    MISHAPS,
    parse_mishap,
    usual_mishaps,
    usual_traps,
)

START = datetime(2024, 10, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def test_days_are_counted_from_the_start_and_both_ends_are_included() -> None:
    found = parse_mishap("no-labels:10..19", start=START, known=MISHAPS)
    assert (found.start, found.end) == (START + 10 * DAY, START + 20 * DAY)
    assert found.told == MISHAPS["no-labels"]
    assert not found.covers(START + 9 * DAY)
    assert found.covers(START + 19 * DAY)
    assert not found.covers(found.end)


def test_dates_do_as_well_and_a_single_day_is_enough() -> None:
    found = parse_mishap("labels-x100:2024-12-01", start=START, known=MISHAPS)
    assert (found.start, found.end - found.start) == (datetime(2024, 12, 1, tzinfo=UTC), DAY)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no-label:1..2", "what can go wrong here"),
        ("no-labels", "KIND:FROM..TO"),
        ("no-labels:5..2", "before it begins"),
        ("no-labels:2024-13-01", "month"),
        ("no-labels:99999999999", "C int"),
        ("No-Labels:1..2", "KIND:FROM..TO"),
        ("", "KIND:FROM..TO"),
    ],
)
def test_what_is_no_mishap_is_refused(text: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_mishap(text, start=START, known=MISHAPS)
    assert caught.value.code == "bucle-431"
    assert why in caught.value.cause


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(RequestError) as caught:
        parse_mishap("no-label:1", start=START, known=MISHAPS)
    assert caught.value.did_you_mean == ("no-labels",)


@pytest.mark.parametrize("days", [1, 7, 30, 365])
def test_the_usual_mishaps_fall_into_the_time(days: int) -> None:
    shocks = {"storm": "it pours", "drought": "it does not"}
    found = usual_mishaps(START, days, shocks=shocks)
    assert {one.kind for one in found} == {"storm", KILL, "labels-x100", "no-labels"}
    storm = next(one for one in found if one.kind == "storm")
    assert storm.told == "it pours"
    assert storm.start <= START < storm.end == START + days * DAY
    assert all(START <= one.start < one.end for one in found if one is not storm)
    assert all(one.start <= START + days * DAY for one in found)


def test_a_trap_waits_for_champions_and_then_lasts_until_somebody_looks() -> None:
    misprints = {"blots": "ink on the books", "upside-down": "they are upside down"}
    blots, still = usual_traps(misprints)
    assert (blots.kind, blots.champions, blots.told) == ("blots", 1, "ink on the books")
    assert (still.kind, still.champions) == (BOOKS_STILL, 2)
    sprung = blots.spring(START + 40 * DAY, last=START + 300 * DAY)
    assert (sprung.start, sprung.end) == (START + 40 * DAY, START + 300 * DAY)
    assert sprung.hidden


def test_a_world_without_shocks_has_the_others() -> None:
    kinds = {one.kind for one in usual_mishaps(START, 100, shocks={})}
    assert kinds == {KILL, "labels-x100", "no-labels"}
    assert usual_traps({}) == ()
