"""Who may ask: token, Host, Origin, on every route and before anything else is looked at.

Deny by default: what is not on a list is refused. A browser page of another site can neither ask
(Origin, Sec-Fetch-Site) nor pretend to be this machine (Host). Imports nothing heavy.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Sequence

from bucle.serve.problems import ProblemError

__all__ = ["Guard", "Headers", "host_name"]

Headers = dict[bytes, bytes]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OWN_SITE = frozenset({b"same-origin", b"none"})
_ONCE = frozenset(
    {
        b"host",
        b"authorization",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"origin",
        b"sec-fetch-site",
    }
)
_WRONG_A_SECOND = 100
_REMEMBERED = 256
# A browser asks its user only where each scheme stands in a header of its own.
_CHALLENGE = (
    (b"www-authenticate", b"Bearer"),
    (b"www-authenticate", b'Basic realm="bucle", charset="UTF-8"'),
)


class Guard:
    """Checks every request.

    Args:
        token: What a client must show, as `Authorization: Bearer TOKEN` or as the password of
            HTTP Basic, which is what a browser asks its user for.
        hosts: Names under which this server may be asked, beside those of the machine itself.
    """

    def __init__(self, token: str, hosts: Iterable[str] = ()) -> None:
        self._bearer = b"Bearer " + token.encode()
        self._token = token.encode()
        self._hosts = _LOOPBACK | {host_name(host) for host in hosts}
        self._seen: dict[tuple[bytes, str], bool] = {}
        self._second = 0
        self._wrong = 0

    def check(self, pairs: Sequence[tuple[bytes, bytes]], *, address: str = "") -> Headers:
        """Return the headers of a request that may be answered.

        Args:
            pairs: Names in lower case, and values, as they came.
            address: The address of this machine that was connected to.

        Raises:
            ProblemError: The request is refused: 400, 401, 403, 421 or 429.
        """
        headers = dict(pairs)
        if len(headers) < len(pairs):
            _refuse_twice(pairs)
        host = headers.get(b"host", b"")
        if not self._is_ours(host, address):
            raise _wrong_host(host)
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in _OWN_SITE:
            raise _foreign("Sec-Fetch-Site", site)
        origin = headers.get(b"origin")
        if origin is not None and origin not in (b"http://" + host, b"https://" + host):
            raise _foreign("Origin", origin)
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, self._bearer) and not self._is_known(given):
            raise self._unknown(given)
        return headers

    def admits(self, headers: Headers, *, address: str = "") -> bool:
        """Tell whether a request is allowed as programs ask: no browser, the token as a bearer's.

        Whatever it does not admit has to be put to `check`, which alone refuses and counts.
        """
        return (
            hmac.compare_digest(headers.get(b"authorization", b""), self._bearer)
            and self._is_ours(headers.get(b"host", b""), address)
            and b"origin" not in headers
            and b"sec-fetch-site" not in headers
        )

    def _is_ours(self, host: bytes, address: str) -> bool:
        known = self._seen.get((host, address))
        if known is None:
            name = host_name(host.decode("latin-1"))
            known = bool(name) and (name in self._hosts or name in (address, f"[{address}]"))
            if len(self._seen) < _REMEMBERED:
                self._seen[host, address] = known
        return known

    def _is_known(self, given: bytes) -> bool:
        """Tell whether the token is shown in another of the ways that are allowed."""
        scheme, _, rest = given.partition(b" ")
        match scheme.lower():
            case b"bearer":
                return hmac.compare_digest(rest, self._token)
            case b"basic":
                try:
                    _, _, password = base64.b64decode(rest, validate=True).partition(b":")
                except (binascii.Error, ValueError):
                    return False
                return hmac.compare_digest(password, self._token)
            case _:
                return False

    def _unknown(self, given: bytes) -> ProblemError:
        """Return the refusal; guessing is slowed down, the right token never is."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._wrong = second, 0
        self._wrong += bool(given)
        if given and self._wrong > _WRONG_A_SECOND:
            return ProblemError(
                429,
                "Too many wrong tokens",
                headers={b"retry-after": b"1"},
                code="bucle-336",
            )
        return ProblemError(
            401,
            "The token is wrong" if given else "The token is missing",
            headers=_CHALLENGE,
            attempt="Authorization: Bearer TOKEN, with the token of .bucle/serve/token",
            code="bucle-336",
        )


def host_name(text: str) -> str:
    """Return the name of `host:port`, lower case and without a final dot; IPv6 in brackets.

    Example:
        >>> host_name("LocalHost.:8000"), host_name("[::1]:8000"), host_name("a:b:c")
        ('localhost', '[::1]', '')
    """
    if text.startswith("["):
        name, closing, rest = text.partition("]")
        port = rest.removeprefix(":")
        fits = closing and (
            not rest or (rest.startswith(":") and port.isascii() and port.isdigit())
        )
        return (name + "]").lower() if fits else ""
    name, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit()):
        return ""
    return name.lower().removesuffix(".")


def _refuse_twice(pairs: Sequence[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in pairs if name in _ONCE]
    if len(set(names)) < len(names):
        raise ProblemError(400, "A header is there twice that may be there once", code="bucle-335")


def _wrong_host(host: bytes) -> ProblemError:
    shown = host.decode("latin-1")[:100]
    return ProblemError(
        421,
        f"This server is not called {shown!r}" if shown else "The request names no host",
        attempt='hosts = ["NAME"] in [serve] of bucle.toml',
        code="bucle-335",
    )


def _foreign(header: str, value: bytes) -> ProblemError:
    return ProblemError(
        403,
        "A page of another site may not ask this server",
        cause=f"{header} is {value.decode('latin-1')[:100]!r}",
        code="bucle-335",
    )
