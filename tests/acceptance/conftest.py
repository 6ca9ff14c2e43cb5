"""Projects that many tests start from; each is made once, whatever the number of workers."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import bucle
from shop import rows, write_rows, write_shop, write_steps

from bucle.store.locks import exclusive


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make a folder once for all workers of this session."""
    own = factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "projects"
    place = shared / name
    # Making may take a while on a busy machine; whoever comes second waits for it.
    with exclusive(shared / f"{name}.lock", wait_s=240):
        if not place.is_dir():
            draft = shared / f"{name}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            make(draft)
            draft.rename(place)
    return place


@pytest.fixture(scope="session")
def champions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop with two champions, one after the other; look, do not touch."""

    def make(folder: Path) -> None:
        write_shop(folder)
        bucle("run", at=folder)
        bucle("run", "--set", "model.bend=1.0", at=folder)

    return _made_once(tmp_path_factory, "champions", make)


@pytest.fixture
def shop(champions: Path, tmp_path: Path) -> Path:
    """Return a shop of this test's own, with two champions behind it."""
    return Path(shutil.copytree(champions, tmp_path / "shop", symlinks=True))


@pytest.fixture
def ran(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Return a project of steps without a model after its first run, of this test's own."""

    def make(folder: Path) -> None:
        write_steps(folder)
        bucle("run", at=folder)

    made = _made_once(tmp_path_factory, "ran", make)
    return Path(shutil.copytree(made, tmp_path / "steps"))


@pytest.fixture
def lived(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Return a project of steps with seven events behind it, of this test's own."""

    def make(folder: Path) -> None:
        write_steps(folder)
        bucle("run", at=folder)
        bucle("run", at=folder)
        write_rows(folder / "more.csv", rows(9, first=60))
        bucle("data", "add", "sales", "more.csv", at=folder)
        bucle("data", "add", "sales", "more.csv", at=folder)

    made = _made_once(tmp_path_factory, "lived", make)
    return Path(shutil.copytree(made, tmp_path / "steps"))


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """Return a project with rows and steps, without a model and not yet run."""
    return write_steps(tmp_path / "steps")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the demo after its first run and one with another parameter, with their answers."""

    def make(folder: Path) -> None:
        bucle("new", folder, "--template", "consignment", at=folder.parent)
        answer = bucle("run", "--json", at=folder)
        (folder / "run.json").write_text(answer.out)
        changed = bucle("run", "--set", "model.smoothing=30.0", "--json", at=folder, code=None)
        (folder / "changed.json").write_text(changed.out)

    return _made_once(tmp_path_factory, "demo", make)


@pytest.fixture(scope="session")
def passed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop with a champion and a better model that passed and waits for a word."""

    def make(folder: Path) -> None:
        write_shop(folder)
        bucle("run", at=folder)
        code = folder / "pipeline.py"
        code.write_text(code.read_text().replace("bend: float = 0.7", "bend: float = 1.0"))
        bucle("run", "--set", 'gates.promote="ask"', at=folder)

    return _made_once(tmp_path_factory, "passed", make)


@pytest.fixture
def passed(passed_once: Path, tmp_path: Path) -> Path:
    """Return a shop of this test's own: the loop brings the model that passed into service."""
    return Path(shutil.copytree(passed_once, tmp_path / "shop", symlinks=True))
