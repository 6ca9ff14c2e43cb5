"""Code of Bucle itself as the cache sees it: an edited checkout is told from what it was."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bucle

PROGRAM = """
from pathlib import Path
from bucle.pipeline.code import CodeReader
from bucle.pipeline.modules import Modules

reader = CodeReader(Modules(Path()))
for folders in ((), ("gates", "loop/replay"), ("data",)):
    print(repr(reader.of_builtin("one", folders=folders).parts["one"]))
"""


def told(checkout: Path) -> list[str]:
    environment = os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_a_change_of_the_sources_that_are_named_is_another_code(tmp_path: Path) -> None:
    own = Path(bucle.__file__).parent
    shutil.copytree(own, tmp_path / "bucle", ignore=shutil.ignore_patterns("__pycache__"))
    version, judged, data = told(tmp_path)
    assert version == "''"
    assert judged != data
    assert told(tmp_path) == [version, judged, data]
    with (tmp_path / "bucle" / "gates" / "referee.py").open("a") as source:
        source.write("# another\n")
    edited = told(tmp_path)
    assert edited == [version, edited[1], data]
    assert edited[1] != judged
