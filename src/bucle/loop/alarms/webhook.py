"""Alarms posted to a web address: one JSON document each, answered or given up in bounded time.

The address comes from the charter of this machine and from nowhere else. No redirect is followed,
no proxy is asked, and addresses that only a machine's own surroundings have are refused when they
are connected to. Imports nothing heavy.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

import msgspec

from bucle import __version__
from bucle.charter.addresses import check_webhook, webhook_place
from bucle.errors import OutsideError
from bucle.loop.alarms.channels import Failure
from bucle.loop.alarms.messages import Message

__all__ = ["Webhook"]

_TIMEOUT_S = 10.0
_LIMIT_S = 30.0
_MOST_READ = 4096
_LONGEST_WAIT_S = 3600.0
_REDIRECTS = range(300, 400)
_OK = range(200, 300)
# Another message may be taken where this one is not.
_ABOUT_THE_MESSAGE = {400, 406, 411, 413, 415, 422}
_TRIES = 3
# Where clouds keep what a machine may know of itself, beside the link-local addresses.
_METADATA = {ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")}


class Webhook:
    """A web address that takes alarms.

    Args:
        address: With `http` or `https`.
        timeout_s: For connecting and for each pause of the other side.
        limit_s: For the whole answer, however slowly it comes.

    Raises:
        CharterError: It is no such address (bucle-197).
    """

    kind = "webhook"

    def __init__(
        self, address: str, *, timeout_s: float = _TIMEOUT_S, limit_s: float = _LIMIT_S
    ) -> None:
        self._parts = check_webhook(address)
        self.name = webhook_place(address)
        self._timeout_s = timeout_s
        self._limit_s = limit_s
        self._connection: HTTPConnection | None = None
        self._is_closed = False

    def send(self, message: Message) -> Failure | None:
        """Post a message; rows stay on this machine."""
        shown = {name: getattr(message, name) for name in message.__struct_fields__}
        del shown["examples"]
        connection = self._connection = self._open()
        timer = threading.Timer(self._limit_s, _cut, [connection])
        timer.daemon = True
        timer.start()
        try:
            connection.connect()
            if self._is_closed:
                # Before there was anything to cut.
                _cut(connection)
            refused = _refused(connection)
            if refused:
                return Failure(
                    error=OutsideError(
                        f"Cannot post to {self.name}", cause=refused, code="bucle-404"
                    )
                )
            self._post(connection, msgspec.json.encode(shown), key=message.key)
            answer = connection.getresponse()
            answer.read(_MOST_READ)
            return self._judge(answer)
        except (OSError, ValueError, HTTPException) as error:
            # A name that does not resolve, a door that is shut, a silence, an answer that is none.
            reason = str(error) or type(error).__name__
            what = f"Cannot post to {self.name}"
            return Failure(error=OutsideError(what, cause=reason, code="bucle-403"))
        finally:
            timer.cancel()
            connection.close()

    def close(self) -> None:
        """Hang up."""
        self._is_closed = True
        if self._connection is not None:
            _cut(self._connection)

    def _open(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout_s)
        context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=self._timeout_s, context=context)

    def _post(self, connection: HTTPConnection, body: bytes, *, key: str) -> None:
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "User-Agent": f"bucle/{__version__}",
            "Connection": "close",
        }
        connection.request("POST", target, body=body, headers=headers)

    def _judge(self, answer: HTTPResponse) -> Failure | None:
        if answer.status in _OK:
            return None
        cause = f"it answered {answer.status}"
        attempt = ""
        if answer.status in _REDIRECTS:
            cause += ", and nobody is followed elsewhere"
            attempt = "the final address as webhook in [watch]"
        wait = answer.getheader("Retry-After", "")
        return Failure(
            error=OutsideError(
                f"Cannot post to {self.name}", cause=cause, attempt=attempt, code="bucle-404"
            ),
            attempts=_TRIES if answer.status in _ABOUT_THE_MESSAGE else None,
            wait_s=min(float(wait), _LONGEST_WAIT_S) if wait.isdecimal() else 0.0,
        )


def _refused(connection: HTTPConnection) -> str:
    """Say why the machine that was reached gets nothing; the name may have led anywhere."""
    text = str(connection.sock.getpeername()[0]).partition("%")[0]
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.is_link_local or found.is_multicast or found.is_unspecified or found in _METADATA:
        return f"it leads to {found}, an address of this machine's own surroundings"
    return ""


def _cut(connection: HTTPConnection) -> None:
    """End whatever a thread is waiting for."""
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
