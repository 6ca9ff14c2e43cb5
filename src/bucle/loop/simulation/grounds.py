"""The project that a simulation plays in: a copy of the code and settings, with a log of its own.

The project that it was copied from is only read. Imports nothing heavy.
"""

import shutil
from datetime import datetime
from pathlib import Path

from bucle.clock import SharedClock, to_iso
from bucle.errors import RequestError
from bucle.loop.workspace import STATE_FOLDER, Workspace
from bucle.store.files import translated_errors

__all__ = ["choose_folder", "copy_project", "end_of_time", "make_clock"]

_FOLDER = "simulations"
_CLOCK = "clock"
_CLOCK_BYTES = 8
_LEFT_OUT = shutil.ignore_patterns(
    STATE_FOLDER, ".git", "__pycache__", ".venv", "venv", "node_modules"
)


def choose_folder(workspace: Workspace, asked: str | None) -> Path:
    """Return where a simulation is kept: what was asked for, or a new folder of the project's.

    Raises:
        RequestError: Something is there already, or it lies inside the project (bucle-432).
    """
    if asked is None:
        return _next_folder(workspace.home / _FOLDER)
    folder = Path(asked).absolute()
    holds = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    inside = workspace.root.resolve() in (folder.resolve(), *folder.resolve().parents)
    if holds or inside:
        raise RequestError(
            f"Cannot keep a simulation in '{asked}'",
            cause="there is something already" if holds else "it lies inside the project",
            attempt="--keep with a new folder beside the project",
            code="bucle-432",
        )
    return folder


def copy_project(workspace: Workspace, folder: Path) -> None:
    """Copy everything but a project's state.

    Raises:
        OutsideError: The disk failed, or is full.
    """
    with translated_errors("copy the project to", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(workspace.root, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
        (folder / STATE_FOLDER).mkdir(mode=0o700)


def make_clock(folder: Path, start: datetime) -> Path:
    """Make the file that every process of the simulation reads the time from."""
    path = folder / STATE_FOLDER / _CLOCK
    with translated_errors("write", path):
        path.write_bytes(bytes(8))
        SharedClock(path).move(start)
    return path


def end_of_time(workspace: Workspace) -> datetime | None:
    """Return the last moment that a simulated project has lived to.

    None where it is no simulated project, or where its log goes on beyond that.
    """
    path = workspace.home / _CLOCK
    try:
        if path.stat().st_size != _CLOCK_BYTES:
            return None
        moment = SharedClock(path).now()
    except (OSError, OverflowError):
        return None
    head = workspace.log.head()
    last = next(iter(workspace.log.read(after=max(0, head.position - 1))), None)
    return moment if last is None or last.at <= to_iso(moment) else None


def _next_folder(parent: Path) -> Path:
    taken = [int(path.name) for path in parent.glob("[0-9]*") if path.name.isdigit()]
    return parent / f"{max(taken, default=0) + 1:03}"
