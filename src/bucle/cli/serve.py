"""`bucle serve`: the champion behind HTTP."""

import ipaddress
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.clock import to_iso
from bucle.errors import UsageError
from bucle.grammar import say_count
from bucle.loop.workspace import Workspace, open_workspace

__all__ = ["SERVE", "serving_arguments", "serving_settings"]

_MOST_WORKERS = 256
_MOST_PORT = 65_535


def serving_arguments(parser: ArgumentParser) -> None:
    """Add what a server takes."""
    project_arguments(parser)
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one")
    parser.add_argument("--workers", type=int, help="processes that answer (default: 1)")
    parser.add_argument(
        "--public",
        action="store_true",
        help="listen beyond this machine: anybody who can reach it may try the token",
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    # Only this command needs them.
    from bucle.loop.serving.following import Follower  # noqa: PLC0415
    from bucle.loop.serving.presence import Presence, announce, retire  # noqa: PLC0415
    from bucle.loop.serving.supervisor import Supervisor, listen  # noqa: PLC0415
    from bucle.loop.serving.voice import tell  # noqa: PLC0415
    from bucle.serve.token import open_token  # noqa: PLC0415

    workspace = open_workspace(project_folder(options), overrides=options.set)
    host, port, workers = serving_settings(options, workspace)
    path = workspace.home / "serve" / "token"
    token, is_new = open_token(path)
    listener = listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    supervisor = Supervisor(
        workspace,
        listener,
        token=token,
        overrides=options.set,
        workers=workers,
        say=partial(tell, "server"),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.stop())
    signal.signal(signal.SIGHUP, lambda *_: supervisor.reload())
    follower = Follower(workspace)
    try:
        if not terminal.json:
            wish = follower.wish()
            model = f"loading {wish.champion.model}" if wish else "starting without a champion"
            terminal.say(f"{model}, to answer on {address}")
        supervisor.start()
        note = Presence(
            pid=os.getpid(),
            address=address,
            workers=workers,
            since=to_iso(workspace.clock.now()),
        )
        announce(path.parent, note)
        wish = follower.wish()
        if wish is not None:
            _warn_of_silence(terminal, path.parent, wish.champion.model, workers)
        terminal.answer(
            {
                "address": address,
                "model": wish.champion.model if wish else None,
                "workers": workers,
            }
        )
        if not terminal.json:
            model = wish.champion.model if wish else "no champion yet"
            terminal.say(f"serving {model} on {address} with {say_count(workers, 'worker')}")
            shown = token if is_new else "unchanged"
            terminal.say(f"token   {shown} (in {path.relative_to(workspace.root)})")
            terminal.say("stop    Ctrl-C")
        sys.stdout.flush()
        supervisor.run()
    finally:
        retire(path.parent, os.getpid())
        supervisor.close()
    return 0


def _warn_of_silence(terminal: Terminal, folder: Path, model: str, workers: int) -> None:
    """Say of a champion that not every worker could let in; why is above."""
    from bucle.serve.counts import Counts, total  # noqa: PLC0415  (only here)

    serving = total(Counts(), folder, servers={os.getpid()}).serving
    silent = workers - serving.get(f"{model}\tchampion", 0)
    if silent > 0:
        terminal.warn(
            f"{model} does not answer in {say_count(silent, 'worker')} yet, for the reason above; "
            "bucle status tells when it does"
        )


def serving_settings(options: Namespace, workspace: Workspace) -> tuple[str, int, int]:
    """Return host, port and number of workers.

    Raises:
        UsageError: One of them cannot be used, or a host needs `--public`.
    """
    serve = workspace.charter.serve
    host = options.host if options.host is not None else serve.host
    port = options.port if options.port is not None else serve.port
    workers = options.workers if options.workers is not None else serve.workers
    if not 1 <= workers <= _MOST_WORKERS:
        raise UsageError(
            f"Cannot serve with {workers} workers",
            cause=f"between 1 and {_MOST_WORKERS} processes can answer",
            attempt="bucle serve --workers 2",
        )
    if not 0 <= port <= _MOST_PORT:
        raise UsageError(
            f"Cannot listen on port {port}",
            cause=f"a port lies between 0 and {_MOST_PORT}",
            attempt="bucle serve --port 8000",
        )
    host = "127.0.0.1" if host == "localhost" else host
    try:
        found = ipaddress.ip_address(host)
    except ValueError as error:
        raise UsageError(
            f"Cannot listen on {host!r}: it is no address",
            attempt="bucle serve --host 127.0.0.1",
        ) from error
    if not found.is_loopback and not options.public:
        raise UsageError(
            f"Cannot listen on {host} without --public",
            cause="it can be reached from other machines",
            attempt=f"bucle serve --host {host} --public",
            code="bucle-345",
        )
    return host, port, workers


SERVE = Handler(serving_arguments, _call, "bucle serve --port 8000 --workers 2")
