"""Texts in one file that several processes open at the same moment."""

import subprocess
import sys
import time

import pytest

from bucle.pipeline.kept import FileKept

_KEEP = """
import sys
import time
from pathlib import Path
from bucle.pipeline.kept import FileKept

print("ready", flush=True)
moment = float(sys.stdin.readline())
while time.time() < moment:
    pass
FileKept(Path(sys.argv[1])).put("kind", sys.argv[2], b"content")
"""


@pytest.mark.thorough
def test_processes_that_begin_at_the_same_moment_all_keep_their_text(tmp_path):
    for attempt in range(12):
        folder = tmp_path / str(attempt)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _KEEP, folder, str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(6)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        moment = time.time() + 0.05
        for process in processes:
            process.stdin.write(f"{moment}\n")
            process.stdin.flush()
        for process in processes:
            assert process.communicate()[1] == ""
        kept = FileKept(folder)
        assert [kept.get("kind", str(number)) for number in range(6)] == [b"content"] * 6
