"""Copies that are hashed while they are written, within a file system and between two."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from bucle.errors import OutsideError
from bucle.store.hashed_copies import copy_hashed


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) + 1, (8 << 20) + 3])
def test_a_copy_is_the_same_bytes_and_has_their_digest(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "one").write_bytes(content)
    found = copy_hashed(tmp_path / "one", tmp_path / "two")
    assert found == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "two").read_bytes() == content


def test_a_copy_between_two_disks_is_the_same(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    source = elsewhere / f"bucle-{os.getpid()}"
    content = os.urandom((8 << 20) + 77)
    try:
        source.write_bytes(content)
        assert copy_hashed(source, tmp_path / "two") == hashlib.sha256(content).hexdigest()
    finally:
        source.unlink()
    assert (tmp_path / "two").read_bytes() == content


def test_mode_and_time_come_along(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"x")
    path.chmod(0o751)
    os.utime(path, ns=(1, 1_000_000_007))
    copy_hashed(path, tmp_path / "two")
    seen = (tmp_path / "two").stat()
    assert (stat.S_IMODE(seen.st_mode), seen.st_mtime_ns) == (0o751, 1_000_000_007)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"new")
    (tmp_path / "two").write_bytes(b"old")
    with pytest.raises(OutsideError):
        copy_hashed(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == b"old"
