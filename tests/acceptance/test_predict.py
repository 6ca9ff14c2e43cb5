"""`bucle predict`: rows at hand, the way the server answers them."""

import io
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from calls import bucle

from bucle.models.package import open_package

SIZES = [0.0, 1.5, 19.99, 1e6]


@pytest.fixture(scope="module")
def folder(champions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("predicting") / "shop"
    shutil.copytree(champions, found, symlinks=True)
    (found / "new.csv").write_text("note,size\n" + "".join(f"x,{size}\n" for size in SIZES))
    (found / "new.json").write_text(json.dumps([{"size": size} for size in SIZES]))
    (found / "new.jsonl").write_text("".join(f'{{"size": {size}}}\n' for size in SIZES))
    pl.DataFrame({"size": SIZES}).write_parquet(found / "new.parquet")
    (found / "bad.csv").write_text("size\n1.0\noops\n")
    (found / "narrow.csv").write_text("width\n1.0\n")
    (found / "negative.csv").write_text("size\n1.0\n2.0\n-3.0\n")
    return found


def expected(folder: Path, model: str) -> tuple[list[float], list[list[float]]]:
    package = open_package(folder / ".bucle" / "packages", model, project=folder)
    frame = pl.DataFrame({"size": SIZES})
    low, high = package.interval(frame)
    return package.predict(frame).tolist(), [list(ends) for ends in zip(low, high, strict=True)]


@pytest.mark.parametrize("name", ["new.csv", "new.json", "new.jsonl", "new.parquet"])
def test_every_kind_of_file_gives_the_numbers_of_the_package(folder: Path, name: str) -> None:
    found = bucle("predict", name, "--json", at=folder).json
    numbers, ends = expected(folder, found[0]["model"])
    assert [one["prediction"] for one in found] == numbers
    assert [one["interval"] for one in found] == ends


def test_a_row_and_standard_input_give_the_same(folder: Path) -> None:
    row = bucle("predict", "--row", '{"size": 19.99}', "--json", at=folder).json
    with (folder / "one.json").open("w+") as given:
        given.write('[{"size": 19.99}]')
        given.seek(0)
        piped = bucle("predict", "-", "--json", at=folder, stdin=given).json
    assert row == piped
    assert row[0]["prediction"] == expected(folder, row[0]["model"])[0][2]


def test_another_model_than_the_champion_can_be_asked(folder: Path) -> None:
    names = sorted(one.name for one in (folder / ".bucle" / "packages").glob("m-*"))
    for name in names:
        found = bucle("predict", "new.csv", "--model", name[:6], "--json", at=folder).json
        assert [one["prediction"] for one in found] == expected(folder, name)[0]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_rows_and_predictions_are_written_side_by_side(folder: Path, name: str) -> None:
    said = bucle("predict", "new.csv", "--output", name, at=folder).out
    assert "4 rows by m-" in said
    content = io.BytesIO((folder / name).read_bytes())
    reader = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}
    written = reader[name.partition(".")[2]](content)
    assert written.columns == ["note", "size", "prediction", "low", "high"]
    assert written["size"].cast(pl.Float64).to_list() == SIZES


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("bad.csv",), "line 3 of bad.csv: 'size' is 'oops'"),
        (("narrow.csv",), "it has no column 'size'"),
        (("negative.csv",), "row 2: 'size'"),
        (("nothing.csv",), "there is no such file"),
        (("new.csv", "--model", "m-none"), "There is no model version"),
        (("new.csv", "--output", "out.xlsx"), "must end in one of"),
        (("new.csv", "--row", "{}"), "name a file, or give one row"),
        ((), "name a file, or give one row"),
        (("--row", "{"), "Cannot read the request"),
        (("--row", '{"size": null}'), "'size'"),
    ],
)
def test_what_cannot_be_predicted_says_why(folder: Path, words: tuple[str, ...], what: str) -> None:
    done = bucle("predict", *words, at=folder, code=2)
    assert what in done.err
    assert not done.out
    assert "Traceback" not in done.err


def test_a_written_csv_runs_nothing_in_a_spreadsheet(folder: Path) -> None:
    (folder / "trap.csv").write_text("=note,size\n=1+1,-0\n@x,1.5\n-2.5,2\n")
    bucle("predict", "trap.csv", "--output", "guarded.csv", at=folder)
    first, *rows = (folder / "guarded.csv").read_text().splitlines()
    assert first.startswith("'=note,size,prediction")
    assert [row.partition(",")[0] for row in rows] == ["'=1+1", "'@x", "-2.5"]
