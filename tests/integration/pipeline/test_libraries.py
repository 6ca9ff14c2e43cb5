"""Versions of libraries from what is installed, without importing it."""

import json
import subprocess
import sys

from bucle.pipeline.environment import environment_of, snapshot_sources, source_files
from bucle.pipeline.libraries import Libraries
from bucle.pipeline.modules import Modules
from bucle.store.memory_blobs import MemoryBlobs


def install(folder, name, version, *, files, editable=False):
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    if editable:
        (place / "direct_url.json").write_text(json.dumps({"dir_info": {"editable": True}}))
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("VALUE = 1\n")


def test_version_is_that_of_the_distribution(tmp_path):
    install(tmp_path, "frames", "1.2.3", files=["frames/__init__.py"])
    install(tmp_path, "Learn_Kit", "0.9rc1", files=["learnkit/__init__.py", "learnkit.libs/a.so"])
    install(tmp_path, "py_single", "2.0", files=["single.py"])
    found = Libraries([str(tmp_path)])
    assert found.version("frames") == "1.2.3"
    assert found.version("learnkit") == "0.9rc1"
    assert found.version("single") == "2.0"
    assert found.all() == {"frames": "1.2.3", "learn_kit": "0.9rc1", "py_single": "2.0"}


def test_standard_library_has_no_version_of_its_own(tmp_path):
    assert Libraries([str(tmp_path)]).version("json") == ""


def test_what_is_not_there_is_missing(tmp_path):
    assert Libraries([str(tmp_path)]).version("nowhere_to_be_found") == "missing"


def test_code_edited_in_place_is_digested(tmp_path):
    install(tmp_path, "mine", "1.0", files=["mine/__init__.py", "mine/deep/part.py"], editable=True)
    (tmp_path / "loose.py").write_text("x = 1\n")
    before = [Libraries([str(tmp_path)]).version(name) for name in ("mine", "loose")]
    assert all(version.startswith("edited-") for version in before)
    (tmp_path / "mine" / "deep" / "part.py").write_text("VALUE = 2\n")
    (tmp_path / "loose.py").write_text("x = 2\n")
    after = [Libraries([str(tmp_path)]).version(name) for name in ("mine", "loose")]
    assert not set(before) & set(after)


def test_first_folder_on_the_path_wins(tmp_path):
    install(tmp_path / "a", "frames", "1.0", files=["frames/__init__.py"])
    install(tmp_path / "b", "frames", "2.0", files=["frames/__init__.py"])
    assert Libraries([str(tmp_path / "a"), str(tmp_path / "b")]).version("frames") == "1.0"


def test_real_libraries_agree_with_the_standard_way():
    from importlib.metadata import version

    found = Libraries()
    for name, distribution in (
        ("polars", "polars"),
        ("sklearn", "scikit-learn"),
        ("msgspec", "msgspec"),
        ("scipy", "scipy"),
    ):
        assert found.version(name) == version(distribution)


def test_environment_names_python_and_libraries():
    record = environment_of(Libraries())
    assert record["python"].startswith("3.")
    assert record["libraries"]["polars"]


def test_source_tree_is_kept_without_data_and_hidden_folders(tmp_path):
    for name in ("pipeline.py", "pkg/part.py", "bucle.toml", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("data/a.csv", "data/b.py", ".bucle/x.py", "env/x.py", "__pycache__/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "big.json").write_bytes(b" " * 1_000_001)
    (tmp_path / "link.py").symlink_to("/etc/hostname")
    names = [path.relative_to(tmp_path).as_posix() for path in source_files(tmp_path)]
    assert names == ["bucle.toml", "notes.md", "pipeline.py", "pkg/part.py"]
    blobs = MemoryBlobs()
    listed = json.loads(blobs.get(snapshot_sources(Modules(tmp_path), blobs=blobs)))
    assert blobs.get(listed["pkg/part.py"]) == b"pkg/part.py"


def test_planning_imports_nothing_heavy():
    program = (
        "import sys\n"
        "import bucle.pipeline.engine, bucle.pipeline.graph, bucle.pipeline.modules\n"
        "import bucle.pipeline.environment, bucle.pipeline.progress\n"
        "heavy = {'numpy', 'polars', 'sklearn', 'skops', 'deltalake', 'rich',\n"
        "         'bucle.pipeline.syntax',\n"
        "         'subprocess', 'concurrent.futures', 'importlib.metadata', 'zipfile'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
