"""The file of the token: made once, and readable by its owner alone."""

import os
import stat
from pathlib import Path

import pytest

from bucle.errors import BucleError, OutsideError, RequestError
from bucle.serve.token import open_token


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_first_start_makes_a_token_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "serve" / "token"
    old = os.umask(0)
    try:
        token, is_new = open_token(path)
    finally:
        os.umask(old)
    assert is_new
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text() == token + "\n"
    assert len(token) >= 40


def test_the_next_start_finds_it(tmp_path: Path) -> None:
    token, _ = open_token(tmp_path / "token")
    assert open_token(tmp_path / "token") == (token, False)


def test_every_project_gets_another_one(tmp_path: Path) -> None:
    assert open_token(tmp_path / "a")[0] != open_token(tmp_path / "b")[0]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610, 0o777])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "token", b"t" * 40, mode)
    with pytest.raises(RequestError, match="others may read it") as found:
        open_token(path)
    assert found.value.attempt == f"chmod 600 {path}"
    assert "t" * 40 not in str(found.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"short", b"t" * 20 + b" " + b"t" * 20, b"\xff" * 40, b"t\x00" * 20, b"t\nt" * 20],
)
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RequestError, match="too short, or no plain text"):
        open_token(write(tmp_path / "token", content))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = write(tmp_path / "target", b"t" * 40)
    link = tmp_path / "token"
    link.symlink_to(target)
    with pytest.raises(OutsideError):
        open_token(link)


def test_a_link_to_nowhere_makes_no_file_there(tmp_path: Path) -> None:
    link = tmp_path / "token"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutsideError):
        open_token(link)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    with pytest.raises(BucleError):
        open_token(tmp_path / "token")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token", 0o600)
    with pytest.raises(RequestError):
        open_token(tmp_path / "token")
