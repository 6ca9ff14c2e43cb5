"""What a server's process says, where nobody listens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src"
SAY = "from bucle.loop.serving.voice import tell; print(tell('worker 0', 'a \\udcff word'))"


@pytest.mark.parametrize("place", ["/dev/full", "/dev/null"])
def test_a_full_disk_under_the_words_ends_nothing(place: str) -> None:
    with Path(place).open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", SAY],
            stdout=subprocess.PIPE,
            stderr=stream,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            check=True,
        )
    assert done.stdout.decode().strip() == str(place == "/dev/null")


def test_a_line_is_written_at_once_with_who_says_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        check=True,
    )
    assert done.stderr == b"worker 0: a \\udcff word\n"
