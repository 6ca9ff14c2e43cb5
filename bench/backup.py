"""A backup of a project with 2 GB of content: the first one, the next one, and going back."""

import json
import os
import shutil
import time
from pathlib import Path

from bench.figures import workplace
from bucle.loop.backup import back_up
from bucle.store.file_blobs import FileBlobs
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft

__all__ = ["measure"]

_BLOBS, _BLOB_BYTES, _EVENTS = 200, 10_000_000, 20_000


def measure(*, repeats: int) -> None:  # noqa: ARG001  (two gigabytes once are enough)
    """Print the seconds of each, and those of 10 GB at the same speed."""
    with workplace() as folder:
        project, copy = folder / "shop", folder / "copy"
        _make(project)
        size = _BLOBS * _BLOB_BYTES
        for name, act in (
            ("first backup", lambda: back_up(project, copy)),
            ("next backup", lambda: back_up(project, copy)),
            ("going back, verified", lambda: _go_back(copy, folder / "restored")),
        ):
            os.sync()
            began = time.monotonic()
            act()
            seconds = time.monotonic() - began
            figure = {
                "benchmark": f"seconds of a {name}"
                if "back," not in name
                else f"seconds of {name}",
                "seconds": round(seconds, 2),
                "bytes": size,
                "events": _EVENTS,
                "seconds_of_10_gb": round(seconds * 1e10 / size, 1),
            }
            print(json.dumps(figure))


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
    shutil.copytree(copy, restored, symlinks=True)
    os.sync()
    found = SqliteLog(restored / ".bucle" / "log.db").verify()
    if not found.intact or found.events != _EVENTS:
        raise SystemExit(f"the copy is not whole: {found.reason}")
