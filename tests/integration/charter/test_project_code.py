"""Project code on a real disk: found inside the project, loaded by name, never stale."""

import os
import sys
from pathlib import Path

import pytest

from bucle.charter.project_code import check_name, load_name, resolve_inside
from bucle.errors import CharterError, UnknownNameError


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    "text",
    [
        "../outside.csv",
        "data/../../outside.csv",
        "/etc/passwd",
        "~/data.csv",
        "$HOME/data.csv",
        "data/${NAME}.csv",
        "https://example.org/data.csv",
        "file:///etc/passwd",
        r"\\server\share\data.csv",
        r"data\sales.csv",
        "",
        "  ",
        "a\0b",
        "a\nb",
        "x" * 5000,
    ],
)
def test_refuses_a_path_that_is_not_inside_the_project(tmp_path: Path, text: str) -> None:
    with pytest.raises(CharterError) as caught:
        resolve_inside(tmp_path, text)
    assert caught.value.code == "bucle-103"
    assert len(caught.value.what) < 120


def test_resolves_a_plain_path_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert resolve_inside(tmp_path, "data/sales.csv") == tmp_path.resolve() / "data/sales.csv"


def test_refuses_a_link_that_leads_out(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "secret.py").write_text("x = 1")
    (root / "inside.py").symlink_to(tmp_path / "secret.py")
    with pytest.raises(CharterError, match="leads out"):
        resolve_inside(root, "inside.py")


def test_refuses_links_that_go_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for text in ("a", "a/data.csv"):
        with pytest.raises(CharterError, match="circle"):
            resolve_inside(tmp_path, text)


def test_accepts_a_link_that_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("")
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert resolve_inside(tmp_path, "link.csv") == tmp_path.resolve() / "real.csv"


def test_loads_a_name_and_the_modules_it_imports(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        contract="from rules import LIMIT\nfrom parts.sizes import SIZE\nVALUE = LIMIT + SIZE\n",
        rules="LIMIT = 40\n",
        parts__sizes="SIZE = 2\n",
    )
    assert load_name(root, "contract.py:VALUE") == 42


def test_loads_a_file_in_a_folder(tmp_path: Path) -> None:
    root = write(tmp_path, parts__sizes="SIZE = 2\n")
    assert load_name(root, "parts/sizes.py:SIZE") == 2


def test_returns_the_same_object_until_something_changes(tmp_path: Path) -> None:
    root = write(tmp_path, contract="class Sales: pass\n", other="x = 1\n")
    first = load_name(root, "contract.py:Sales")
    assert load_name(root, "contract.py:Sales") is first


def test_sees_an_edit_of_an_imported_module_within_the_same_second(tmp_path: Path) -> None:
    root = write(tmp_path, contract="from rules import LIMIT\n", rules="LIMIT = 1\n")
    stamp = (root / "rules.py").stat()
    assert load_name(root, "contract.py:LIMIT") == 1
    (root / "rules.py").write_text("LIMIT = 2\n")
    os.utime(root / "rules.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert load_name(root, "contract.py:LIMIT") == 2


def test_keeps_two_projects_with_the_same_names_apart(tmp_path: Path) -> None:
    roots = [
        write(tmp_path / str(n), contract="from rules import N\n", rules=f"N = {n}\n")
        for n in range(2)
    ]
    assert [load_name(root, "contract.py:N") for root in [*roots, *roots]] == [0, 1, 0, 1]


def test_leaves_no_byte_code_and_no_import_path_behind(tmp_path: Path) -> None:
    before = list(sys.path)
    load_name(write(tmp_path, contract="X = 1\n"), "contract.py:X")
    assert sys.path == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["contract.py"]


def test_does_not_import_through_a_link_out_of_the_project(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", smuggled_in="X = 1\n")
    root = write(tmp_path / "project", contract="import smuggled_in\nX = smuggled_in.X\n")
    (root / "smuggled_in.py").symlink_to(outside / "smuggled_in.py")
    with pytest.raises(CharterError, match="ModuleNotFoundError"):
        load_name(root, "contract.py:X")


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("x = 1\nraise ValueError('no stock')\n", "ValueError: no stock"),
        ("x = 1\n1 / 0\n", "ZeroDivisionError"),
        ("x = 1\nimport nowhere_to_be_found\n", "ModuleNotFoundError"),
        ("x = 1\nraise SystemExit(3)\n", "SystemExit"),
    ],
)
def test_says_which_line_of_the_project_raised(tmp_path: Path, source: str, cause: str) -> None:
    with pytest.raises(CharterError) as caught:
        load_name(write(tmp_path, contract=source), "contract.py:x")
    assert caught.value.where == "contract.py:2"
    assert cause in caught.value.cause
    assert caught.value.code == "bucle-105"


def test_a_mended_file_loads_after_it_failed(tmp_path: Path) -> None:
    root = write(tmp_path, contract="from rules import X\n", rules="1 / 0\n")
    with pytest.raises(CharterError):
        load_name(root, "contract.py:X")
    write(root, rules="X = 3\n")
    assert load_name(root, "contract.py:X") == 3


def test_says_where_a_syntax_error_is(tmp_path: Path) -> None:
    root = write(tmp_path, contract="x = 1\ndef broken(:\n")
    for use in (load_name, check_name):
        with pytest.raises(CharterError) as caught:
            use(root, "contract.py:x")
        assert caught.value.where == "contract.py:2"


def test_suggests_the_nearest_name_and_file(tmp_path: Path) -> None:
    root = write(tmp_path, contract="class Sales: pass\n")
    for use in (load_name, check_name):
        with pytest.raises(UnknownNameError) as caught:
            use(root, "contract.py:Sale")
        assert caught.value.did_you_mean == ("Sales",)
        with pytest.raises(CharterError) as missing:
            use(root, "contracts.py:Sales")
        assert missing.value.did_you_mean == ("contract.py",)
        assert missing.value.code == "bucle-104"


def test_says_when_a_file_has_the_name_of_a_loaded_module(tmp_path: Path) -> None:
    with pytest.raises(CharterError, match="already has a module named 'json'"):
        load_name(write(tmp_path, json="X = 1\n"), "json.py:X")


def test_checks_a_name_without_running_the_code(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        money="import polars\nraise ValueError\nif True:\n  def cost(t, p): ...\nRATE: int = 1\n",
    )
    for name in ("cost", "RATE", "polars"):
        assert check_name(root, f"money.py:{name}") == root.resolve() / "money.py"


@pytest.mark.parametrize("reference", ["money.py", "money:cost", "money.py:", "money.py:a-b", ":x"])
def test_refuses_a_reference_of_another_form(tmp_path: Path, reference: str) -> None:
    with pytest.raises(CharterError) as caught:
        load_name(tmp_path, reference)
    assert caught.value.code == "bucle-118"
