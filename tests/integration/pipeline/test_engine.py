"""The engine with real processes and files: caching, failures, damage, kills."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import msgspec
import pytest

from bucle.errors import StepError
from bucle.pipeline.cache import Cache
from bucle.pipeline.code import CodeReader
from bucle.pipeline.engine import Engine
from bucle.pipeline.executors import SerialExecutor
from bucle.pipeline.graph import read_graph
from bucle.pipeline.kept import FileKept
from bucle.pipeline.modules import Modules
from bucle.pipeline.tasks import Artifact, Task, failure_of
from bucle.store.file_blobs import FileBlobs


class Shop:
    """A project on disk with its cache."""

    def __init__(self, root):
        self.root = root
        self.blobs = FileBlobs(root / ".bucle" / "blobs")

    def write(self, **files):
        for name, text in files.items():
            (self.root / f"{name}.py").write_text(textwrap.dedent(text))
        return self

    def tasks(self, **parameters):
        reader = CodeReader(Modules(self.root, memory=self.root / ".bucle" / "cache"))
        graph = read_graph(reader.modules.of_file("pipeline.py"))
        changed = graph.check_parameters(parameters)
        return reader, [
            Task(
                name=step.name,
                call=step.call,
                code=reader.of_project(step.call, parameters=changed.get(step.name)),
                inputs={name: name for name in step.inputs},
                parameters=changed.get(step.name, {}),
                defaults=step.defaults,
                moments={"as_of": "2026-01-02T00:00:00.000000Z"} if step.as_of else {},
            )
            for step in graph.steps
        ]

    def engine(self, reader, **options):
        cache = Cache(FileKept(self.root / ".bucle" / "cache"))
        return Engine(reader, blobs=self.blobs, cache=cache, **options)

    def run(self, parameters=None, **options):
        reader, tasks = self.tasks(**(parameters or {}))
        with self.engine(reader, **options) as engine:
            return engine.execute(tasks)

    def states(self, parameters=None, **options):
        return {name: item.state for name, item in self.run(parameters, **options).items()}

    def why(self, parameters=None, **options):
        return {name: item.why for name, item in self.run(parameters, **options).items()}

    def value(self, result):
        reader, _ = self.tasks()
        return self.engine(reader).read(result.artifact)


PIPELINE = """
    from helper import scale

    def numbers(count: int = 3):
        return list(range(count))

    def scaled(numbers):
        return [scale(number) for number in numbers]

    def total(scaled):
        return sum(scaled)

    def length(numbers):
        return len(numbers)
"""
HELPER = """
    FACTOR = 2

    def scale(number):
        return number * FACTOR
