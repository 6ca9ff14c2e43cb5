"""How often false alarms may come."""

import pytest

from bucle.charter.budget import days_between


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1 per 180 days", 180),
        (" 2 per week ", 3.5),
        ("1 per year", 365.25),
        ("1 per 6 months", 182.625),
        ("0.5 per month", 60.875),
        ("1 per day", 1),
    ],
)
def test_a_budget_is_days_between_false_alarms(text: str, days: float) -> None:
    assert days_between(text) == pytest.approx(days)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "1 per 0 days",
        "0 per day",
        "2 per day",
        "1 per 101 years",
        "1/180",
        "-1 per day",
    ],
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it must"):
        days_between(text)
