"""Processes and places that tests of the store need: writers to kill, small and read-only disks."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src"

RunPlace = Callable[..., subprocess.CompletedProcess[str]]


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
            "PYTHONPATH": str(SOURCE),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def can_mount(tmp_path: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    (tmp_path / "probe").mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "probe")]
    return run_mounted(mount, tmp_path / "probe", "").returncode == 0


@pytest.fixture
def on_small_disk(tmp_path: Path) -> RunPlace:
    """Return a function that runs a script with a disk of 2 MB at its argument, or skip."""
    if not can_mount(tmp_path):
        pytest.skip("a small disk cannot be mounted here (unshare --mount)")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    return lambda script: run_mounted(mount, place, script)


@pytest.fixture
def on_read_only_disk(tmp_path: Path) -> RunPlace:
    """Return a function that runs a script on a folder that cannot be written, or skip."""
    if not can_mount(tmp_path):
        pytest.skip("a folder cannot be mounted read-only here (unshare --mount)")

    def run(place: Path, script: str) -> subprocess.CompletedProcess[str]:
        both = 'mount --bind "$PLACE" "$PLACE" && mount -o remount,ro,bind "$PLACE"'
        return run_mounted(["sh", "-ec", both], place, script)

    return run