"""


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path).write(pipeline=PIPELINE, helper=HELPER)


@pytest.fixture(params=["serial", "processes"])
def options(request):
    serial = {"executor": lambda *_args, **_options: SerialExecutor()}
    return serial if request.param == "serial" else {}


def test_runs_once_and_then_nothing(shop, options):
    first = shop.run(**options)
    assert {result.state for result in first.values()} == {"ran"}
    assert {result.why for result in first.values()} == {"first run"}
    assert shop.value(first["total"]) == 6
    again = shop.run(**options)
    assert {result.state for result in again.values()} == {"cached"}
    assert {result.why for result in again.values()} == {"nothing changed"}
    assert {name: item.artifact for name, item in first.items()} == {
        name: item.artifact for name, item in again.items()
    }


def test_seconds_of_a_step_are_without_the_imports_of_its_module(shop, options):
    shop.write(
        pipeline="""
            import time

            time.sleep(1)

            def quick(): return 1
            def slow(quick):
                time.sleep(0.1)
                return 2
        """
    )
    seconds = {name: result.seconds for name, result in shop.run(**options).items()}
    assert seconds["quick"] < 1
    assert seconds["slow"] >= 0.1


def test_cached_execution_starts_nothing(shop):
    shop.run()
    reader, tasks = shop.tasks()
    with shop.engine(reader) as engine:
        engine.execute(tasks)
        assert not engine.is_started


def test_edit_of_a_helper_reruns_what_reaches_it_and_says_so(shop, options):
    shop.run(**options)
    shop.write(helper=HELPER.replace("FACTOR = 2", "FACTOR = 3"))
    assert shop.why(**options) == {
        "numbers": "nothing changed",
        "scaled": "code of helper `helper.FACTOR` changed",
        "total": "input `scaled` changed",
        "length": "nothing changed",
    }


def test_same_output_lets_later_steps_stay(shop, options):
    shop.run(**options)
    shop.write(helper=HELPER.replace("number * FACTOR", "FACTOR * number"))
    assert shop.states(**options) == {
        "numbers": "cached",
        "scaled": "ran",
        "total": "cached",
        "length": "cached",
    }


def test_parameter_from_outside_is_used_and_named(shop, options):
    shop.run(**options)
    results = shop.run({"numbers": {"count": 4}}, **options)
    assert results["numbers"].why == "parameter count 3 → 4"
    assert shop.value(results["total"]) == 12
    back = shop.run({"numbers": {"count": 3}}, **options)
    assert {item.state for item in back.values()} == {"cached"}
    assert back["numbers"].why == "kept from an earlier run"


def test_edit_within_the_same_second_and_size_is_not_missed(shop):
    shop.run()
    path = shop.root / "helper.py"
    stat = path.stat()
    path.write_text(path.read_text().replace("FACTOR = 2", "FACTOR = 5"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert shop.value(shop.run()["total"]) == 15


def test_no_step_sees_what_another_changed_in_place(shop, options):
    shop.write(
        pipeline="""
            def rows(): return [3, 1, 2]
            def sorted_rows(rows):
                rows.sort()
                return rows
            def first(rows): return rows[0]
        """
    )
    results = shop.run(**options)
    assert shop.value(results["first"]) == 3
    assert shop.value(results["sorted_rows"]) == [1, 2, 3]


def test_failing_step_shows_its_own_lines_and_keeps_the_rest(shop, options):
    shop.write(
        pipeline="""
            import json
            from helper import broken

            def good(): return 1
            def bad(good): return broken("{")
            def after(bad): return 1
            def aside(good): return 2
        """,
        helper="""
            import json

            def broken(text):
                return json.loads(text)
        """,
    )
    results = shop.run(**options)
    assert {name: item.state for name, item in results.items()} == {
        "good": "ran",
        "bad": "failed",
        "after": "skipped",
        "aside": "ran",
    }
    bad = results["bad"]
    assert results["after"].why == "needs `bad`, which failed"
    assert 'File "pipeline.py", line 6, in bad' in bad.traceback
    assert 'File "helper.py", line 5, in broken' in bad.traceback
    assert "json/decoder.py" not in bad.traceback
    assert "bucle" not in bad.traceback
    assert bad.traceback.endswith("(char 1)")
    error = failure_of(bad)
    assert isinstance(error, StepError)
    assert error.where == "helper.py:5"
    assert "JSONDecodeError" in error.what
    shop.write(helper="def broken(text): return text\n")
    assert shop.states(**options)["after"] == "ran"


def test_a_refusal_by_bucle_inside_a_step_says_its_cause_once(shop, options):
    shop.write(
        pipeline="""
            from bucle.errors import ContractError

            def bad():
                try:
                    int("x")
                except ValueError as error:
                    cause = "because of " + "this"
                    raise ContractError("Cannot go on", cause=cause) from error
        """
    )
    bad = shop.run(**options)["bad"]
    assert 'File "pipeline.py", line 6, in bad' in bad.traceback
    assert "invalid literal for int()" in bad.traceback
    assert bad.traceback.endswith("from error\nbucle.errors.ContractError")
    assert "because of this" not in bad.traceback
    assert "because of this" in failure_of(bad).render()


def test_module_that_cannot_be_imported_fails_its_steps_with_the_line(shop, options):
    shop.write(helper="def scale(x): return x\n\nraise ValueError('no')\n")
    failed = shop.run(**options)["numbers"]
    assert failed.state == "failed"
    assert failed.problem["where"] == "helper.py:3"
    assert "ValueError: no" in failed.problem["cause"]


@pytest.mark.parametrize(
    ("value", "cause"),
    [("{1, 2}", "set"), ("object()", "object"), ("{1: 2}", "no text"), ("print", "builtin")],
)
def test_value_that_cannot_be_kept_fails_the_step(shop, options, value, cause):
    shop.write(pipeline=f"def odd(): return {value}\n")
    failed = shop.run(**options)["odd"]
    assert failed.state == "failed"
    assert failed.problem["code"] == "bucle-151"
    assert cause in failed.problem["cause"]


def test_prints_are_kept_and_never_reach_standard_output(shop, options, capfd):
    shop.write(
        pipeline="""
            import os, sys

            def loud():
                print("one")
                print("two", file=sys.stderr)
                return 1
        """
    )
    result = shop.run(**options)["loud"]
    assert result.output == "one\ntwo\n"
    out, err = capfd.readouterr()
    assert out == ""
    assert "loud | one" in err


def test_bytes_written_below_python_do_not_reach_standard_output(shop, capfd):
    shop.write(pipeline="import os\n\ndef loud():\n    os.write(1, b'raw\\n')\n    return 1\n")
    assert shop.run()["loud"].state == "ran"
    out, err = capfd.readouterr()
    assert out == ""
    assert "raw" in err


def test_moment_is_an_aware_datetime(shop, options):
    shop.write(pipeline="def when(as_of): return as_of.isoformat()\n")
    assert shop.value(shop.run(**options)["when"]) == "2026-01-02T00:00:00+00:00"


def test_random_numbers_follow_the_seed_and_differ_between_steps(shop, options):
    shop.write(
        pipeline="""
            import random
            import numpy as np

            def one(): return [random.random(), np.random.rand()]
            def two(): return [random.random(), np.random.rand()]
        """
    )
    first = shop.run(**options)
    other = shop.run(seed=1, **options)
    assert other["one"].why == "seed 0 → 1"
    values = [shop.value(first["one"]), shop.value(first["two"]), shop.value(other["one"])]
    assert len({tuple(value) for value in values}) == 3
    (shop.root / "new").mkdir()
    again = Shop(shop.root / "new").write(pipeline=(shop.root / "pipeline.py").read_text())
    assert again.run(**options)["one"].artifact == first["one"].artifact


def test_sets_have_the_same_order_in_every_worker(shop):
    shop.write(pipeline="def names(): return list({'a', 'b', 'c', 'd', 'e', 'f'})\n")
    first = shop.run()["names"].artifact
    (shop.root / "new").mkdir()
    again = Shop(shop.root / "new").write(pipeline=(shop.root / "pipeline.py").read_text())
    assert again.run()["names"].artifact == first


def test_steps_run_in_the_project_folder(shop):
    (shop.root / "sizes.txt").write_text("42")
    shop.write(pipeline="def size(): return int(open('sizes.txt').read())\n")
    assert shop.value(shop.run()["size"]) == 42
    (shop.root / "sizes.txt").write_text("43")
    results = shop.run()
    assert results["size"].why == "file `sizes.txt` changed"
    assert shop.value(results["size"]) == 43


def test_damaged_artifact_is_made_again_when_it_is_needed(shop, options):
    first = shop.run(**options)
    digest = first["scaled"].artifact.digest
    path = shop.root / ".bucle" / "blobs" / digest[:2] / digest[2:]
    path.write_bytes(b"[9,9,9]")
    shop.write(pipeline=PIPELINE.replace("return sum(scaled)", "return sum(scaled) + 1"))
    results = shop.run(**options)
    assert results["scaled"].state == "ran"
    assert results["scaled"].why == "its artifact was damaged"
    assert shop.value(results["total"]) == 7
    assert shop.blobs.get(digest) == b"[0,2,4]"


def test_artifact_that_is_gone_is_made_again(shop, options):
    digest = shop.run(**options)["scaled"].artifact.digest
    (shop.root / ".bucle" / "blobs" / digest[:2] / digest[2:]).unlink()
    results = shop.run(**options)
    assert results["scaled"].why == "its artifact is gone"
    assert results["total"].state == "cached"


def test_lost_artifact_from_elsewhere_is_an_error_and_no_loop(shop, options):
    reader, tasks = shop.tasks()
    lost = Artifact(digest="0" * 64, format="json", bytes=1)
    task = Task(name="total", call=tasks[2].call, code=tasks[2].code, artifacts={"scaled": lost})
    with shop.engine(reader, **options) as engine:
        failed = engine.execute([task])["total"]
    assert failed.state == "failed"
    assert failed.problem["code"] == "bucle-155"


def test_task_waits_for_another_whose_result_it_does_not_take(shop, options):
    shop.write(
        pipeline="""
            def slow():
                raise ValueError("no")
            def quick(): return 1
        """
    )
    reader, tasks = shop.tasks()
    slow, quick = sorted(tasks, key=lambda task: task.name, reverse=True)
    waiting = msgspec.structs.replace(quick, after=("slow",))
    with shop.engine(reader, **options) as engine:
        found = engine.execute([waiting, slow])
    assert found["quick"].state == "skipped"
    assert found["quick"].why == "needs `slow`, which failed"
    with shop.engine(reader, **options) as engine:
        alone = engine.execute([quick])["quick"]
    assert (alone.state, alone.why) == ("ran", "first run")


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"{}", b"0" * 64 + b"\n{}", None],
    ids=["no", "line", "json", "x", "half"],
)
def test_every_damaged_entry_means_no_more_than_running_again(shop, options, content):
    shop.run(**options)
    with contextlib.closing(sqlite3.connect(shop.root / ".bucle" / "cache" / "kept.db")) as base:
        if content is None:
            changed = base.execute("UPDATE kept SET content = substr(content, 1, 90)").rowcount
        else:
            changed = base.execute("UPDATE kept SET content = ?", (content,)).rowcount
        base.commit()
    assert changed == 10
    results = shop.run(**options)
    assert {item.state for item in results.values()} == {"ran"}
    assert shop.value(results["total"]) == 6


# In place alone: threads that end their workers may still hold the file that is replaced.
@pytest.mark.parametrize("options", ["serial"], indirect=True)
@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_cache_that_is_no_database_is_begun_anew(shop, options, content):
    shop.run(**options)
    path = shop.root / ".bucle" / "cache" / "kept.db"
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(content)
    assert set(shop.states(**options).values()) == {"ran"}
    assert set(shop.states(**options).values()) == {"cached"}


@pytest.mark.parametrize("options", ["serial"], indirect=True)
def test_cache_damaged_anywhere_gives_right_results(shop, options):
    first = shop.run(**options)
    path = shop.root / ".bucle" / "cache" / "kept.db"
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        again = shop.run(**options)
        assert {name: item.artifact for name, item in again.items()} == {
            name: item.artifact for name, item in first.items()
        }


def test_equal_calls_run_once(shop, options, monkeypatch):
    shop.write(
        pipeline="""
            def mark():
                with open("marks", "a") as stream:
                    stream.write("x")
                return 1
        """
    )
    monkeypatch.chdir(shop.root)
    reader, (task,) = shop.tasks()
    twin = Task(name="mark@newer", call=task.call, code=task.code)
    with shop.engine(reader, **options) as engine:
        results = engine.execute([task, twin])
    assert [results["mark"].state, results["mark@newer"].state] == ["ran", "cached"]
    assert (shop.root / "marks").read_text() == "x"


def test_independent_steps_run_at_the_same_time(shop):
    shop.write(
        pipeline="""
            import os, time

            def start(): return 0

            def meet(mine, other):
                open(mine, "w").close()
                for _ in range(600):
                    if os.path.exists(other):
                        return os.getpid()
                    time.sleep(0.05)
                raise RuntimeError("never met")

            def left(start): return meet("l.mark", "r.mark")
            def right(start): return meet("r.mark", "l.mark")
        """.replace("def meet", "def _meet").replace("return meet", "return _meet")
    )
    results = shop.run(workers=2)
    assert shop.value(results["left"]) != shop.value(results["right"])


def test_source_that_changes_while_running_is_not_kept_under_the_old_key(shop):
    shop.write(
        pipeline="""
            def slow():
                import helper
                return helper.FACTOR
        """
    )
    reader, tasks = shop.tasks()
    shop.write(helper=HELPER.replace("FACTOR = 2", "FACTOR = 7"))
    with shop.engine(reader) as engine:
        failed = engine.execute(tasks)["slow"]
    assert failed.state == "failed"
    assert failed.problem["code"] == "bucle-153"
    assert shop.value(shop.run()["slow"]) == 7


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9 (SIGKILL)"),
        ("os._exit(3)", "exit code 3"),
        ("os.abort()", "signal 6 (SIGABRT)"),
    ],
)
def test_step_that_ends_its_process_fails_alone(shop, code, words):
    shop.write(
        pipeline=f"""
            import os, signal

            def start(): return 1
            def deadly(start): {code}
            def after(deadly): return 1
            def aside(start): return 2
            def later(aside): return 3
        """
    )
    results = shop.run()
    assert results["deadly"].state == "failed"
    assert words in results["deadly"].error
    assert results["after"].state == "skipped"
    assert results["later"].state == "ran"


SCRIPT = """
    import sys
    from pathlib import Path

    from bucle.pipeline.cache import Cache
    from bucle.pipeline.code import CodeReader
    from bucle.pipeline.engine import Engine
    from bucle.pipeline.graph import read_graph
    from bucle.pipeline.kept import FileKept
    from bucle.pipeline.modules import Modules
    from bucle.pipeline.tasks import Task
    from bucle.store.file_blobs import FileBlobs

    root = Path(sys.argv[1])
    reader = CodeReader(Modules(root))
    graph = read_graph(reader.modules.of_file("pipeline.py"))
    tasks = [
        Task(name=s.name, call=s.call, code=reader.of_project(s.call),
             inputs={name: name for name in s.inputs})
        for s in graph.steps
    ]
    blobs, kept = FileBlobs(root / ".bucle" / "blobs"), FileKept(root / ".bucle" / "cache")
    with Engine(reader, blobs=blobs, cache=Cache(kept)) as engine:
        results = engine.execute(tasks)
    print(" ".join(f"{name}={result.state}" for name, result in results.items()))
