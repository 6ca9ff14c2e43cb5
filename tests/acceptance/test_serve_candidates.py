"""Candidates that are no good, promoted while a server answers: the champion goes on."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from calls import bucle
from serving import Server, await_that, serve

pytestmark = pytest.mark.thorough

MOODY = '''

import os
import signal
import time
from pathlib import Path


def _mood(model):
    """Return how the candidate feels where the server tries it; nobody else has the variable."""
    place = os.environ.get("SHOP_MOOD")
    return Path(place).read_text() if place and model.bend == 1.0 else ""


class Line(Line):
    def __setstate__(self, state):
        super().__setstate__(state)
        if _mood(self) == "sleeps when loaded":
            time.sleep(1000)

    def predict(self, X):
        found = super().predict(X)
        match _mood(self):
            case "sleeps":
                time.sleep(1000)
            case "spins":
                while True:
                    pass
            case "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "leaves":
                os._exit(0)
            case "eats":
                return found + len(bytearray(20 * 2**30))
            case "raises":
                raise RuntimeError("not today")
            case "says nothing":
                return found * np.nan
            case "says too little":
                return found[:-1]
            case "changes its mind":
                return found + time.perf_counter()
        return found
'''
MOODS = {
    "crashes": "SIGSEGV",
    "says nothing": "finite",
    "sleeps": "did not finish",
    "sleeps when loaded": "did not finish",
    "spins": "did not finish",
    "leaves": "",
    "eats": "memory",
    "raises": "not today",
    "says too little": "",
    "changes its mind": "",
}
FEW = ("crashes",)


@pytest.fixture
def moody(champions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a shop whose former champion has moods, with the other one as champion."""
    folder = Path(shutil.copytree(champions, tmp_path / "shop", symlinks=True))
    with (folder / "line.py").open("a") as code:
        code.write(MOODY)
    (tmp_path / "mood").write_text("")
    bucle("rollback", at=folder)
    monkeypatch.setenv("SHOP_MOOD", str(tmp_path / "mood"))
    return folder


@contextmanager
def under_load(server: Server, model: str) -> Iterator[None]:
    """Ask all the time; every answer must come, and from one model."""
    done = threading.Event()
    wrong: list[str] = []
    answered = []

    def ask() -> None:
        with server.client() as client:
            while not done.is_set():
                try:
                    answer = client.post("/predict", json={"size": 3.5})
                except httpx.HTTPError as error:
                    wrong.append(repr(error))
                    continue
                answered.append(answer.status_code)
                if answer.status_code != 200 or answer.json()["model"] != model:
                    wrong.append(answer.text)
                time.sleep(0.005)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        done.set()
        asking.join()
    assert wrong == []
    assert len(answered) > 20


def refused(server: Server) -> float:
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    name = 'bucle_events_total{event="package refused"} '
    return sum(float(line[len(name) :]) for line in lines if line.startswith(name))


def former(folder: Path, model: str) -> str:
    names = {one.name for one in (folder / ".bucle" / "packages").glob("m-*")}
    (found,) = names - {model}
    return found


def test_a_candidate_that_crashes_changes_nothing_for_the_champion(moody: Path) -> None:
    require_refusals(moody, FEW)


@pytest.mark.slow
def test_no_bad_candidate_changes_anything_for_the_champion(moody: Path) -> None:
    require_refusals(moody, MOODS)


def require_refusals(folder: Path, moods: "tuple[str, ...] | dict[str, str]") -> None:
    mood = folder.parent / "mood"
    with serve(folder) as server:
        with server.client() as client:
            champion = client.get("/readyz").json()["model"]
        candidate = former(folder, champion)
        processes = set(server.parts())
        with under_load(server, champion):
            for number, how in enumerate(moods, start=1):
                mood.write_text(how)
                # Whoever promotes sees nothing of it.
                bucle("promote", candidate, "--because", how, at=folder, env={"SHOP_MOOD": None})
                began = time.monotonic()
                await_that(lambda number=number: refused(server) >= number, what=how)  # type: ignore[misc]
                assert time.monotonic() - began < 40, how
                assert MOODS[how] in (folder / "serve.err").read_text().split("worker 0: ")[-1]
                waiting = bucle("status", "--json", at=folder).json["waiting"]
                assert [(one["model"], one["role"]) for one in waiting] == [(candidate, "champion")]
                bucle("rollback", at=folder)
        assert set(server.parts()) == processes
        mood.write_text("")
        bucle("promote", candidate, "--because", "it is well now", at=folder)
        with server.client() as client:
            await_that(
                lambda: client.get("/readyz").json()["model"] == candidate, what="it answers"
            )
    assert "Traceback" not in (folder / "serve.err").read_text()


@pytest.mark.slow
def test_a_bad_candidate_is_not_even_promoted(moody: Path) -> None:
    with serve(moody) as server:
        with server.client() as client:
            champion = client.get("/readyz").json()["model"]
        candidate = former(moody, champion)
        package = moody / ".bucle" / "packages" / candidate
        content = (package / "model.skops").read_bytes()
        with under_load(server, champion):
            (moody.parent / "mood").write_text("says nothing")
            told = bucle("promote", candidate, "--because", "why not", at=moody, code=2)
            assert "failed its trial" in told.err
            (package / "model.skops").write_bytes(content[:200] + b"?" + content[201:])
            told = bucle("promote", candidate, "--because", "why not", at=moody, code=2)
            assert "Traceback" not in told.all
        assert refused(server) == 0
