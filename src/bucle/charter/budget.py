"""The alarm budget as the charter writes it: how often false alarms may come."""

import re

__all__ = ["days_between"]

_UNITS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
_FORM = re.compile(
    r"(?P<count>\d{1,6}(?:\.\d{1,6})?) per (?:(?P<many>\d{1,6}(?:\.\d{1,6})?) )?"
    r"(?P<unit>day|week|month|year)s?"
)
_MOST_DAYS = 36_525.0


def days_between(text: str) -> float:
    """Return how many days lie between two false alarms, on average.

    Raises:
        ValueError: It is no such budget, or none between one a day and one a century.

    Example:
        >>> days_between("1 per 180 days"), days_between("2 per week")
        (180.0, 3.5)
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError("it must read like '1 per 180 days', in days, weeks, months or years")
    count = float(found["count"])
    days = float(found["many"] or 1) * _UNITS[found["unit"]]
    between = days / count if count else float("inf")
    if not 1.0 <= between <= _MOST_DAYS:
        raise ValueError("it must lie between one a day and one in a hundred years")
    return between
