"""Files that are copied while others write, rename and remove them."""

import os
from pathlib import Path

import pytest

from bucle.errors import OutsideError
from bucle.store.copies import copy_file, copy_tree


class Passing(type(Path())):  # type: ignore[misc]
    """A file that is removed once it has been looked at a number of times."""

    looks = 2

    def lstat(self) -> os.stat_result:
        seen: os.stat_result = super().lstat()
        self.looks -= 1
        if not self.looks:
            self.unlink()
        return seen


@pytest.mark.parametrize("looks", [1, 2])
def test_a_file_that_goes_while_it_is_copied_is_gone(tmp_path: Path, looks: int) -> None:
    path = Passing(tmp_path / "one")
    path.write_bytes(b"x")
    path.looks = looks
    with pytest.raises(FileNotFoundError) as gone:
        copy_file(path, tmp_path / "copy" / "one")
    assert not isinstance(gone.value, OutsideError)
    assert [one.name for one in tmp_path.rglob("*")] in ([], ["copy"])


def test_a_place_that_cannot_be_written_is_no_file_that_went(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x")
    (tmp_path / "copy").write_bytes(b"no folder")
    with pytest.raises(OutsideError, match="Cannot write"):
        copy_file(tmp_path / "one", tmp_path / "copy" / "one")


def test_a_tree_is_copied_but_for_what_is_being_written(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    (folder / "ab").mkdir(parents=True)
    (folder / "ab" / "cd").write_bytes(b"content")
    (folder / "ab" / ".cd.bucle-tmp").write_bytes(b"half")
    done = copy_tree(folder, tmp_path / "copy")
    assert (done.files, done.bytes, done.kept) == (1, 7, 0)
    assert copy_tree(folder, tmp_path / "copy").kept == 1
    assert [one.name for one in (tmp_path / "copy" / "ab").iterdir()] == ["cd"]
