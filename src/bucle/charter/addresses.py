"""Addresses of databases in a charter: the file one means, and how one may be shown.

Must not import anything heavy.
"""

import re
from urllib.parse import unquote

__all__ = ["hide_passwords", "sqlite_path"]

_IN_FRONT = re.compile(r"(://[^/:@\s]*):\S*@")
_BEHIND = re.compile(r"([?&](?:ssl)?password=)[^&\s]*", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """Return a text fit for messages and records: addresses in it without their passwords.

    Example:
        >>> hide_passwords("postgresql://ana:secret@db/shop?sslmode=require&password=secret")
        'postgresql://ana:***@db/shop?sslmode=require&password=***'
    """
    if "://" not in text:
        return text
    return _BEHIND.sub(r"\1***", _IN_FRONT.sub(r"\1:***@", text))


def sqlite_path(address: str) -> str:
    """Return the path that a SQLite address names: three slashes and a relative one, or four.

    Example:
        >>> sqlite_path("sqlite:///my%20shop.db"), sqlite_path("sqlite:////srv/shop.db")
        ('my shop.db', '/srv/shop.db')
    """
    return unquote(address.removeprefix("sqlite://").removeprefix("/"))
