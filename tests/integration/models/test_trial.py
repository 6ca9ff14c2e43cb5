"""A model that crashes, hangs, eats memory or answers oddly is refused by a child process."""

import io
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models import trial, trial_child
from bucle.models.package import PackageContents, open_package, write_package
from bucle.models.profile import profile_of
from bucle.models.signature import Feature, signature_of
from bucle.models.trial import require_package, try_package
from bucle.pipeline.estimators import estimator_from_bytes, estimator_to_bytes

FRAME = pl.DataFrame({"x": [1.0, 2.0, 3.0], "kind": ["a", "b", None]})

ODD = '''
"""Models that go wrong, each in its own way."""

import os
import time

import numpy as np


class Good:
    def predict(self, frame):
        return frame["x"].to_numpy() * 2


class Loud(Good):
    def predict(self, frame):
        print("words on standard output")
        return super().predict(frame)


class Raises:
    def predict(self, frame):
        raise RuntimeError("not today")


class Nan:
    def predict(self, frame):
        return np.full(frame.height, np.nan)


class Flat:
    def predict(self, frame):
        return np.zeros(frame.height + 1)


class Fickle:
    def predict(self, frame):
        return np.random.default_rng().normal(size=frame.height)


class Leaning:
    def predict(self, frame):
        return frame["x"].to_numpy() - frame["x"].to_numpy().mean()


class Tells(Good):
    def details(self, frame):
        return frame.select(twice=frame["x"] * 2)


class Hushed(Good):
    def details(self, frame):
        return frame.select(once=frame["x"])


class Chokes(Good):
    def details(self, frame):
        if frame.height == 1:
            raise ValueError("one is too few")
        return frame.select(twice=frame["x"])


class Crash:
    def predict(self, frame):
        os.abort()


class Sleeps:
    def predict(self, frame):
        time.sleep(600)


class Spins:
    def predict(self, frame):
        while True:
            pass


class Hungry:
    def predict(self, frame):
        return np.ones(20_000_000_000 // 8)[: frame.height]


class Leaves:
    def predict(self, frame):
        os._exit(3)


class Forks:
    def predict(self, frame):
        if os.fork() == 0:
            time.sleep(600)
        return frame["x"].to_numpy()


class HangsAtLoad(Good):
    def __setstate__(self, state):
        time.sleep(600)
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    (root / "odd.py").write_text(ODD)
    return root


def _packed(folder, project, name, *, details=()):
    from bucle.charter.project_code import load_name

    estimator = load_name(project, f"odd.py:{name}")()
    estimator.kept = 1
    contents = PackageContents(
        estimator=estimator_to_bytes(estimator, project=project),
        signature=msgspec.structs.replace(
            signature_of(FRAME, kind="regression", target="y"), details=details
        ),
        metrics={},
        profile=profile_of(FRAME),
        lineage={},
        card=name,
    )
    return write_package(folder, contents)


def _asked(folder, model, project):
    """Return what the child process is asked, for a trial in this one."""
    return {"folder": str(folder), "model": model, "project": str(project), "rows": False}


def test_a_good_model_passes_on_typical_rows_whatever_it_prints(tmp_path, project):
    report = try_package(tmp_path, _packed(tmp_path, project, "Loud"), project=project)
    assert report.ok, report.reason
    assert report.rows == 2
    assert report.latency_ms > 0


def test_insists_that_a_package_is_fit_for_use(tmp_path, project):
    model = _packed(tmp_path, project, "Loud")
    assert require_package(tmp_path, model, project=project).ok
    (tmp_path / model / "card.md").write_text("another")
    with pytest.raises(PackageError, match="card") as caught:
        require_package(tmp_path, model, project=project)
    assert caught.value.code == "bucle-168"


def test_a_package_with_intervals_passes_on_rows_of_its_own(tmp_path, contents, rows):
    stream = io.BytesIO()
    rows[0][:5].write_ipc(stream)
    report = try_package(tmp_path, write_package(tmp_path, contents), rows=stream.getvalue())
    assert report.rows == 5


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Good", ""),
        ("Fickle", "the same rows gave another prediction the second time"),
        ("Leaning", "a row alone gave another prediction than among others"),
    ],
)
def test_predictions_must_be_the_same_again_and_alone(tmp_path, project, name, reason):
    model = _packed(tmp_path, project, name)
    assert trial_child._try(_asked(tmp_path, model, project), b"").reason == reason


TWICE = (Feature(name="twice", dtype="Float64"),)


def test_details_are_tried_as_well(tmp_path, project):
    model = _packed(tmp_path, project, "Tells", details=TWICE)
    assert trial_child._try(_asked(tmp_path, model, project), b"").ok
    found = open_package(tmp_path, model, project=project).details(FRAME)
    assert found["twice"].to_list() == (FRAME["x"] * 2).to_list()
    plain = open_package(tmp_path, _packed(tmp_path, project, "Tells"), project=project)
    assert plain.details(FRAME).columns == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Hushed", "columns once instead"), ("Chokes", "one is too few"), ("Good", "AttributeError")],
)
def test_details_must_be_those_it_was_packaged_with(tmp_path, project, name, reason):
    model = _packed(tmp_path, project, name, details=TWICE)
    with pytest.raises(PackageError, match=reason):
        trial_child._try(_asked(tmp_path, model, project), b"")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Raises", "raised RuntimeError"),
        ("Nan", "2 of 2 predictions are not finite numbers"),
        ("Flat", r"shape \(3,\)"),
    ],
)
def test_predictions_must_be_one_number_a_row(tmp_path, project, name, reason):
    model = _packed(tmp_path, project, name)
    with pytest.raises(PackageError, match=reason):
        trial_child._try(_asked(tmp_path, model, project), b"")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Crash", "it crashed the process (SIGABRT)"),
        ("Hungry", "it needed more memory than allowed"),
        pytest.param("Leaves", "the process ended with 3", marks=pytest.mark.slow),
        pytest.param("Nan", "2 of 2 predictions are not finite", marks=pytest.mark.slow),
    ],
)
def test_refuses_with_the_reason(tmp_path, project, name, reason):
    report = try_package(tmp_path, _packed(tmp_path, project, name), project=project)
    assert not report.ok
    assert reason in report.reason


@pytest.mark.parametrize(
    "name",
    [
        "Sleeps",
        pytest.param("Spins", marks=pytest.mark.slow),
        pytest.param("HangsAtLoad", marks=pytest.mark.slow),
    ],
)
@pytest.mark.thorough
def test_a_model_that_hangs_is_ended_in_time(tmp_path, project, name):
    model = _packed(tmp_path, project, name)
    began = time.monotonic()
    report = try_package(tmp_path, model, project=project, seconds=4)
    assert report.reason == "it did not finish within 4 s"
    assert not report.ok
    assert time.monotonic() - began < 20


def _of_session(leader):
    """Return the processes of a session that still live."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = words.rpartition(")")[2].split()
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(entry.name))
    return found


@pytest.mark.slow
def test_what_a_model_starts_is_ended_with_it(tmp_path, project, monkeypatch):
    started = []
    real = subprocess.Popen

    def remember(*given, **named):
        started.append(real(*given, **named))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    try_package(tmp_path, _packed(tmp_path, project, "Forks"), project=project)
    (child,) = started
    deadline = time.monotonic() + 5
    while _of_session(child.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _of_session(child.pid) == []


def test_the_child_ends_when_the_process_that_asked_is_killed(tmp_path, project):
    model = _packed(tmp_path, project, "Sleeps")
    script = textwrap.dedent(
        """
        import subprocess, sys
        from pathlib import Path
        from bucle.models.trial import try_package
        real = subprocess.Popen
        def tell(*given, **named):
            child = real(*given, **named)
            print(child.pid, flush=True)
            return child
        subprocess.Popen = tell
        try_package(Path(sys.argv[1]), sys.argv[2], project=Path(sys.argv[3]))
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), model, str(project)],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while _of_session(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _of_session(child) == []


def test_a_damaged_package_is_refused_not_raised(tmp_path, contents):
    model = write_package(tmp_path, contents)
    (tmp_path / model / "model.skops").write_bytes(b"PK\x03\x04")
    report = try_package(tmp_path, model)
    assert not report.ok
    assert "model.skops is not what the manifest says" in report.reason


def test_a_model_of_other_columns_than_its_signature_is_refused(tmp_path, contents):
    wrong = msgspec.structs.replace(
        contents, signature=signature_of(FRAME, kind="regression", target="y"),
        profile=profile_of(FRAME), intervals=None, scale=None,
    )  # fmt: skip
    with pytest.raises(PackageError, match="'size' is missing"):
        trial_child._try(_asked(tmp_path, write_package(tmp_path, wrong), tmp_path), b"")


@pytest.mark.slow
def test_a_module_that_shadows_ours_in_the_working_folder_is_not_used(
    tmp_path, contents, monkeypatch
):
    (tmp_path / "msgspec.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert try_package(tmp_path / "packages", write_package(tmp_path / "packages", contents)).ok


def test_the_estimators_of_a_project_are_its_own(project):
    from bucle.charter.project_code import load_name

    content = estimator_to_bytes(load_name(project, "odd.py:Good")(), project=project)
    assert estimator_from_bytes(content, project=project).predict(FRAME).tolist() == [2, 4, 6]
    with pytest.raises(PackageError, match=r"odd\.Good, which is not on the list"):
        estimator_from_bytes(content)


def test_time_in_the_queue_of_a_busy_machine_is_seen():
    turns = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
    rivals = [subprocess.Popen([sys.executable, "-I", "-c", turns]) for _ in range(2)]
    try:
        deadline = time.monotonic() + 60
        while not all(trial._queued_s(one.pid) > 0.05 for one in rivals):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        for one in rivals:
            one.kill()
            one.wait()
    assert trial._queued_s(rivals[0].pid) == 0
