"""Requests answered where they are read: no task, no queue, no second look at a header.

What a compiled model answers takes less time than a task takes to start. What was answered in one
turn of the event loop is put on record in one write, and leaves then. Whatever is not a plain
request, or cannot be answered at once, goes the long way through the ASGI app, which answers it
with the same bytes.
"""

import http
from typing import Any, ClassVar

from bucle.serve.app import App, Reply, Request
from bucle.serve.connection import BoundedConnection

__all__ = ["MOST_BODY_BYTES", "QuickConnection"]

MOST_BODY_BYTES = 65_536
_LONG_WAY = frozenset({b"transfer-encoding", b"content-encoding", b"expect"})


class QuickConnection(BoundedConnection):
    """One connection that answers at once what can be answered at once.

    `dated` are the headers of every answer and their bytes, for all connections of the process.

    Of what comes in one piece only the first request is answered so: whoever sends many without
    waiting does not keep others waiting.
    """

    dated: ClassVar[tuple[Any, bytes]] = (None, b"")
    _held: bytes | None = None
    _asked: dict[bytes, bytes] | None = None
    _keeps_open = True
    _has_answered = False
    _waiting = 0
    _is_last = False

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._has_answered = False
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Start the clock of a request; what the long way needs is made where it is taken."""
        self.began = self.loop.time()
        self.quiet_since = 0.0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Choose the way."""
        if self._is_last or self.transport.is_closing():
            # What came together with a last request is not read, as on the long way.
            raise ValueError("closed")
        self._asked = self._plain()
        if self._asked is None:
            self._go_long()
            return
        self._held = b""
        self._keeps_open = self.parser.should_keep_alive()
        self._in_headers, self._header_bytes = False, 0

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body."""
        held = self._held
        if held is None:
            super().on_body(body)
            return
        self._header_bytes = 0
        self._held = held + body if held else body

    def on_message_complete(self) -> None:
        """Answer."""
        held, asked = self._held, self._asked
        if held is None or asked is None:
            super().on_message_complete()
            return
        app: App = self.app
        keeps_open = self._keeps_open
        first = app.answer_now(self.url, Request(asked, held, b""), to=self, keeps_open=keeps_open)
        if first is None:
            self._hand_over()
            super().on_message_complete()
            return
        if first:
            self.loop.call_soon(app.settle)
        self._held = self._asked = None
        self.began, self._in_headers, self._header_bytes = 0.0, True, 0
        self._has_answered, self._is_last = True, self._is_last or not keeps_open
        self._waiting += 1
        if app.is_full:
            app.settle()

    def leave(self, reply: Reply, *, keeps_open: bool) -> None:
        """Send an answer, which is on record."""
        self._waiting -= 1
        if self.transport.is_closing():
            return
        self.server_state.total_requests += 1
        self.quiet_since = self.loop.time()
        self._write(reply, keeps_open=keeps_open and not self._is_last)

    def shutdown(self) -> None:
        """Let a request that is being read, or an answer that waits, be the last."""
        if self._waiting:
            self._is_last = True
            return
        if self._held is not None:
            self._hand_over()
        super().shutdown()

    def _refuse(self, answer: bytes) -> None:
        """Close; what was asked for before is still answered, and nothing else is."""
        if self._waiting and not self._is_over:
            self._is_over = self._is_last = True
            BoundedConnection.refused += 1
            return
        super()._refuse(answer)

    def _plain(self) -> dict[bytes, bytes] | None:
        """Return the headers of a request that may be answered at once, else None."""
        app, cycle, parser = self.app, self.cycle, self.parser
        if (
            self._has_answered
            or type(app) is not App
            or self.url not in app.quick
            or (cycle is not None and not cycle.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
            or parser.get_method() != b"POST"
            or parser.should_upgrade()
            or parser.get_http_version() != "1.1"
        ):
            return None
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        if (
            len(headers) < len(self.headers)
            or not length.isdigit()
            or len(length) > 5  # noqa: PLR2004  (digits)
            or int(length) > MOST_BODY_BYTES
            or not _LONG_WAY.isdisjoint(headers)
            or not app.admits(headers, address=self.server[0] if self.server else "")
        ):
            return None
        return headers

    def _go_long(self) -> None:
        """Give a request's head to the ASGI app's way, as if it came just now."""
        url, headers, expects, began = self.url, self.headers, self.expect_100_continue, self.began
        super().on_message_begin()
        self.url, self.expect_100_continue, self.began = url, expects, began
        self.headers.extend(headers)
        super().on_headers_complete()

    def _hand_over(self) -> None:
        """Give what was read so far to the ASGI app's way."""
        held, self._held, self._asked = self._held or b"", None, None
        self._go_long()
        if held:
            super().on_body(held)

    def _write(self, reply: Reply, *, keeps_open: bool) -> None:
        """Write an answer as the long way does, in one piece."""
        default, first = QuickConnection.dated
        if default is not self.server_state.default_headers:
            # They change once a second, with the date.
            default = self.server_state.default_headers
            first = b"".join([name + b": " + value + b"\r\n" for name, value in default])
            QuickConnection.dated = default, first
        more = b"".join([name + b": " + value + b"\r\n" for name, value in reply.headers])
        if not keeps_open:
            more += b"connection: close\r\n"
        self.transport.write(
            b"HTTP/1.1 %b\r\n%bcontent-type: %b\r\ncontent-length: %d\r\n"
            b"x-content-type-options: nosniff\r\n%b\r\n%b"
            % (
                _STATUS[reply.status],
                first,
                reply.kind,
                len(reply.body),
                more,
                reply.body,
            )
        )
        if not keeps_open:
            self.transport.close()


_STATUS = {_one.value: f"{_one.value} {_one.phrase}".encode() for _one in http.HTTPStatus}
