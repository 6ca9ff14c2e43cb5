"""Connections with limits: headers of a bounded size, requests that come in a bounded time.

A thin layer on uvicorn's protocol; what it refuses never reaches the app.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["MOST_HEADER_BYTES", "BoundedConnection", "close_slow"]

MOST_HEADER_BYTES = 32_768
_REFUSED = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedConnection(HttpToolsProtocol):
    """One connection; `began` is when the request that is being read began, 0 between requests."""

    began = 0.0
    _in_headers = True
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Start the clock of the first request: a connection that says nothing is closed too."""
        super().connection_made(transport)
        self.began = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless its headers have grown too large."""
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER_BYTES and not self._is_body(data):
                self._refuse()
                return
            super().data_received(data)
            return
        # What comes after the headers and is no body is trailers: they would be kept as headers.
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > MOST_HEADER_BYTES and not self._in_headers:
            self._refuse()

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        self.began = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count no more: what follows is a body, which the app limits."""
        self._in_headers, self._header_bytes = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Begin the count anew: this was no header."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is here."""
        self.began, self._in_headers, self._header_bytes = 0.0, True, 0
        super().on_message_complete()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_REFUSED)
            self.transport.close()

    def _is_body(self, data: bytes) -> bool:
        """Tell whether headers end within the limit and only a body makes this piece long."""
        end = data.find(b"\r\n\r\n")
        return end >= 0 and self._header_bytes - len(data) + end <= MOST_HEADER_BYTES


def close_slow(connections: set[Any], *, seconds: float) -> int:
    """Close connections whose request has been coming for longer than allowed; return how many."""
    now = asyncio.get_running_loop().time()
    slow = [
        one
        for one in connections
        if isinstance(one, BoundedConnection) and one.began and now - one.began > seconds
    ]
    for one in slow:
        one.transport.close()
    return len(slow)
