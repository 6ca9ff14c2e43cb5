"""Lengths of time that no calendar changes: `30s`, `15min`, `1h`, `2d`, `1w`.

Must not import anything heavy.
"""

import re

__all__ = ["seconds_in"]

_FORM = re.compile(r"([1-9]\d{0,5})(s|min|h|d|w)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_MOST = 10 * 366 * 86_400.0


def seconds_in(text: str) -> float:
    """Return how many seconds an interval lasts.

    Raises:
        ValueError: It is none, or longer than ten years.

    Example:
        >>> seconds_in("15min"), seconds_in("1d")
        (900.0, 86400.0)
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError("it must read like '15min': a whole number and s, min, h, d or w")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _MOST:
        raise ValueError("it must not be longer than ten years")
    return seconds
