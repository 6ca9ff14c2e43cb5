"""Importing costs what is used: asked of a fresh process, by what it has loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    *("numpy", "polars", "scipy", "sklearn", "skops", "deltalake", "dataframely", "pyarrow"),
    *("sqlalchemy", "mlflow", "rich", "psycopg", "pandas"),
}


def loaded(program: str, *, folder: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint('\\n' + ' '.join(sys.modules))"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_package_loads_nothing_of_others(tmp_path: Path) -> None:
    assert not loaded("import bucle", folder=tmp_path) & (HEAVY | {"msgspec"})


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(tmp_path: Path, words: list[str]) -> None:
    program = f"from bucle.cli.command_line import main\nassert main({words!r}) == 0"
    assert not loaded(program, folder=tmp_path) & (HEAVY | {"msgspec", "sqlite3"})


@pytest.mark.parametrize(
    "module",
    [
        *("types", "errors", "ids", "clock", "charter.reading", "charter.project_code"),
        *("charter.metrics", "store.sqlite_log", "store.file_blobs", "store.memory_log"),
        *("loop.events", "loop.state", "loop.workspace", "cli.config", "cli.log"),
    ],
)
def test_a_light_path_stays_light(tmp_path: Path, module: str) -> None:
    assert not loaded(f"import bucle.{module}", folder=tmp_path) & HEAVY
