"""Content on a disk: whole or not at all, verified at every read, never a path."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bucle.errors import DigestMismatchError, OutsideError, UnknownNameError
from bucle.ids import digest_bytes
from bucle.store.file_blobs import FileBlobs
from bucle.store.files import TEMPORARY_SUFFIX, write_whole
from bucle.testing.faults import cut_file, flip_byte, zero_block

CONTENT = bytes(range(256)) * 8
DIGEST = digest_bytes(CONTENT)
SOURCE = Path(__file__).resolve().parents[3] / "src"


def place_of(folder: Path) -> Path:
    return folder / DIGEST[:2] / DIGEST[2:]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    FileBlobs(tmp_path).put(CONTENT)
    return place_of(tmp_path)


def test_every_flipped_byte_is_refused(kept: Path, tmp_path: Path) -> None:
    for offset in range(len(CONTENT)):
        flip_byte(kept, offset=offset, mask=1 << (offset % 8))
        with pytest.raises(DigestMismatchError):
            FileBlobs(tmp_path).get(DIGEST)
        flip_byte(kept, offset=offset, mask=1 << (offset % 8))
    assert FileBlobs(tmp_path).get(DIGEST) == CONTENT


@pytest.mark.parametrize("size", [0, 1, len(CONTENT) - 1])
def test_cut_content_is_refused(kept: Path, tmp_path: Path, size: int) -> None:
    cut_file(kept, size=size)
    with pytest.raises(DigestMismatchError) as refusal:
        FileBlobs(tmp_path).get(DIGEST)
    assert (refusal.value.code, refusal.value.exit_code) == ("bucle-210", 3)


def test_zeroed_block_is_refused_and_mended_by_putting_again(kept: Path, tmp_path: Path) -> None:
    zero_block(kept, offset=512, size=512)
    with pytest.raises(DigestMismatchError):
        FileBlobs(tmp_path).get(DIGEST)
    assert FileBlobs(tmp_path).put(CONTENT) == DIGEST
    assert FileBlobs(tmp_path).get(DIGEST) == CONTENT


def test_other_valid_content_in_its_place_is_refused(kept: Path, tmp_path: Path) -> None:
    kept.write_bytes(b"another model")
    with pytest.raises(DigestMismatchError):
        FileBlobs(tmp_path).get(DIGEST)


def test_link_is_refused_even_to_the_right_content(kept: Path, tmp_path: Path) -> None:
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DigestMismatchError, match="link"):
        FileBlobs(tmp_path).get(DIGEST)
    FileBlobs(tmp_path).put(CONTENT)
    assert not kept.is_symlink()
    assert FileBlobs(tmp_path).get(DIGEST) == CONTENT


def test_pipe_and_folder_in_its_place_are_refused_at_once(kept: Path, tmp_path: Path) -> None:
    kept.unlink()
    os.mkfifo(kept)
    with pytest.raises(DigestMismatchError, match="not a plain file"):
        FileBlobs(tmp_path).get(DIGEST)
    kept.unlink()
    kept.mkdir()
    with pytest.raises(DigestMismatchError):
        FileBlobs(tmp_path).get(DIGEST)
    with pytest.raises(DigestMismatchError):
        FileBlobs(tmp_path).put(CONTENT)


def test_names_never_reach_a_path(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    blobs = FileBlobs(tmp_path / "blobs")
    for name in ("../secret", str(tmp_path / "secret"), "..", "\0", "%2e%2e%2fsecret"):
        assert not blobs.has(name)
        with pytest.raises(UnknownNameError):
            blobs.get(name)
    assert not (tmp_path / "blobs").exists()


def test_old_leftovers_of_killed_writes_are_removed(kept: Path, tmp_path: Path) -> None:
    old = kept.with_name(f".{kept.name}.dead{TEMPORARY_SUFFIX}")
    young = kept.with_name(f".{kept.name}.beef{TEMPORARY_SUFFIX}")
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    kept.unlink()
    FileBlobs(tmp_path).put(CONTENT)
    assert sorted(kept.parent.iterdir()) == sorted([young, kept])


def test_writing_a_whole_file_replaces_it_for_every_reader(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_whole(path, b"0" * 70000)
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            content = path.read_bytes()
            seen.add(content[:1] + b"%d" % len(set(content)) + b" %d" % len(content))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        write_whole(path, b"%d" % (number % 10) * 70000, durable=number == 0)
    stop.set()
    reader.join()
    assert seen
    assert all(word[1:] == b"1 70000" for word in seen)
    assert [place.name for place in path.parent.iterdir()] == ["file"]


def test_writing_below_a_file_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutsideError, match="Cannot write"):
        write_whole(tmp_path / "file" / "below", b"")


KILLED = """
import os, sys
from pathlib import Path
from bucle.store.file_blobs import FileBlobs
blobs, number = FileBlobs(Path(sys.argv[1])), 0
while True:
    digest = blobs.put(os.urandom(300_000))
    os.write(1, digest.encode() + b"\\n")
"""


def test_kill_9_leaves_no_half_content(tmp_path: Path) -> None:
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        assert process.stdout is not None
        told = [process.stdout.readline().decode().strip() for _ in range(20)]
        process.kill()
        process.wait()
        told += [line.decode().strip() for line in process.stdout if line.endswith(b"\n")]
        process.stdout.close()
        for digest in told:
            assert digest_bytes(FileBlobs(tmp_path).get(digest)) == digest
    for path in tmp_path.glob("??/[0-9a-f]*"):
        assert digest_bytes(path.read_bytes()) == path.parent.name + path.name


FULL = """
import json, os, sys
from pathlib import Path
from bucle.errors import OutsideError
from bucle.store.file_blobs import FileBlobs
place = Path(sys.argv[1])
blobs, kept, codes = FileBlobs(place), [], []
for number in range(40):
    try:
        kept.append(blobs.put(bytes([number]) * 100_000))
    except OutsideError as error:
        codes.append(error.code)
for digest in kept:
    blobs.get(digest)
left = [path.name for path in place.rglob("*.bucle-tmp")]
next(place.glob("??/*")).unlink()
again = blobs.put(b"z" * 90_000)
print(json.dumps([len(kept), sorted(set(codes)), left, len(blobs.get(again))]))
"""


def test_full_disk_leaves_no_half_content_and_goes_on(on_small_disk) -> None:
    done = on_small_disk(FULL)
    assert done.returncode == 0, done.stderr
    kept, codes, left, size = json.loads(done.stdout)
    assert 0 < kept < 40
    assert (codes, left, size) == (["bucle-301"], [], 90_000)
