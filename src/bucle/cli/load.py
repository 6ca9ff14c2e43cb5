"""`bucle load`: how many predictions a second a server on this machine gives, and how fast."""

import math
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs, to_builtins

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.errors import UsageError
from bucle.grammar import say_count
from bucle.loop.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from bucle.loop.serving.presence import Presence
    from bucle.serve.load import Load, Progress
    from bucle.serve.loopback import Place
    from bucle.serve.measured import Measured

__all__ = ["LOAD"]

_LEAST_SECONDS, _MOST_SECONDS = 0.1, 60
_MOST_CONNECTIONS = 256
_MOST_ROWS = 10_000
_MOST_FILE_BYTES = 64_000_000
_STOPPED = 130
_LARGE = 100
_CLEAR = "\r\x1b[K"


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="how long to measure (default: 10; at most 60)"
    )
    parser.add_argument(
        "--connections",
        type=int,
        default=16,
        help="requests under way at once (default: 16; at most 256)",
    )
    parser.add_argument(
        "--rows", type=int, default=1, help="rows in a request (default: 1; at most 10,000)"
    )
    parser.add_argument(
        "--row", metavar="JSON", help="the row to send (default: typical ones of the champion)"
    )
    parser.add_argument("--file", metavar="ROWS.jsonl", help="rows to send, one JSON object a line")
    parser.add_argument(
        "--address",
        metavar="URL",
        help="a server of this machine (default: the project's that is up)",
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    # Only this command needs them.
    from bucle.serve.cpu import cpu_of  # noqa: PLC0415
    from bucle.serve.load import Load, ask_once, measure  # noqa: PLC0415
    from bucle.serve.load_rows import bodies_of  # noqa: PLC0415
    from bucle.serve.measured import summarise  # noqa: PLC0415

    _require_bounds(options)
    workspace = open_workspace(project_folder(options), overrides=options.set)
    place, server = _find(options.address, workspace)
    load = Load(
        place=place,
        token=_token(workspace),
        bodies=bodies_of(_rows(options, workspace), count=options.rows),
        connections=options.connections,
        seconds=options.seconds,
    )
    address = ask_once(load)
    line = _Line()
    noted = measure(
        load,
        address=address,
        cpu=lambda: cpu_of(server.pid) if server else {},
        tell=lambda progress: line.show(progress, load),
    )
    line.clear()
    found = summarise(noted, rows=options.rows)
    terminal.answer(
        {
            "address": f"http://{place.at(address)}",
            "workers": server.workers if server else None,
            "connections": options.connections,
            "rows": options.rows,
            **to_builtins(structs.asdict(found)),
        }
    )
    if not terminal.json:
        _tell(terminal, found, what=_what(options, server, place.at(address)))
    return _STOPPED if found.stopped else 0


def _require_bounds(options: Namespace) -> None:
    for name, least, most in (
        ("seconds", _LEAST_SECONDS, _MOST_SECONDS),
        ("connections", 1, _MOST_CONNECTIONS),
        ("rows", 1, _MOST_ROWS),
    ):
        value = getattr(options, name)
        if not math.isfinite(value) or not least <= value <= most:
            raise UsageError(
                f"Cannot load with --{name} {value:g}",
                cause=f"it must be between {least:g} and {most:,}",
                attempt=f"bucle load --{name} {max(1, min(10, most))}",
            )
    if options.row is not None and options.file is not None:
        raise UsageError(
            "Cannot load with --row and --file at once", attempt="bucle load --file ROWS.jsonl"
        )


def _find(address: str | None, workspace: Workspace) -> "tuple[Place, Presence | None]":
    """Return where the server listens, and its note where it is one of the project's."""
    from bucle.loop.serving.presence import find_servers  # noqa: PLC0415  (as above)
    from bucle.serve.load import nobody_up  # noqa: PLC0415
    from bucle.serve.loopback import find_loopback  # noqa: PLC0415

    wanted = None if address is None else find_loopback(address)
    # Where a killed server's note names the same address, the later one is of who answers.
    servers = find_servers(workspace.home / "serve")[::-1]
    if wanted is None:
        if not servers:
            raise nobody_up()
        return find_loopback(servers[0].address, is_own=True), servers[0]
    for server in servers:
        if server.address.rpartition(":")[2] == str(wanted.port):
            return wanted, server
    return wanted, None


def _token(workspace: Workspace) -> str:
    from bucle.serve.load import nobody_up  # noqa: PLC0415  (as above)
    from bucle.serve.token import open_token  # noqa: PLC0415

    path = workspace.home / "serve" / "token"
    # The first start makes and prints it; made here, nobody would ever have seen it.
    if not path.exists():
        raise nobody_up()
    return open_token(path)[0]


def _rows(options: Namespace, workspace: Workspace) -> list[bytes]:
    from bucle.models.registry import champion  # noqa: PLC0415  (as above)
    from bucle.serve.load_rows import read_lines, read_row, typical_rows  # noqa: PLC0415

    if options.row is not None:
        return read_row(options.row)
    if options.file is not None:
        from bucle.data.files import read_snapshot  # noqa: PLC0415  (heavy)

        path = Path(options.file)
        return read_lines(read_snapshot(path, max_bytes=_MOST_FILE_BYTES).content, where=path.name)
    from bucle.models.package import open_package  # noqa: PLC0415  (heavy)

    state = workspace.state()
    reigning = champion(state.tenures)
    if reigning is None:
        return typical_rows(None)
    record = state.models.get(reigning.model)
    return typical_rows(
        open_package(
            workspace.packages,
            reigning.model,
            project=workspace.root,
            digest=record.digest if record else None,
        )
    )


class _Line:
    """A line on a terminal that says how far it is; nothing where there is no terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()

    def show(self, progress: "Progress", load: "Load") -> None:
        if self._is_shown:
            sys.stderr.write(
                f"{_CLEAR}{progress.seconds:.0f} of {load.seconds:g} s  "
                f"{progress.answers:,} answers  {progress.per_second:,.0f} a second"
            )
            sys.stderr.flush()

    def clear(self) -> None:
        if self._is_shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


def _what(options: Namespace, server: "Presence | None", at: str) -> str:
    workers = f" with {say_count(server.workers, 'worker')}" if server else ""
    return (
        f"{at}{workers}: {say_count(options.connections, 'connection')}, "
        f"{say_count(options.rows, 'row')} a request"
    )


def _tell(terminal: Terminal, found: "Measured", *, what: str) -> None:
    terminal.paragraph(f"{what}, {found.seconds:.1f} seconds")
    terminal.say()
    for name, value in _figures(found):
        terminal.paragraph(value, indent=f"{name:<18}")
    terminal.say()
    if found.is_client_full:
        terminal.paragraph(
            f"Asking alone took {found.client_cpu:.0%} of a processor: the server may do more."
        )
    terminal.paragraph(
        "These rows are in the prediction log as those of the request bucle-load; bucle status "
        "and bucle watch leave them out."
    )
    if found.stopped:
        terminal.warn("Stopped. This is what had been measured.")


def _figures(found: "Measured") -> list[tuple[str, str]]:
    lines = [
        ("answers a second", _figure(found.answers_per_second)),
        ("rows a second", _figure(found.rows_per_second)),
    ]
    if found.latency_ms is not None:
        taken: dict[str, Any] = structs.asdict(found.latency_ms)
        lines.append(
            (
                "latency in ms",
                ", ".join(f"{name} {_figure(value)}" for name, value in taken.items()),
            )
        )
    counts = ", ".join(f"{count:,} × {status}" for status, count in found.statuses.items())
    lines.append(("answers", counts or "none"))
    if found.connection_errors or found.unanswered:
        broken = say_count(found.connection_errors, "connection")
        lines.append(("broken", f"{broken}, and {found.unanswered:,} requests never answered"))
    cpu = found.cpu
    if cpu is not None:
        lines.append(
            (
                "CPU a request",
                f"{_figure(cpu.worker_ms)} ms in workers, {_figure(cpu.other_ms)} ms beside",
            )
        )
        if cpu.most_per_worker is not None:
            lines.append(
                (
                    "one worker",
                    f"at most {_figure(cpu.most_per_worker)} requests a second by that CPU",
                )
            )
    return lines


def _figure(value: float) -> str:
    """Return three digits of a small number, all before the point of a large one."""
    return f"{value:.3g}" if value < _LARGE else f"{value:,.0f}"


LOAD = Handler(_arguments, _call, "bucle load --seconds 10 --connections 64")
