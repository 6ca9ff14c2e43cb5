"""Addresses in a charter, of databases and of webhooks: what one means, and how it may be shown.

Must not import anything heavy.
"""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from bucle.errors import CharterError

__all__ = ["check_webhook", "hide_passwords", "sqlite_path", "webhook_place"]

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


def check_webhook(address: str) -> SplitResult:
    """Return the parts of a webhook's address.

    Raises:
        CharterError: It is no address that may be posted to (bucle-197).

    Example:
        >>> check_webhook("https://chat.example/hooks/1").hostname
        'chat.example'
    """
    plain = address.isascii() and address.isprintable() and " " not in address
    try:
        parts = urlsplit(address)
        usable = bool(plain and parts.hostname and parts.port != 0)
    except ValueError:
        raise _no_webhook("it is no address") from None
    if parts.scheme not in {"http", "https"}:
        raise _no_webhook("it begins with neither http:// nor https://")
    if not usable:
        raise _no_webhook("it names no machine, or holds a space or a letter that no address has")
    if parts.username is not None:
        raise _no_webhook("a name or password before @ would be sent nowhere")
    return parts


def webhook_place(address: str) -> str:
    """Return where a webhook is without its path, which is often a secret.

    Example:
        >>> webhook_place("https://chat.example:8443/hooks/T0/B1?key=2")
        'https://chat.example:8443/***'
    """
    scheme, mark, rest = address.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}{mark}{host}/***" if mark else "***"


def _no_webhook(cause: str) -> CharterError:
    return CharterError(
        "Cannot post alarms to this address",
        cause=cause,
        attempt="https://chat.example/hooks/1",
        code="bucle-197",
    )
