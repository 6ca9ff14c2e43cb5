"""What the repository must not hold: places of one machine, addresses of an index, loose pins."""

import re
import tomllib
from pathlib import Path

import pytest
from sources import REPOSITORY, tracked_files

# Written in pieces, so that this file is not its own first offender.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + r"work/",
            r"/home/" + r"[a-z]+/",
            r"/" + r"root/",
            "pypi" + r"\.org",
            "python" + r"hosted\.org",
            "--" + r"(?:extra-)?index-url",
            "BRIEF" + r"\.md",
            "(?i:chat" + "gpt|" + "anth" + "ropic|sub" + "agent)",
        ]
    )
)
TEXT = {".py", ".md", ".toml", ".lock", ".sh", ".sql", ".yml", ".yaml", ".txt", ".in", ""}


@pytest.mark.skipif(not tracked_files(), reason="not a git checkout")
def test_no_tracked_file_names_a_machine_or_an_index() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:80]}"
        for path in tracked_files()
        if path.suffix in TEXT
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


@pytest.mark.skipif(not tracked_files(), reason="not a git checkout")
def test_no_large_or_generated_file_is_tracked() -> None:
    large = [path.name for path in tracked_files() if path.stat().st_size > 400_000]
    generated = [str(p) for p in tracked_files() if {"__pycache__", ".bucle"} & set(p.parts)]
    assert (large, generated) == ([], [])


@pytest.mark.parametrize(
    "lock", sorted((REPOSITORY / "requirements").glob("*.lock")), ids=lambda path: path.name
)
def test_every_pin_has_its_hashes(lock: Path) -> None:
    pins = re.split(r"\n(?=[a-z])", lock.read_text().strip())
    loose = [pin.splitlines()[0] for pin in pins if "==" not in pin or "--hash=sha256:" not in pin]
    assert loose == []
    assert "://" not in lock.read_text()


def test_the_lock_holds_every_dependency() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=~! ]", one)[0].lower() for one in wanted}
    pinned = re.findall(
        r"^([a-z0-9-]+)==", (REPOSITORY / "requirements/dev.lock").read_text(), re.MULTILINE
    )
    assert names - set(pinned) == set()


def test_every_runtime_dependency_is_used() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    imported = {
        "arro3-core": "arro3",
        "httptools": "uvicorn.protocols.http.httptools_impl",
        "prometheus-client": "prometheus_client",
        "scikit-learn": "sklearn",
    }
    source = "\n".join(path.read_text() for path in (REPOSITORY / "src" / "bucle").rglob("*.py"))
    names = [re.split(r"[\[<>=~! ]", one)[0] for one in project["project"]["dependencies"]]
    unused = [
        name
        for name in names
        if not re.search(
            r"^\s*(?:(?:import|from) |.*import_module\(\")" + imported.get(name, name) + r"\b",
            source,
            re.MULTILINE,
        )
    ]
    assert unused == []
