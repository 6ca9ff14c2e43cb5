"""Packages on disk: whole or not there, the same bytes each time, refused when touched."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from bucle.errors import OutsideError, PackageError, UnknownNameError
from bucle.models.package import open_package, package_bytes, write_package


@pytest.fixture
def written(tmp_path, contents):
    folder = tmp_path / "packages"
    return folder, write_package(folder, contents)


def test_opens_with_everything_it_was_written_with(written, contents, rows):
    folder, model = written
    package = open_package(folder, model)
    assert package.signature == contents.signature
    assert package.metrics == contents.metrics
    assert package.measured == contents.measured
    assert package.profile == contents.profile
    assert package.lineage == contents.lineage
    assert package.card == contents.card
    assert package.intervals == contents.intervals
    assert package.calibration == ()
    assert package.size_bytes == sum(path.stat().st_size for path in (folder / model).iterdir())
    assert model == f"m-{package.digest[:12]}"


def test_predicts_with_intervals_around(written, rows):
    folder, model = written
    frame, truth = rows
    package = open_package(folder, model)
    predicted = package.predict(frame.with_columns(extra=pl.lit(1)))
    low, high = package.interval(frame)
    assert predicted.shape == low.shape == high.shape == (frame.height,)
    assert (low <= predicted).all()
    assert (predicted <= high).all()
    assert ((low <= truth) & (truth <= high))[400:].mean() == pytest.approx(0.9, abs=0.05)


def test_names_the_columns_that_do_not_fit(written):
    folder, model = written
    with pytest.raises(PackageError) as caught:
        open_package(folder, model).predict(pl.DataFrame({"size": ["big"]}))
    assert "'size' holds String" in caught.value.cause
    assert "'kind' is missing" in caught.value.cause


def test_says_when_a_package_has_no_intervals(tmp_path, contents, rows):
    bare = msgspec.structs.replace(contents, intervals=None, scale=None)
    model = write_package(tmp_path, bare)
    with pytest.raises(PackageError) as caught:
        open_package(tmp_path, model).interval(rows[0])
    assert caught.value.code == "bucle-169"


def test_writing_again_changes_nothing(written, contents):
    folder, model = written
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_package(folder, contents) == model
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


FIT_AND_PACK = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, polars as pl
from conftest import build_contents
from bucle.models.package import package_bytes
from bucle.ids import digest_parts
rng = np.random.default_rng(3)
frame = pl.DataFrame({"size": rng.normal(size=900), "kind": rng.choice(["a", "b"], 900).tolist()})
truth = np.exp(frame["size"].to_numpy() + rng.normal(0, 0.2, 900))
files = package_bytes(build_contents(frame, truth))
print(digest_parts(part for name in sorted(files) for part in (name.encode(), files[name])))
"""


def test_another_process_seed_zone_locale_and_thread_count_give_the_same_bytes(contents):
    from bucle.ids import digest_parts

    files = package_bytes(contents)
    here = digest_parts(part for name in sorted(files) for part in (name.encode(), files[name]))
    found = {here}
    for seed, zone, locale, threads in (
        ("1", "Asia/Kathmandu", "C", "1"),
        ("77", "America/Lima", "C.UTF-8", "2"),
    ):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "LC_ALL": locale,
            "OMP_NUM_THREADS": threads,
            "POLARS_MAX_THREADS": threads,
        }
        folder = str(Path(__file__).parent)
        answer = subprocess.run(
            [sys.executable, "-c", FIT_AND_PACK, folder],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(answer.stdout.strip())
    assert len(found) == 1


# ---- damage --------------------------------------------------------------------


def _names(folder, model):
    return sorted(path.name for path in (folder / model).iterdir())


def test_every_single_bit_of_small_files_and_samples_of_large_ones_count(written):
    folder, model = written
    rng = np.random.default_rng(0)
    for name in _names(folder, model):
        path = folder / model / name
        whole = path.read_bytes()
        for at in sorted({0, len(whole) - 1, *rng.integers(0, len(whole), 12).tolist()}):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(damaged))
            with pytest.raises(PackageError) as caught:
                open_package(folder, model)
            assert caught.value.code == "bucle-160"
        path.write_bytes(whole)
    open_package(folder, model)


