import os
import subprocess
import sys
from pathlib import Path

import pytest
from subscriptions import write_subscriptions

from bucle.charter.reading import load_charter
from bucle.errors import BucleError, SourceError, UnknownNameError, UsageError
from bucle.templates.creation import TEMPLATES, TemplateOptions, create_project


def _blank(folder, *files, **roles):
    asked = {"target": "leaves", "event_time": "asked_on", "label_time": "known_on"} | roles
    return create_project(folder, template="blank", options=TemplateOptions(data=files, **asked))


@pytest.fixture
def table(tmp_path):
    return write_subscriptions(tmp_path / "subscriptions.csv", rows=300)


def _left(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_project_is_written_into_a_new_or_an_empty_folder(tmp_path, table):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        created = _blank(tmp_path / name, table)
        assert {"bucle.toml", "contract.py", "pipeline.py", ".gitignore"} <= set(created.files)
        on_disk = (path for path in (tmp_path / name).rglob("*") if path.is_file())
        assert set(created.files) == {
            path.relative_to(tmp_path / name).as_posix() for path in on_disk
        }
        charter = load_charter(tmp_path / name, environ={}).charter
        assert charter.project.name == name
    assert _left(tmp_path) == ["empty", "new", "subscriptions.csv"]


def test_what_is_there_already_is_never_touched(tmp_path, table):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(UsageError) as caught:
            _blank(tmp_path / name, table)
        assert caught.value.code == "bucle-186"
    assert _left(tmp_path) == ["file", "full", "link", "subscriptions.csv"]
    assert _left(tmp_path / "full") == ["mine.txt"]


def test_a_missing_parent_is_named(tmp_path, table):
    with pytest.raises(UsageError, match="parent folder") as caught:
        _blank(tmp_path / "no" / "where", table)
    assert caught.value.attempt.startswith("mkdir -p")


@pytest.mark.parametrize("name", ["../x", "CON", "-rf", "a\0b", "trailing ", "x" * 300])
def test_a_refused_name_writes_nothing(tmp_path, table, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(UsageError):
        _blank(inside / name, table)
    assert _left(inside) == []
    assert _left(tmp_path) == ["inside", "subscriptions.csv"]


def _special_files(folder: Path) -> dict[str, Path]:
    (folder / "folder.csv").mkdir()
    (folder / "empty.csv").touch()
    os.mkfifo(folder / "pipe.csv")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    names = ("missing", "folder", "empty", "pipe", "loop", "zero")
    return {name: folder / f"{name}.csv" for name in names}


def test_only_regular_files_with_content_are_taken(tmp_path):
    for file in _special_files(tmp_path).values():
        with pytest.raises(SourceError) as caught:
            _blank(tmp_path / "project", file)
        assert caught.value.code == "bucle-188"
        assert file.name in caught.value.what
    assert not (tmp_path / "project").exists()
    assert not list(tmp_path.glob(".project*"))


def test_a_link_is_copied_as_what_it_means(tmp_path, table):
    (tmp_path / "link.csv").symlink_to(table)
    _blank(tmp_path / "project", tmp_path / "link.csv")
    copied = tmp_path / "project" / "data" / "link.csv"
    assert not copied.is_symlink()
    assert copied.read_bytes() == table.read_bytes()


def test_two_files_of_one_name_are_refused(tmp_path, table):
    (tmp_path / "other").mkdir()
    twin = write_subscriptions(tmp_path / "other" / "subscriptions.csv", rows=10)
    with pytest.raises(SourceError, match="subscriptions"):
        _blank(tmp_path / "project", table, twin)


def test_pattern_letters_in_a_name_do_not_make_a_pattern(tmp_path, table):
    odd = tmp_path / "sales[2024]*.csv"
    odd.write_bytes(table.read_bytes())
    _blank(tmp_path / "project", odd)
    charter = load_charter(tmp_path / "project", environ={}).charter
    assert charter.data["rows"].source == ("data/sales_2024__.csv",)
    assert (tmp_path / "project" / "data" / "sales_2024__.csv").is_file()


@pytest.mark.parametrize(
    ("template", "options", "error"),
    [
        ("blnak", {}, UnknownNameError),
        ("blank", {}, UsageError),
        ("scms", {}, UsageError),
        ("blank", {"data": (Path("t.csv"),)}, UsageError),
        ("consignment", {"data": (Path("t.csv"),)}, UsageError),
        ("consignment", {"target": "price"}, UsageError),
        ("scms", {"data": (Path("t.csv"),), "task": "frieght"}, UnknownNameError),
        ("consignment", {"task": "price"}, UnknownNameError),
    ],
)
def test_options_that_do_not_fit_the_template_are_refused(tmp_path, template, options, error):
    with pytest.raises(error) as caught:
        create_project(tmp_path / "p", template=template, options=TemplateOptions(**options))
    assert caught.value.code == "bucle-187"
    assert _left(tmp_path) == []


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, table):
    for roles in ({"target": "leave"}, {"event_time": "plan"}, {"key": ("leaves",)}):
        with pytest.raises(BucleError):
            _blank(tmp_path / "project", table, **roles)
        assert _left(tmp_path) == ["subscriptions.csv"]


_FULL_DISK = """
import resource, sys
from pathlib import Path
from bucle.errors import OutsideError
from bucle.templates.creation import TemplateOptions, create_project

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    create_project(
        Path(sys.argv[1]),
        template="blank",
        options=TemplateOptions(data=(Path(sys.argv[2]),), target="leaves"),
    )
except OutsideError as error:
    print(error.code, error.exit_code)
"""


def test_a_full_disk_leaves_nothing(tmp_path):
    table = write_subscriptions(tmp_path / "subscriptions.csv", rows=2000)
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path / "project"), str(table)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "bucle-189 3", done.stderr
    assert _left(tmp_path) == ["subscriptions.csv"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from bucle.templates.drafts import draft_folder

with draft_folder(Path(sys.argv[1])) as draft:
    (draft / "half.txt").write_text("half")
    print(draft.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def drafting(tmp_path):
    """Start a process that drafts the project `shop` until it is killed."""
    processes = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(tmp_path / "shop")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_the_draft_of_a_killed_process_is_swept_away_and_one_in_use_stays(
    tmp_path, table, drafting
):
    killed, left = drafting()
    killed.kill()
    killed.wait()
    assert (tmp_path / left / "half.txt").exists()
    (tmp_path / ".shop.notes.new").mkdir()
    (tmp_path / ".shopping.0123abcd.new").mkdir()
    _, used = drafting()
    assert not (tmp_path / left).exists()
    _blank(tmp_path / "shop", table)
    assert (tmp_path / used / "half.txt").exists()
    assert {".shop.notes.new", ".shopping.0123abcd.new", "shop"} <= set(_left(tmp_path))


def test_the_folder_one_is_in_is_refused_with_what_to_type(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    with pytest.raises(UsageError) as caught:
        create_project(Path(), template="consignment", options=TemplateOptions())
    assert "cd .. && bucle new shop" in caught.value.attempt
    assert _left(tmp_path / "shop") == []


def test_another_file_than_the_template_is_for_is_refused_with_its_missing_columns(tmp_path):
    lines = tmp_path / "lines.csv"
    lines.write_text("ID,Projct Code\n1,x\n")
    with pytest.raises(
        SourceError, match="lacks 32 of 33 columns: 'Project Code', 'PQ #'"
    ) as found:
        create_project(tmp_path / "p", template="scms", options=TemplateOptions(data=(lines,)))
    assert found.value.did_you_mean == ("Projct Code",)
    assert _left(tmp_path) == ["lines.csv"]


def test_every_template_says_what_it_is():
    assert set(TEMPLATES) == {"blank", "consignment", "scms"}
    for name, template in TEMPLATES.items():
        assert template.name == name
        assert template.summary
