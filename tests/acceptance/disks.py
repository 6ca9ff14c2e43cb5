"""Disks that are small, read-only or failing, for tests that fill or fail to write them.

Used by acceptance tests and by the integration tests of store and serve.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = [
    "failing_disk",
    "fill",
    "require_mounts",
    "run_mounted",
    "run_on_small_disk",
    "small_disk",
]

_SOURCE = Path(__file__).resolve().parents[2] / "src"


def run_mounted(mount: list[str], place: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script after a mount that only it can see; it gets the place as argument."""
    # The mount belongs to a namespace of its own and is gone when the script ends.
    steps = ["sh", "-ec", '"$@" <&-; exec "$PY" -c "$SCRIPT" "$PLACE"', "sh", *mount]
    return subprocess.run(
        ["unshare", "--mount", "--map-root-user", *steps],
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PY": sys.executable,
            "SCRIPT": script,
            "PLACE": str(place),
            "PYTHONPATH": str(_SOURCE),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_on_small_disk(
    place: Path, script: str, *, megabytes: int
) -> subprocess.CompletedProcess[str]:
    """Run a Python script with a disk of its own at a place."""
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    return run_mounted(mount, place, script)


def require_mounts(folder: Path) -> None:
    """Skip the test where nothing can be mounted."""
    probe = folder / "probe"
    if not shutil.which("unshare") or run_on_small_disk(probe, "", megabytes=1).returncode:
        pytest.skip("a disk cannot be mounted here (unshare --mount)")


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount a file system of its own that every process sees, or skip the test."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def failing_disk(folder: Path, *, at: int, of: str) -> dict[str, str]:
    """Return the environment of a process whose disk once fails to sync, or skip the test.

    Args:
        folder: Where to compile what is preloaded, once.
        at: Which sync fails, counted from 1.
        of: How the paths end of the files whose syncs count.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a failing disk needs a C compiler, and Linux")
    library = folder / "failing_disk.so"
    if not library.exists():
        source = Path(__file__).with_name("failing_disk.c")
        words = [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"]
        subprocess.run(words, check=True)
    return {"LD_PRELOAD": str(library), "FAIL_AT": str(at), "FAIL_OF": of}


def fill(folder: Path, *, leaving: int = 0) -> Path:
    """Take a disk's room but for some bytes, and return the file that takes it."""
    ballast = folder / "ballast"
    state = os.statvfs(folder)
    with ballast.open("ab") as stream:
        size = max(0, state.f_bavail * state.f_frsize - leaving)
        stream.write(b"\0" * size)
    return ballast
