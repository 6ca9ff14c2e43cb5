"""Names of projects: what a folder may be called so that it works on every machine.

Must not import anything heavy.
"""

import re
import unicodedata
from pathlib import Path

from bucle.errors import UsageError

__all__ = ["check_folder"]

_LONGEST = 64
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MARKS = "-_. "


def check_folder(folder: Path) -> None:
    """Refuse a folder whose name cannot be a project's; nothing on the disk is asked.

    A name starts with a letter or a digit and goes on with letters, digits, `-`, `_`, `.` and
    spaces; it is at most 64 characters long. The way to it may not lead upwards.

    Raises:
        UsageError: The name leads elsewhere, cannot be typed, or means a device (bucle-185).

    Example:
        >>> check_folder(Path("work/freight"))
    """
    name = folder.name
    reason = _why_not(name) or ("it leads upwards: go there first" if ".." in folder.parts else "")
    if reason:
        shown = name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."
        raise UsageError(
            f"Cannot name a project {shown!r}",
            cause=reason,
            attempt=f"bucle new {_nearest_name(name)}",
            code="bucle-185",
        )


def _why_not(name: str) -> str:
    rules = (
        (not name.strip(), "it is empty"),
        (len(name) > _LONGEST, f"it has {len(name)} characters, {_LONGEST} are allowed"),
        (not name.isprintable(), "it holds a character that cannot be seen"),
        ("\\" in name, "folders are separated by '/'"),
        (name.startswith("-"), "it would be read as an option"),
        (name.startswith("."), "it would be hidden"),
        (name != name.strip() or name.endswith("."), "it ends or starts with a space or a dot"),
        (_DEVICES.fullmatch(name) is not None, "on some systems this is a device, not a folder"),
        (
            not all(letter.isalnum() or letter in _MARKS for letter in name),
            "it may hold letters, digits, '-', '_', '.' and spaces",
        ),
        (not name[:1].isalnum(), "it must start with a letter or a digit"),
        (unicodedata.normalize("NFC", name) != name, "its accents are written in two ways at once"),
    )
    return next((reason for broken, reason in rules if broken), "")


def _nearest_name(name: str) -> str:
    """Return a name made of what can be kept of a refused one."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name).strip().rstrip("/\\"))[-1]
    kept = re.sub(r"[^0-9A-Za-z_-]+", "-", last).strip("-_")[:_LONGEST]
    return kept if kept and not _why_not(kept) else "my-project"
