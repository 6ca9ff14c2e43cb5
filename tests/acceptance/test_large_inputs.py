"""Tables that are wide, rich in words or packed to fill memory: an answer in time, or a refusal."""

import gzip
import resource
from datetime import date, timedelta
from pathlib import Path

import pytest
from calls import bucle

_DAY = date(2025, 1, 1)
_MEMORY = 6_000_000_000


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _new(folder: Path, table: str, *words: str, code: int = 0):
    given = ("--template", "blank", "--data", table, "--target", "y", "--event-time", "day")
    return bucle("new", "made", *given, *words, at=folder, code=code, preexec_fn=_limit)


def _write_wide(path: Path, width: int) -> None:
    names = ",".join(f"c{number}" for number in range(width))
    cells = [",".join(str(number * row % 13) for number in range(width)) for row in range(60)]
    lines = [f"{_DAY + timedelta(days=row)},{row % 7},{text}" for row, text in enumerate(cells)]
    path.write_text("\n".join([f"day,y,{names}", *lines]) + "\n")


def test_a_table_too_wide_to_draft_is_refused_in_one_line(tmp_path: Path) -> None:
    _write_wide(tmp_path / "wide.csv", 3_000)
    answer = _new(tmp_path, "wide.csv", code=2)
    assert "a table of 3,002 columns" in answer.err
    assert "bucle-188" in answer.err
    assert "Traceback" not in answer.all
    assert not (tmp_path / "made").exists()


def test_a_table_too_wide_to_keep_is_refused_in_one_line(tmp_path: Path) -> None:
    _write_wide(tmp_path / "wide.csv", 50_000)
    (tmp_path / "bucle.toml").write_text('[project]\nname = "b"\n[data.rows]\n')
    words = ("data", "add", "rows", "wide.csv")
    answer = bucle(*words, at=tmp_path, code=2, preexec_fn=_limit)
    assert "it has 50,002 columns" in answer.err
    assert "bucle-127" in answer.err
    assert "Traceback" not in answer.all


@pytest.mark.parametrize("command", ["new", "add"])
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path: Path, command) -> None:
    with gzip.open(tmp_path / "bomb.csv.gz", "wb", compresslevel=9) as packed:
        packed.write(b"day,y\n")
        for _ in range(300):
            packed.write(b"2025-01-01,2\n" * 80_000)
    if command == "new":
        answer = _new(tmp_path, "bomb.csv.gz", code=2)
    else:
        (tmp_path / "bucle.toml").write_text('[project]\nname = "b"\n[data.rows]\n')
        words = ("data", "add", "rows", "bomb.csv.gz")
        answer = bucle(*words, at=tmp_path, code=2, preexec_fn=_limit)
    assert "bucle-124" in answer.err
    assert "Traceback" not in answer.all
    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_a_million_words_are_left_out_and_the_run_ends(tmp_path: Path) -> None:
    with (tmp_path / "many.csv").open("w") as stream:
        stream.write("day,y,word,size\n")
        for row in range(1_000_000):
            stream.write(f"{_DAY + timedelta(days=row // 700)},{row % 97},w{row},{row % 13}\n")
    made = _new(tmp_path, "many.csv")
    assert "word: not a feature" in made.out
    run = bucle("run", "--json", at=tmp_path / "made", code=None)
    assert run.code in {0, 1}
    assert run.json["data"][0]["rows"] == 1_000_000


@pytest.mark.slow
def test_a_word_first_seen_where_the_model_is_judged_is_no_error(tmp_path: Path) -> None:
    with (tmp_path / "new.csv").open("w") as stream:
        stream.write("day,y,word\n")
        for row in range(600):
            word = ("a", "b", "c")[row % 3] if row < 500 else f"unseen {row % 4}"
            stream.write(f"{_DAY + timedelta(days=row)},{row % 3 + row % 7 / 10},{word}\n")
    _new(tmp_path, "new.csv")
    run = bucle("run", "--json", at=tmp_path / "made", code=None)
    assert run.code in {0, 1}
    assert run.json["state"] == "done"
    assert run.json["verdict"]["checks"]
