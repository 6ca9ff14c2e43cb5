"""Counts and articles in messages. Pure text; imports nothing of Bucle."""

__all__ = ["say_count", "with_article"]


def say_count(count: int, noun: str) -> str:
    """Write a count with its noun.

    Example:
        >>> say_count(1, "row"), say_count(12000, "row")
        ('1 row', '12,000 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


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
