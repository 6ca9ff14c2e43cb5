"""`bucle up`: the loop goes on by itself: it serves, watches, decides, retrains and rolls back."""

import contextlib
import os
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from functools import partial
from socket import socket
from typing import TYPE_CHECKING

import msgspec

from bucle.cli.handler import Handler, project_folder
from bucle.cli.serve import serving_arguments, serving_settings
from bucle.cli.terminal import Terminal
from bucle.cli.wording import tell_policy
from bucle.clock import to_iso
from bucle.errors import OutsideError
from bucle.grammar import say_count
from bucle.loop.narration import Narrator
from bucle.loop.workspace import Workspace, open_workspace
from bucle.types import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bucle.loop.serving.supervisor import Supervisor

__all__ = ["UP"]

_BESIDE = (("loop", "bucle.loop.live.controlling"),)
_AGAIN_S = 1.0


def _arguments(parser: ArgumentParser) -> None:
    serving_arguments(parser)
    parser.add_argument(
        "--watch-source",
        action="append",
        default=[],
        metavar="NAME=GLOB",
        help="take files that come in there into a dataset; may be given again",
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    from bucle.loop.arrivals import parse_watched  # noqa: PLC0415  (only here)
    from bucle.loop.live.rules import live_policy  # noqa: PLC0415  (only here)
    from bucle.serve.token import open_token  # noqa: PLC0415  (only here)

    workspace = open_workspace(project_folder(options), overrides=options.set)
    host, port, workers = serving_settings(options, workspace)
    policy = live_policy(workspace.charter)
    for text in options.watch_source:
        parse_watched(text, datasets=workspace.charter.data)
    up = _Up(workspace, terminal, host=host, port=port, options=options)
    # Before anything is written: what cannot begin leaves nothing behind.
    listener = up.find_listener()
    path = workspace.home / "serve" / "token"
    token, is_new = open_token(path)
    if not terminal.json:
        tell_policy(terminal, policy.name, indent="policy  ")
        if listener is not None:
            shown = token if is_new else "unchanged"
            terminal.say(f"token   {shown} (in {path.relative_to(workspace.root)})")
        terminal.say("times   UTC")
        terminal.say("stop    Ctrl-C")
    while True:
        with up.processes(listener, token=token, workers=workers) as supervisor:
            listener = up.go_on(supervisor, is_serving=listener is not None)
        if listener is None:
            return 0


class _Up:
    """One `bucle up`: with a server, or standing by as long as another has the address."""

    def __init__(
        self,
        workspace: Workspace,
        terminal: Terminal,
        *,
        host: str,
        port: int,
        options: Namespace,
    ) -> None:
        self._workspace = workspace
        self._terminal = terminal
        self._host, self._port = host, port
        self._options = options
        self._teller = _Teller(workspace, terminal)
        self._is_over = False

    def find_listener(self) -> socket | None:
        """Return the socket to serve on; None while another server of the project has it.

        Raises:
            OutsideError: Somebody else has the address.
        """
        from bucle.loop.serving.presence import find_servers  # noqa: PLC0415  (only here)
        from bucle.loop.serving.supervisor import ADDRESS_TAKEN, listen  # noqa: PLC0415

        try:
            return listen(self._host, self._port)
        except OutsideError as error:
            servers = find_servers(self._workspace.home / "serve")
            ends = f":{self._port}"
            if error.code == ADDRESS_TAKEN and any(one.address.endswith(ends) for one in servers):
                return None
            raise

    @contextlib.contextmanager
    def processes(
        self, listener: socket | None, *, token: str, workers: int
    ) -> "Iterator[Supervisor]":
        """Run the server's processes and the controller, or the controller alone."""
        from bucle.loop.serving.companions import Companion  # noqa: PLC0415  (only here)
        from bucle.loop.serving.presence import Presence, announce, retire  # noqa: PLC0415
        from bucle.loop.serving.supervisor import Supervisor  # noqa: PLC0415  (only here)
        from bucle.loop.serving.voice import tell  # noqa: PLC0415  (only here)

        folder, watched = self._workspace.home / "serve", tuple(self._options.watch_source)
        supervisor = Supervisor(
            self._workspace,
            listener,
            token=token,
            overrides=self._options.set,
            workers=workers,
            say=partial(tell, "server"),
            companions=[(Companion(name=name, module=one), watched) for name, one in _BESIDE],
        )
        self._heed_signals(supervisor)
        try:
            supervisor.start()
            if listener is not None:
                address = self._address(listener)
                since = to_iso(self._workspace.clock.now())
                note = Presence(pid=os.getpid(), address=address, workers=workers, since=since)
                announce(folder, note)
                self._terminal.answer_line({"serving": address, "workers": workers})
                self._say(f"serving on {address} with {say_count(workers, 'worker')}")
            else:
                self._terminal.answer_line({"standing_by": f"{self._host}:{self._port}"})
                self._say(f"standing by: {self._host}:{self._port} is served already")
            yield supervisor
        finally:
            retire(folder, os.getpid())
            supervisor.close()

    def go_on(self, supervisor: "Supervisor", *, is_serving: bool) -> socket | None:
        """Go on until a signal; return the socket when the address came free meanwhile."""
        found: list[socket] = []
        looked = time.monotonic()

        def beside() -> None:
            nonlocal looked
            self._teller.tell()
            if not is_serving and not found and time.monotonic() - looked > _AGAIN_S:
                looked = time.monotonic()
                found.extend(self._take_over())
                if found:
                    supervisor.stop()

        supervisor.run(beside)
        if self._is_over:
            for listener in found:
                listener.close()
            return None
        return found[0] if found else None

    def _take_over(self) -> "list[socket]":
        """Return the socket once the address is free; whoever leaves it may take its time."""
        try:
            listener = self.find_listener()
        except OutsideError:
            return []
        return [listener] if listener is not None else []

    def _heed_signals(self, supervisor: "Supervisor") -> None:
        def stop(*_: object) -> None:
            self._is_over = True
            supervisor.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        signal.signal(signal.SIGHUP, lambda *_: supervisor.reload())

    def _address(self, listener: socket) -> str:
        name = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{name}:{listener.getsockname()[1]}"

    def _say(self, words: str) -> None:
        if not self._terminal.json:
            self._terminal.say(words)
            sys.stdout.flush()


class _Teller:
    """Tells every event of the log as it comes, one line each.

    A full disk under them ends no loop: they stand in the log as well.
    """

    def __init__(self, workspace: Workspace, terminal: Terminal) -> None:
        self._log = workspace.log
        self._narrator = Narrator()
        self._terminal = terminal
        self._position = workspace.log.head().position

    def tell(self) -> None:
        """Tell what has come since the last call."""
        for event in self._log.read(after=self._position):
            self._position = event.position
            try:
                self._say(event)
            except BrokenPipeError:
                raise
            except OSError:
                # What the stream still holds goes out with what it takes next.
                continue

    def _say(self, event: Event) -> None:
        if self._terminal.json:
            self._terminal.answer_line(msgspec.to_builtins(event))
        elif words := self._narrator.tell(event):
            self._tell_words(event.at[11:19], words)
        sys.stdout.flush()

    def _tell_words(self, at: str, words: str) -> None:
        """Say one event; folded for a reader, a line each for a file."""
        if sys.stdout.isatty():
            self._terminal.paragraph(words, indent=f"{at}  ")
        else:
            self._terminal.say(f"{at}  {words}")


UP = Handler(_arguments, _call, "bucle up --port 8000")
