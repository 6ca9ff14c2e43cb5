"""Cron expressions: five fields, as cron has always read them."""

from datetime import date, timedelta

import pytest

from bucle.charter.cron import parse_cron
from bucle.errors import CharterError

YEAR = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]


def days(text: str) -> list[date]:
    cron = parse_cron(text)
    return [day for day in YEAR if cron.names(day)]


@pytest.mark.parametrize(
    ("field", "minutes"),
    [
        ("0", (0,)),
        ("5,50,5", (5, 50)),
        ("10-12", (10, 11, 12)),
        ("*/20", (0, 20, 40)),
        ("50/4", (50, 54, 58)),
        ("0-10/5,59", (0, 5, 10, 59)),
        ("*", tuple(range(60))),
    ],
)
def test_a_field_is_a_list_of_values_ranges_and_steps(field, minutes) -> None:
    assert parse_cron(f"{field} 6 * * *").minutes == minutes


def test_names_stand_for_numbers_in_any_case() -> None:
    assert parse_cron("0 6 * JAN,mar-may Mon-Fri") == parse_cron("0  6 * jan,MAR-MAY mon-fri ")
    assert parse_cron("0 6 * jan,mar-may mon-fri").months == (1, 3, 4, 5)


@pytest.mark.parametrize("sunday", ["0", "7", "sun"])
def test_sunday_has_two_numbers(sunday: str) -> None:
    found = days(f"0 6 * * {sunday}")
    assert len(found) == 52
    assert {day.isoweekday() for day in found} == {7}


def test_a_week_may_end_on_sunday() -> None:
    assert {day.isoweekday() for day in days("0 6 * * sat-sun")} == {6, 7}
    assert days("0 6 * * 1-7") == days("0 6 * * 0-6") == YEAR


def test_either_day_is_enough_where_both_are_given() -> None:
    both = days("0 6 13 * fri")
    assert set(both) == set(days("0 6 13 * *")) | set(days("0 6 * * fri"))
    assert len(both) == 52 + 12 - sum(day.day == 13 for day in days("0 6 * * fri"))


def test_a_day_that_begins_with_a_star_must_hold_beside_the_other() -> None:
    assert {day.day % 2 for day in days("0 6 */2 * fri")} == {1}
    assert {day.isoweekday() for day in days("0 6 */2 * fri")} == {5}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "five fields"),
        ("0 6 * *", "five fields"),
        ("0 6 * * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 6 * * *", "between 0 and 59"),
        ("0 24 * * *", "between 0 and 23"),
        ("0 6 0 * *", "between 1 and 31"),
        ("0 6 * 13 *", "between 1 and 12"),
        ("0 6 * * 8", "between 0 and 7"),
        ("0 6 * * fri-mon", "ends before it begins"),
        ("*/0 6 * * *", "the step of '*/0' is 0"),
        ("-1 6 * * *", "no minute"),
        ("1, 6 * * *", "no minute"),
        ("١ 6 * * *", "no minute"),
        ("0 6 31 2 *", "no month"),
        ("0 6 31 4,jun *", "no month"),
        ("0 6 * * mon\n* * * * *", "five fields"),
        ("0 6 * * " + "1," * 200 + "1", "five fields"),
    ],
)
def test_says_what_cannot_be_read(text: str, cause: str) -> None:
    with pytest.raises(CharterError) as caught:
        parse_cron(text)
    assert cause in caught.value.cause
    assert caught.value.code == "bucle-195"


def test_a_leap_day_is_a_day() -> None:
    assert parse_cron("0 6 29 2 *").names(date(2028, 2, 29))


def test_names_the_word_that_was_meant() -> None:
    with pytest.raises(CharterError) as caught:
        parse_cron("0 6 * * monn")
    assert caught.value.did_you_mean == ("mon",)


def test_a_field_is_named_with_its_article():
    with pytest.raises(CharterError, match="an hour lies between 0 and 23"):
        parse_cron("0 24 * * *")
