"""Packages that were tried on this machine, so that going back to one takes no second trial.

A note stands for the bytes of a package, the libraries that read it and the project's code; where
one of them has changed there is none. Imports nothing heavy.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bucle.clock import SharedClock
from bucle.ids import digest_json
from bucle.loop.workspace import Workspace
from bucle.models.package import Package
from bucle.models.trial import TRIAL_S, require_package
from bucle.store.files import write_whole
from bucle.store.locks import exclusive

__all__ = ["require_trial"]

_WAIT_S = 90.0
_PATIENT_S = 240.0
_PASSED = b'{"ok":true}'
_READERS = ("bucle", "numpy", "polars", "scikit-learn", "scipy", "skops")


def require_trial(
    workspace: Workspace, package: Package, *, anew: bool = False, serves: bool = False
) -> None:
    """Insist that a package has loaded and predicted in a limited child process.

    Several processes that ask at once share one trial.

    Args:
        workspace: The project.
        package: The package, verified.
        anew: Try it also where an earlier trial is on record.
        serves: A server asks, which believes its own trials only: those of a command had the
            variables and limits of a terminal, and a model that crashes here ends a worker.

    Raises:
        PackageError: It failed its trial.
        OutsideError: The child could not be started, or another process's takes too long.
    """
    folder = workspace.home / "serve" / "trials"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = digest_json([package.digest, _versions(), sorted(_code(workspace.root))])
    is_simulated = isinstance(workspace.clock, SharedClock)
    # The server of a simulation is started by the process that asks, whose variables and limits
    # it has: a trial of either is one of both.
    notes = [
        folder / f"{package.model}-{key[:16]}-{asker}.json"
        for asker in (("serve",) if serves or is_simulated else ("command", "serve"))
    ]
    # In simulated time nobody waits, and how busy a machine is must decide nothing.
    wait_s, seconds = (_PATIENT_S, _PATIENT_S) if is_simulated else (_WAIT_S, TRIAL_S)
    with exclusive(folder / f"{package.model}.lock", wait_s=wait_s):
        if not anew and any(_reads(note) == _PASSED for note in notes):
            return
        require_package(workspace.packages, package.model, project=workspace.root, seconds=seconds)
        # A disk that takes no note makes the package no worse.
        with contextlib.suppress(OSError):
            write_whole(notes[0], _PASSED)


def _reads(note: Path) -> bytes:
    try:
        return note.read_bytes()
    except OSError:
        return b""


def _versions() -> list[str]:
    """Return the versions of what reads a package."""
    found = [sys.version]
    for name in _READERS:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


def _code(root: Path) -> Iterator[list[str | int]]:
    """Return the project's Python files: where, how large, and when they were changed."""
    for place, folders, names in os.walk(root):
        # Neither what is hidden nor an environment of its own is the project's code.
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "__")) and not Path(place, name, "pyvenv.cfg").exists()
        ]
        for name in names:
            if name.endswith(".py"):
                path = Path(place, name)
                with contextlib.suppress(OSError):
                    seen = path.stat()
                    yield [str(path.relative_to(root)), seen.st_size, seen.st_mtime_ns]
