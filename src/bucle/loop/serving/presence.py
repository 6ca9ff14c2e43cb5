"""Which servers of a project are up: each leaves a note of where it listens, and is asked.

A note outlives a server that was killed, so it counts only when its address answers.
"""

import contextlib
import http.client
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from bucle.store.files import write_whole

__all__ = ["Presence", "announce", "find_servers", "retire"]

_PATIENCE_S = 2.0


class Presence(Struct, frozen=True, kw_only=True):
    """A server's note: its parent process, its address, how many answer, since when."""

    pid: int
    address: str
    workers: int
    since: str


def announce(folder: Path, presence: Presence) -> None:
    """Leave a note of a server that is up; one of an earlier server at its address goes."""
    for path in folder.glob("server-*.json"):
        note = _read(path)
        if note is not None and note.address == presence.address:
            retire(folder, note.pid)
    write_whole(_path(folder, presence.pid), msgspec.json.encode(presence))


def retire(folder: Path, pid: int) -> None:
    """Take a server's note away."""
    with contextlib.suppress(OSError):
        _path(folder, pid).unlink(missing_ok=True)


def find_servers(folder: Path) -> tuple[Presence, ...]:
    """Return the servers that answer, the oldest first."""
    try:
        token = (folder / "token").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ()
    found = []
    for path in folder.glob("server-*.json"):
        note = _read(path)
        if note is not None and _answers(note.address, token):
            found.append(note)
    return tuple(sorted(found, key=lambda note: note.since))


def _read(path: Path) -> Presence | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Presence)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _answers(address: str, token: str) -> bool:
    try:
        place = urlsplit(address)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.hostname or "", place.hostname)  # noqa: S104  (what a server on all addresses answers to)
        connection = http.client.HTTPConnection(host or "", place.port, timeout=_PATIENCE_S)
        with contextlib.closing(connection):
            connection.request("GET", "/healthz", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _path(folder: Path, pid: int) -> Path:
    return folder / f"server-{pid}.json"
