"""bucle.toml on a real disk: what is refused before it is parsed, and what it points at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bucle.charter.reading import load_charter
from bucle.errors import BucleError

HEAD = b'[project]\nname = "shop"\n'


def refusal(root: Path, content: bytes | None = None) -> BucleError:
    if content is not None:
        (root / "bucle.toml").write_bytes(content)
    with pytest.raises(BucleError) as caught:
        load_charter(root, environ={})
    return caught.value


def test_reads_a_charter_with_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "bucle.toml").write_bytes(b"\xef\xbb\xbf" + HEAD.replace(b"\n", b"\r\n"))
    assert load_charter(tmp_path, environ={}).charter.project.name == "shop"


def test_a_missing_charter_says_where_it_was_looked_for(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.code == "bucle-113"
    assert str(tmp_path) in error.cause
    assert "bucle new" in error.render()


@pytest.mark.parametrize(
    ("content", "where", "cause"),
    [
        (HEAD + b"# caf\xe9\n", "bucle.toml:3", "byte 29 is 0xe9"),
        (HEAD.decode().encode("utf-16"), "", "UTF-16"),
        (HEAD + b"#" * 50_000_000, "", "larger than"),
    ],
)
def test_refuses_bytes_that_are_no_charter(
    tmp_path: Path, content: bytes, where: str, cause: str
) -> None:
    error = refusal(tmp_path, content)
    assert (error.code, error.where) == ("bucle-115", where)
    assert cause in error.cause


def test_refuses_what_is_not_a_regular_file_without_waiting(tmp_path: Path) -> None:
    charter = tmp_path / "bucle.toml"
    charter.mkdir()
    assert refusal(tmp_path).code == "bucle-115"
    charter.rmdir()
    os.mkfifo(charter)
    assert refusal(tmp_path).code == "bucle-115"
    charter.unlink()
    charter.symlink_to("/dev/zero")
    assert refusal(tmp_path).code == "bucle-115"
    charter.unlink()
    charter.symlink_to("bucle.toml")
    assert refusal(tmp_path).code == "bucle-115"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ('[data.sales]\nsource = "../sales.csv"\n', "bucle-103"),
        ('[data.sales]\nsource = ["data/a.csv", "~/b.csv"]\n', "bucle-103"),
        ('[data.sales]\nsource = "$DATA/*.csv"\n', "bucle-103"),
        ('[data.sales]\nsource = "sqlite:////etc/x.db"\nquery = "x"\n', "bucle-103"),
        ('[data.sales]\nsource = "sqlite:///../x.db"\nquery = "x"\n', "bucle-103"),
        ('[data.sales]\nsource = "loop/a.csv"\n', "bucle-103"),
        ('[data.sales]\ncontract = "contracts.py:Sales"\n', "bucle-104"),
        ('[data.sales]\ncontract = "contract.py:Sale"\n', "bucle-118"),
        ('[data.sales]\nprepare = "contract.py"\n', "bucle-118"),
        ('[data.sales]\nprepare = "../x.py:y"\n', "bucle-103"),
        ('[charter.money]\nerror = "contract.py:cost"\n', "bucle-118"),
        ('[charter.money]\nerror = "broken.py:cost"\n', "bucle-105"),
        ('[pipeline]\nfile = "pipelines.py"\n', "bucle-104"),
        ('[pipeline]\nfile = "/etc/pipeline.py"\n', "bucle-103"),
    ],
)
def test_refuses_a_charter_that_points_at_nothing_usable(
    tmp_path: Path, lines: str, code: str
) -> None:
    (tmp_path / "contract.py").write_text("raise RuntimeError\nclass Sales: ...\n")
    (tmp_path / "broken.py").write_text("def cost(:\n")
    (tmp_path / "loop").symlink_to("loop")
    error = refusal(tmp_path, HEAD + lines.encode())
    assert error.code == code
    assert error.where == "bucle.toml:4"
    assert error.what.startswith("Cannot use ")


def test_suggests_the_nearest_file_and_name(tmp_path: Path) -> None:
    (tmp_path / "contract.py").write_text("class Sales: ...\n")
    content = HEAD + b'[data.sales]\ncontract = "contract.py:Sale"\n'
    assert refusal(tmp_path, content).did_you_mean == ("Sales",)


def test_accepts_sources_that_are_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "bucle.toml").write_bytes(
        HEAD
        + b'[data.a]\nsource = "data/*.csv"\n'
        + b'[data.b]\nsource = "sqlite:///shop.db"\nquery = "select 1"\n'
        + b'[data.c]\nsource = "postgresql://ana@host/shop"\nquery = "select 1"\n'
    )
    assert list(load_charter(tmp_path, environ={}).charter.data) == ["a", "b", "c"]


def test_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "bucle.toml").write_bytes(HEAD)
    program = (
        "import sys; from pathlib import Path; from bucle.charter.reading import load_charter\n"
        f"load_charter(Path({str(tmp_path)!r}), environ={{}})\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    heavy = {"numpy", "polars", "sklearn", "scipy", "deltalake", "dataframely", "rich", "skops"}
    assert not heavy & set(done.stdout.split())
