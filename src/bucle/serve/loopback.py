"""Addresses of this machine that no other one can reach, and nothing else.

A name is resolved once and only its numbers are used afterwards. Imports nothing heavy.
"""

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from bucle.errors import UsageError

__all__ = ["Place", "find_loopback"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (what such a server answers to)
_HTTP_PORT = 80


class Place(Struct, frozen=True):
    """Where a server may listen: numbers of this machine, each a loopback address, and a port."""

    addresses: tuple[str, ...]
    port: int

    def at(self, address: str) -> str:
        """Return an address of it with the port, as a request's Host."""
        return f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"


def _resolve(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


def find_loopback(
    address: str, *, is_own: bool = False, resolve: Callable[[str], list[str]] = _resolve
) -> Place:
    """Return where an address leads, if that is this machine and can be nothing else.

    Args:
        address: `http://HOST:PORT`.
        is_own: Whether a server of this project says so of itself: one that listens on all
            addresses answers on the loopback one.
        resolve: Returns the numbers of a name.

    Raises:
        UsageError: It is none, or any number of it can be reached from elsewhere.

    Example:
        >>> find_loopback("http://127.0.0.1:8000").addresses
        ('127.0.0.1',)
    """
    parts, port = _split(address)
    host = parts.hostname or ""
    if is_own:
        host = _EVERYWHERE.get(host, host)
    try:
        found = tuple(dict.fromkeys(resolve(host)))
    except (OSError, UnicodeError) as error:
        raise _refused(address, f"the name {host[:100]!r} leads nowhere") from error
    for one in found:
        if not _is_loopback(one):
            raise _refused(address, f"{host[:100]} is {one}, which other machines may be behind")
    if not found:
        raise _refused(address, f"the name {host[:100]!r} leads nowhere")
    return Place(found, port)


def _split(address: str) -> tuple[SplitResult, int]:
    """Return the parts of an address that is nothing but scheme, host and port."""
    if not address.isascii() or not address.isprintable() or {" ", "\\"} & set(address):
        raise _refused(address, "it holds letters that no address holds")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise _refused(address, "it cannot be read") from error
    if parts.scheme != "http" or not parts.hostname:
        raise _refused(address, "it does not begin with http:// and a host")
    if "@" in parts.netloc:
        raise _refused(address, "it names a user, and may be meant to look like another one")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise _refused(address, "it goes on after host and port")
    if port == 0:
        raise _refused(address, "nothing listens on port 0")
    return parts, _HTTP_PORT if port is None else port


def _is_loopback(number: str) -> bool:
    try:
        return ipaddress.ip_address(number).is_loopback
    except ValueError:
        return False


def _refused(address: str, cause: str) -> UsageError:
    return UsageError(
        f"Cannot load {address[:200]!r}: only a server of this machine can be",
        cause=cause,
        attempt="bucle load --address http://127.0.0.1:8000",
        code="bucle-365",
    )