@pytest.mark.parametrize("damage", ["empty", "half", "zeroed", "longer"])
def test_refuses_a_file_of_other_content(written, damage):
    folder, model = written
    for name in _names(folder, model):
        path = folder / model / name
        whole = path.read_bytes()
        changed = {
            "empty": b"",
            "half": whole[: len(whole) // 2],
            "zeroed": bytes(min(512, len(whole))) + whole[512:],
            "longer": whole + b" ",
        }[damage]
        path.write_bytes(changed)
        with pytest.raises(PackageError):
            open_package(folder, model)
        path.write_bytes(whole)


def test_refuses_a_valid_other_model_in_its_place(written, contents):
    folder, model = written
    other = write_package(folder, msgspec.structs.replace(contents, metrics={"mae": 1.0}))
    assert other != model
    shutil.rmtree(folder / model)
    (folder / other).rename(folder / model)
    with pytest.raises(PackageError, match="another package"):
        open_package(folder, model)


def test_refuses_another_full_digest_than_the_one_on_record(written):
    folder, model = written
    assert open_package(folder, model, digest=open_package(folder, model).digest)
    with pytest.raises(PackageError, match="the log says"):
        open_package(folder, model, digest="0" * 64)


def test_refuses_links_devices_pipes_and_folders_in_place_of_files(written, tmp_path):
    folder, model = written
    path = folder / model / "metrics.json"
    kept = tmp_path / "kept.json"
    shutil.copy(path, kept)
    for replacement in (
        lambda: path.symlink_to(kept),
        lambda: path.symlink_to("/dev/zero"),
        lambda: os.mkfifo(path),
        path.mkdir,
    ):
        path.rmdir() if path.is_dir() else path.unlink()
        replacement()
        with pytest.raises(PackageError) as caught:
            open_package(folder, model)
        assert caught.value.code == "bucle-160"


def test_refuses_missing_extra_and_linked_folders(written, tmp_path):
    folder, model = written
    extra = folder / model / "extra.py"
    extra.write_text("print('hello')")
    with pytest.raises(PackageError, match=r"extra\.py"):
        open_package(folder, model)
    extra.unlink()
    (folder / model / "card.md").rename(tmp_path / "card.md")
    with pytest.raises(PackageError, match=r"card\.md"):
        open_package(folder, model)
    (tmp_path / "card.md").rename(folder / model / "card.md")
    (folder / model).rename(tmp_path / model)
    (folder / model).symlink_to(tmp_path / model)
    with pytest.raises(PackageError, match="link"):
        open_package(folder, model)


def test_does_not_read_a_file_that_pretends_to_be_huge(written):
    folder, model = written
    path = folder / model / "model.skops"
    os.truncate(path, 5_000_000_000)  # sparse: takes no room on the disk
    with pytest.raises(PackageError, match="larger than it should be"):
        open_package(folder, model)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../secret", "m-0123456789ab/..", "m-0123456789AB", "m-%2e%2e", "m-\0"]
)
def test_a_name_is_never_a_path(written, tmp_path, name):
    folder, _ = written
    (tmp_path / "secret").mkdir()
    with pytest.raises(UnknownNameError):
        open_package(folder, name)


def test_an_unknown_package_names_the_nearest(written):
    folder, model = written
    with pytest.raises(UnknownNameError) as caught:
        open_package(folder, model[:-1] + ("0" if model[-1] != "0" else "1"))
    assert caught.value.did_you_mean == (model,)


# ---- writing under bad weather --------------------------------------------------


def test_a_damaged_package_is_put_aside_and_replaced(written, contents):
    folder, model = written
    (folder / model / "card.md").write_text("other")
    assert write_package(folder, contents) == model
    open_package(folder, model)
    assert len(list(folder.glob(f".damaged-{model}-*"))) == 1


def test_a_full_disk_leaves_nothing_behind(tmp_path, contents, monkeypatch):
    real = os.fsync
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutsideError, match="No space left"):
        write_package(tmp_path / "packages", contents)
    assert list((tmp_path / "packages").iterdir()) == []
    monkeypatch.undo()
    assert write_package(tmp_path / "packages", contents)


KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from bucle.models import package_files
limit = int(sys.argv[2])
real, calls = os.fsync, []
def fsync(descriptor):
    calls.append(descriptor)
    if len(calls) == limit:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = fsync
files = {name: b"{}" for name in package_files._ALWAYS}
print(package_files.write_files(Path(sys.argv[1]), files))
"""


def test_killed_at_any_moment_it_is_there_whole_or_not_at_all(tmp_path):
    from bucle.models.package_files import _ALWAYS, read_files, write_files

    files = dict.fromkeys(_ALWAYS, b"{}")
    model = write_files(tmp_path / "reference", files)
    boundaries = len(files) + 4  # each file, the manifest, two folders, and one past the end
    for limit in range(1, boundaries):
        folder = tmp_path / f"killed-{limit}"
        subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), str(limit)],
            check=False,
            capture_output=True,
        )
        if (folder / model).exists():
            read_files(folder, model)
        assert write_files(folder, files) == model
        assert [path.name for path in folder.iterdir()] == [model]  # leftovers are swept


def test_two_processes_writing_the_same_package_are_both_right(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "both"), "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = {writer.communicate()[0].strip() for writer in writers}
    assert len(answers) == 1
    assert [path.name for path in (tmp_path / "both").iterdir()] == list(answers)
