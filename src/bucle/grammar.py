"""Counts and articles in messages. Pure text; imports nothing of Bucle."""

__all__ = ["say_count", "say_hours", "with_article"]

_DAY = 24


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
