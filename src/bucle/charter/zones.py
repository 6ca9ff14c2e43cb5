"""Time zones by their names, as the machine knows them.

UTC needs no table of zones, so that a machine without one loses nothing but the others.
"""

import re
from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from bucle.errors import CharterError, nearest

__all__ = ["find_zone"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+_-]*(?:/[A-Za-z0-9+_-]+)*")


@lru_cache(maxsize=64)
def find_zone(name: str) -> tzinfo:
    """Return the zone of a name, such as `Europe/Madrid`; its table is read the first time.

    Raises:
        CharterError: The machine knows no such zone (bucle-196).

    Example:
        >>> find_zone("UTC")
        datetime.timezone.utc
    """
    if name == "UTC":
        return UTC
    # As a name alone: zoneinfo would open whatever file a path leads to.
    if _NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, ZoneInfoNotFoundError):
            pass
    known = available_timezones()
    raise CharterError(
        f"There is no time zone {name!r}",
        cause="this machine has no such zone" if known else "this machine has no table of zones",
        did_you_mean=nearest(name, sorted(known)) or _cities(name, known),
        attempt="Europe/Madrid, or UTC" if known else "pip install tzdata, or UTC",
        code="bucle-196",
    )


def _cities(name: str, known: set[str]) -> tuple[str, ...]:
    """Return the zones of a city that was named without its continent."""
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(known)}
    return tuple(cities[city] for city in nearest(name.rpartition("/")[2], list(cities)))
