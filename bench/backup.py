"""A backup of a project with 2 GB of content: the first one, the next one, and going back."""

import json
import os
import time
from pathlib import Path

from bench.figures import workplace
from bucle.loop.backup import back_up
from bucle.loop.restore import restore
from bucle.store.file_blobs import FileBlobs
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft

__all__ = ["measure"]

_BLOBS, _BLOB_BYTES, _EVENTS = 200, 10_000_000, 20_000


def measure(*, repeats: int) -> None:  # noqa: ARG001  (two gigabytes once are enough)
    """Print the seconds of each, and those of 10 GB at the same speed.

    The last line is the floor of what a disk allows: as many bytes written as one file.
    """
    with workplace() as folder:
        project, copy = folder / "shop", folder / "copy"
        _make(project)
        size = _BLOBS * _BLOB_BYTES
        for name, act in (
            ("a first backup", lambda: back_up(project, copy)),
            ("a next backup", lambda: back_up(project, copy)),
            ("going back, verified", lambda: _go_back(copy, folder / "restored")),
            ("plain writing of as many bytes", lambda: _write(folder / "plain", size)),
        ):
            os.sync()
            began, worked = time.monotonic(), time.process_time()
            act()
            seconds = time.monotonic() - began
            figure = {
                "benchmark": f"seconds of {name}",
                "seconds": round(seconds, 2),
                "seconds_of_cpu": round(time.process_time() - worked, 2),
                "bytes": size,
                "events": _EVENTS,
                "seconds_of_10_gb": round(seconds * 1e10 / size, 1),
                "load": round(os.getloadavg()[0], 2),
            }
            print(json.dumps(figure), flush=True)


def _write(path: Path, size: int) -> None:
    piece = os.urandom(_BLOB_BYTES)
    with path.open("wb", buffering=0) as stream:
        for _ in range(size // len(piece)):
            stream.write(piece)
        os.fsync(stream.fileno())


def _make(project: Path) -> None:
    blobs = FileBlobs(project / ".bucle" / "blobs")
    for _ in range(_BLOBS):
        blobs.put(os.urandom(_BLOB_BYTES))
    log = SqliteLog(project / ".bucle" / "log.db")
    fact = Draft(kind="noted", body={"text": "x" * 200}, at="", actor="bench")
    for _ in range(_EVENTS // 100):
        log.append([fact] * 100)
    log.close()
    (project / "bucle.toml").write_text('[project]\nname = "shop"\n')


def _go_back(copy: Path, restored: Path) -> None:
    found = restore(copy, restored)
    if found.damaged or found.events != _EVENTS or found.checked != _BLOBS:
        raise SystemExit(f"the copy is not whole: {found}")
