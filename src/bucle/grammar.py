"""Counts and articles in messages. Pure text; imports nothing of Bucle."""

__all__ = ["say_count", "say_days", "say_hours", "say_share_of_one", "with_article"]

_DAY = 24
_MINUTES = 24 * 60
_LEAST = 0.001


def say_count(count: int, noun: str) -> str:
    """Write a count with its noun.

    Example:
        >>> say_count(1, "row"), say_count(12000, "row")
        ('1 row', '12,000 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def say_hours(hours: float) -> str:
    """Write a time, in days from two of them on.

    Example:
        >>> say_hours(1.2), say_hours(30), say_hours(336)
        ('1 hour', '30 hours', '14 days')
    """
    if hours < 2 * _DAY:
        return say_count(round(hours), "hour")
    return say_count(round(hours / _DAY), "day")


def say_days(days: float) -> str:
    """Write a span of any length in the unit that suits it.

    Example:
        >>> say_days(12.34), say_days(0.5), say_days(0.01), say_days(4.6e-08)
        ('12.3 days', '12 hours', '14 minutes', 'a minute')
    """
    if days >= 2:  # noqa: PLR2004  (below two days hours say more)
        return f"{days:.3g} days"
    minutes = days * _MINUTES
    if minutes >= 2 * 60:
        return f"{days * _DAY:.3g} hours"
    return say_count(round(minutes), "minute") if round(minutes) > 1 else "a minute"


def say_share_of_one(value: float) -> str:
    """Write a number that counts once it comes near one; what is next to nothing is not told.

    Example:
        >>> say_share_of_one(8.4e-10), say_share_of_one(0.0), say_share_of_one(0.123)
        ('below 0.001', '0', '0.12')
    """
    return f"below {_LEAST:g}" if 0 < value < _LEAST else f"{value:.2g}"


def with_article(noun: str) -> str:
    """Write a noun with `a` or `an` before it.

    Example:
        >>> with_article("object"), with_article("frame"), with_article("`int`")
        ('an object', 'a frame', 'an `int`')
        >>> with_article("hour")
        'an hour'
    """
    bare = noun.lstrip("`'\"").casefold()
    return f"{'an' if bare.startswith((*'aeio', 'hour')) else 'a'} {noun}"
