"""Disks that are small or read-only, for tests that fill or fail to write them.

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

__all__ = ["fill", "require_mounts", "run_mounted", "run_on_small_disk", "small_disk"]

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


def fill(folder: Path, *, leaving: int = 0) -> Path:
    """Take a disk's room but for some bytes, and return the file that takes it."""
    ballast = folder / "ballast"
    state = os.statvfs(folder)
    with ballast.open("ab") as stream:
        size = max(0, state.f_bavail * state.f_frsize - leaving)
        stream.write(b"\0" * size)
    return ballast
