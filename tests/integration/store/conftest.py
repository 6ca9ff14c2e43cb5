"""Places that tests of the store need: small and read-only disks."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import require_mounts, run_mounted, run_on_small_disk

RunPlace = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def on_small_disk(tmp_path: Path) -> RunPlace:
    """Return a function that runs a script with a disk of 2 MB at its argument, or skip."""
    require_mounts(tmp_path)
    return lambda script: run_on_small_disk(tmp_path / "small", script, megabytes=2)


@pytest.fixture
def on_read_only_disk(tmp_path: Path) -> RunPlace:
    """Return a function that runs a script on a folder that cannot be written, or skip."""
    require_mounts(tmp_path)

    def run(place: Path, script: str) -> subprocess.CompletedProcess[str]:
        both = 'mount --bind "$PLACE" "$PLACE" && mount -o remount,ro,bind "$PLACE"'
        return run_mounted(["sh", "-ec", both], place, script)

    return run
