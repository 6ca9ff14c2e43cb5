"""Where and how a command is called: rights, terminal, language, signals, what steps print."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import BUCLE, bucle, start, surroundings
from disks import fill, small_disk

_SLOW = '''\
"""A step that takes long."""

import time
from pathlib import Path

import polars as pl


def clean(sales: pl.DataFrame) -> pl.DataFrame:
    return sales


def slow(clean: pl.DataFrame) -> dict[str, int]:
    if not Path("quick").exists():
        Path("running").write_text("now")
        time.sleep(600)
    return {"rows": clean.height}
'''


# ---- signals ----------------------------------------------------------------


_INTERRUPTED = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), 2)

sys.meta_path.insert(0, Finder())
sys.modules.pop("signal", None)
from bucle.cli.main import entry_point
entry_point()
"""


@pytest.mark.parametrize(
    "module",
    ["signal", "bucle.cli.command_line", "argparse", "bucle.errors", "bucle.cli.models"],
)
def test_ctrl_c_before_a_command_begins_ends_it_without_a_word(tmp_path: Path, module: str) -> None:
    program = _INTERRUPTED.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", program, "models"],
        cwd=tmp_path,
        env=surroundings(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_command_that_was_told_to_heed_no_ctrl_c_goes_on(tmp_path: Path) -> None:
    program = _INTERRUPTED.format(module="argparse")
    done = subprocess.run(
        ["env", "--ignore-signal=INT", sys.executable, "-c", program, "--version"],
        cwd=tmp_path,
        env=surroundings(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("whole_group", [True, False], ids=["from-the-terminal", "to-it-alone"])
def test_ctrl_c_in_mid_run_leaves_things_clean_and_says_so(steps: Path, whole_group: bool) -> None:
    (steps / "pipeline.py").write_text(_SLOW)
    process = start("run", at=steps, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _wait_for(steps / "running")
    if whole_group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped" in err.decode()
    assert "Traceback" not in err.decode()
    _wait_until_group_is_gone(process.pid)
    assert [run["state"] for run in bucle("runs", "--json", at=steps).json] == ["stopped"]
    assert bucle("log", "verify", "--json", at=steps).json["intact"]
    (steps / "quick").touch()
    done = bucle("run", "--json", at=steps).json
    assert [step["state"] for step in done["steps"]] == ["cached", "ran"]


def _wait_for(mark: Path) -> None:
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _wait_until_group_is_gone(group: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not list(_alive_in(group)):
            return
        time.sleep(0.05)
    raise AssertionError(f"processes of the group {group} are left: {list(_alive_in(group))}")


def _alive_in(group: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # state, parent, group, session: workers lead groups of their own in the same session
        if fields[0] != "Z" and group in {int(fields[2]), int(fields[3])}:
            yield int(entry.name)


def test_a_reader_that_goes_away_is_no_failure(shop: Path) -> None:
    for words in (["log"], ["log", "--json"], ["--help"], ["config"]):
        command = subprocess.Popen(
            [BUCLE, *words],
            cwd=shop,
            env=surroundings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert command.stdout is not None
        command.stdout.close()
        assert command.stderr is not None
        assert command.stderr.read() == b""
        command.stderr.close()
        assert command.wait(30) == 0


# ---- rights -----------------------------------------------------------------


@pytest.fixture
def read_only(champions: Path, tmp_path: Path) -> Iterator[Path]:
    """Lend a shop in which nobody may write, root included, or skip."""
    folder = tmp_path / "shop"
    subprocess.run(["cp", "-r", champions, folder], check=True)
    if os.geteuid() == 0:
        words = (["--bind", folder, folder], ["-o", "remount,ro,bind", folder])
        for given in words:
            if subprocess.run(["mount", *given], check=False, capture_output=True).returncode:
                pytest.skip("root may write anywhere, and mounting is not allowed here")
        yield folder
        subprocess.run(["umount", "-l", folder], check=True)
        return
    entries = [folder, *folder.rglob("*")]
    for entry in entries:
        entry.chmod(0o555 if entry.is_dir() else 0o444)
    yield folder
    for entry in entries:
        entry.chmod(0o755 if entry.is_dir() else 0o644)


def test_what_only_reads_works_where_nothing_may_be_written(read_only: Path) -> None:
    champions = []
    for words in (["log", "verify"], ["models"], ["history"], ["data", "list"], ["runs"]):
        answer = bucle(*words, "--json", at=read_only, env={"HOME": None})
        champions.append(answer.json)
    assert champions[0]["intact"]
    assert [one["champion"] for one in champions[1]] == [False, True]


def test_what_writes_says_plainly_that_it_may_not(read_only: Path) -> None:
    before = _bytes(read_only)
    first = bucle("models", "--json", at=read_only).json[0]["model"]
    for words in (["run"], ["data", "add", "sales"], ["promote", first, "--because", "x"]):
        answer = bucle(*words, at=read_only, code=3, env={"HOME": None})
        assert "Traceback" not in answer.all
        assert "Code: bucle-" in answer.err
    made = bucle("new", "other", "--template", "consignment", at=read_only, code=3)
    assert "bucle-189" in made.err
    assert _bytes(read_only) == before


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_careless_umask_opens_nothing_beyond_reading(steps: Path) -> None:
    bucle("run", at=steps, umask=0)
    loose = [
        path
        for path in (steps / ".bucle").rglob("*")
        if path.is_file() and path.stat().st_mode & (stat.S_IXOTH | stat.S_IXGRP)
    ]
    assert not loose
    secret = [path for path in (steps / ".bucle").rglob("*") if path.stat().st_mode & 0o4000]
    assert not secret


def test_no_home_and_no_user_name_are_needed(steps: Path) -> None:
    env = {"HOME": None, "USER": None, "LOGNAME": None, "TMPDIR": None}
    assert bucle("run", "--json", at=steps, env=env).json["state"] == "done"


# ---- terminal and language --------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["C", "tr_TR.UTF-8"])
def test_any_language_will_do(shop: Path, language: str) -> None:
    env = {"LC_ALL": language, "LANG": language, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in (["--help"], ["history"], ["log"], ["config"], ["data", "show", "sales"]):
        bucle(*words, at=shop, env=env)


def test_letters_that_a_terminal_lacks_do_no_harm(tmp_path: Path) -> None:
    env = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "bucle.toml").write_text('[project]\nname = "consignación ✓"\n', encoding="utf-8")
    shown = bucle("config", "project", at=tmp_path, env=env)
    assert "consignaci" in shown.out
    document = bucle("config", "project.name", "--json", at=tmp_path, env=env).json
    assert document[0]["value"] == "consignación ✓"


def test_forty_columns_are_enough(shop: Path) -> None:
    model = bucle("models", "--json", at=shop).json[1]["model"]
    for words in (["history"], ["models"], ["log"], ["runs"], ["show", model], ["config"]):
        bucle(*words, at=shop, env={"COLUMNS": "40"})
    listed = bucle("data", "list", at=shop, env={"COLUMNS": "40"})
    assert "sales" in listed.out


def test_names_that_would_steer_a_terminal_are_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / "bucle.toml").write_text('[project]\nname = "shop"\n')
    answer = bucle("config", "\x1b[31mred\x07", at=tmp_path, code=2)
    assert "\x1b" not in answer.all
    assert "\x07" not in answer.all


# ---- what steps print -------------------------------------------------------


def test_what_a_step_prints_stays_out_of_the_document(steps: Path) -> None:
    (steps / "pipeline.py").write_text(
        '''"""A step that talks."""

import os
import sys

import polars as pl

print("at import")


def clean(sales: pl.DataFrame) -> pl.DataFrame:
    print("to stdout", flush=True)
    sys.stdout.write("{")
    os.write(1, b"below python\\n")
    print("to stderr", file=sys.stderr)
    return sales
'''
    )
    answer = bucle("run", "--json", at=steps)
    assert answer.json["state"] == "done"
    assert "to stdout" not in answer.out


def test_a_contract_that_prints_stays_out_of_the_document(steps: Path) -> None:
    contract = steps / "contract.py"
    contract.write_text(contract.read_text() + '\nprint("hello from the contract")\n')
    assert bucle("data", "add", "sales", "--json", at=steps).json["added"] == 60


def test_a_failing_step_shows_the_owner_their_own_lines(steps: Path) -> None:
    (steps / "pipeline.py").write_text(
        '''"""A step that fails."""

import polars as pl
from sizes import scale


def clean(sales: pl.DataFrame) -> pl.DataFrame:
    return sales


def broken(clean: pl.DataFrame) -> pl.DataFrame:
    return clean.with_columns(scale("text" / 2))
'''
    )
    answer = bucle("run", at=steps, code=2)
    assert "pipeline.py" in answer.all
    assert 'scale("text" / 2)' in answer.all
    assert "TypeError" in answer.all
    assert "bucle/pipeline" not in answer.all
    document = bucle("run", "--json", at=steps, code=2).json
    assert [step["state"] for step in document["steps"]] == ["cached", "failed"]
    assert [run["state"] for run in bucle("runs", "--json", at=steps).json] == ["failed", "failed"]


# ---- little room ------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("largest", [512, 20_000])
def test_files_that_cannot_grow_end_a_run_cleanly(steps: Path, largest: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    answer = bucle("run", at=steps, code=None, preexec_fn=limit)
    assert answer.code in {2, 3}
    assert "Traceback" not in answer.all, answer.all
    assert "Code: bucle-" in answer.all
    whole = bucle("log", "verify", "--json", at=steps, code=None)
    assert whole.code == 0, whole.all
    done = bucle("run", "--json", at=steps).json
    assert (done["state"], done["data"][0]["rows"]) == ("done", 60)
    assert bucle("log", "verify", "--json", at=steps).json["intact"]


@pytest.mark.thorough
def test_a_full_disk_stops_cleanly_and_goes_on_when_there_is_room(
    tmp_path: Path, champions: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        _fill_and_free(disk, champions)


def _fill_and_free(disk: Path, champions: Path) -> None:
    shop = disk / "shop"
    subprocess.run(["cp", "-r", champions, shop], check=True)
    before = bucle("history", "--json", at=shop).json
    changed = ["--set", "model.bend=0.9"]
    for room, words in ((0, ["rollback"]), (0, ["run", *changed]), (40_000, ["run", *changed])):
        ballast = fill(disk, leaving=room)
        answer = bucle(*words, at=shop, code=3)
        assert "Traceback" not in answer.all
        assert bucle("log", "verify", "--json", at=shop).json["intact"]
        assert bucle("history", "--json", at=shop).json == before
        ballast.unlink()
    assert bucle("rollback", "--json", at=shop).json["changed"]
    assert bucle("log", "verify", "--json", at=shop).json["intact"]


def test_stdout_that_is_full_is_said_and_no_traceback(shop: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [BUCLE, "log", "--json"],
            cwd=shop,
            env=surroundings(),
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


def test_every_command_explains_itself(tmp_path: Path) -> None:
    commands = json.loads(bucle("--help", "--json", at=tmp_path).out)
    assert len(commands) >= 17
    for one in commands[:3]:
        shown = bucle(*one["command"].split(), "--help", at=tmp_path)
        assert "example:" in shown.out
