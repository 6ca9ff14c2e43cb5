"""The first page runs: its shell blocks, in order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_blocks_of_the_first_page_run(repository: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall((repository / "README.md").read_text())
    if not blocks:
        pytest.fail("README.md has no block marked sh")
    programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["sh", "-eu"],
        input="\n".join(blocks),
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