"""


def start(shop):
    script = shop.root / ".drive.py"
    script.write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen(
        [sys.executable, str(script), str(shop.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )


def wait_for(path: Path, seconds=30.0):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.02)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for_end(pid, seconds=10.0):
    end = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < end, f"process {pid} lives on"
        time.sleep(0.02)


SLOW = """
    import os, subprocess, time

    def first(): return 1

    def slow(first):
        child = subprocess.Popen(["sleep", "60"])
        open("child.tmp", "w").write(f"{os.getpid()} {child.pid}")
        os.rename("child.tmp", "child.mark")
        while not os.path.exists("go.mark"):
            time.sleep(0.02)
        child.kill()
        child.wait()
        return 2

    def last(slow): return 3
"""


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_killed_run_leaves_no_process_and_the_next_one_resumes(shop, kind):
    shop.write(pipeline=SLOW)
    process = start(shop)
    wait_for(shop.root / "child.mark")
    worker, child = map(int, (shop.root / "child.mark").read_text().split())
    os.kill(process.pid, kind)
    process.communicate(timeout=20)
    wait_for_end(worker)
    wait_for_end(child)
    (shop.root / "go.mark").touch()
    assert shop.states() == {"first": "cached", "slow": "ran", "last": "ran"}


def test_two_executions_at_once_are_both_right(shop):
    shop.write(
        pipeline="""
            import time

            def a(): return list(range(1000))
            def b(a):
                time.sleep(0.2)
                return sum(a)
            def c(b): return b + 1
        """
    )
    runs = [start(shop) for _ in range(3)]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], outputs
    for out, _ in outputs:
        assert all(word.split("=")[1] in {"ran", "cached"} for word in out.split())
    results = shop.run()
    assert {item.state for item in results.values()} == {"cached"}
    assert shop.value(results["c"]) == 499501


def test_kills_at_random_moments_leave_nothing_that_reads_wrong(shop):
    lines = ["def s0(): return [0] * 1000"]
    lines += [f"def s{i}(s{i - 1}): return s{i - 1} + [{i}]" for i in range(1, 40)]
    shop.write(pipeline="\n".join(lines))
    for round_number in range(6):
        process = start(shop)
        timer = threading.Timer(0.15 + 0.06 * round_number, process.kill)
        timer.start()
        process.communicate(timeout=60)
        timer.cancel()
    results = shop.run()
    assert {item.state for item in results.values()} <= {"ran", "cached"}
    assert shop.value(results["s39"]) == [0] * 1000 + list(range(1, 40))


@pytest.mark.parametrize("options", ["serial"], indirect=True)
def test_frames_arrays_and_estimators_go_from_step_to_step(shop, options):
    shop.write(
        pipeline="""
            import numpy as np
            import polars as pl
            from pricer import Pricer

            def rows(): return pl.LazyFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
            def array(rows): return rows["x"].to_numpy()
            def model(rows): return Pricer().fit(rows.select("x"), rows["y"])
            def score(model, rows, array):
                return {"top": float(model.predict(rows)[2]), "sum": array.sum()}
        """,
        pricer="""
            import numpy as np
            from sklearn.base import BaseEstimator

            class Pricer(BaseEstimator):
                def fit(self, X, y):
                    self.slope_ = float(np.mean(np.asarray(y) / np.asarray(X["x"])))
                    return self

                def predict(self, X):
                    return self.slope_ * X["x"].to_numpy()
        """,
    )
    results = shop.run(**options)
    assert {name: item.state for name, item in results.items()} == dict.fromkeys(results, "ran")
    assert results["model"].artifact.types == ("pricer.py:Pricer",)
    assert shop.value(results["score"]) == {"top": 6.0, "sum": 6.0}
    # Training gives the same bytes as before; what reads the model must run again all the same.
    path = shop.root / "pricer.py"
    path.write_text(path.read_text().replace("self.slope_ * X", "10 * self.slope_ * X"))
    again = shop.run(**options)
    assert again["model"].artifact == results["model"].artifact
    assert again["score"].why == "code of `pricer.Pricer`, which an input needs, changed"
    assert shop.value(again["score"])["top"] == 60.0
