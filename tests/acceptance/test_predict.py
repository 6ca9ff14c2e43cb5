"""`bucle predict`: rows at hand, the way the server answers them."""

import io
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from calls import bucle
from serving import table

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
    (found / "again.failed.csv").write_text("size,_line,_reason\n1.0,2,none\n")
    (found / "bad.csv").write_text("size\n1.0\noops\n")
    (found / "narrow.csv").write_text("width\n1.0\n")
    (found / "negative.csv").write_text("size\n1.0\n2.0\n-3.0\n")
    return found


def expected(folder: Path, model: str) -> tuple[list[float], list[list[float]]]:
    package = open_package(folder / ".bucle" / "packages", model, project=folder)
    frame = pl.DataFrame({"size": SIZES})
    low, high = package.interval(frame)
    return package.predict(frame).tolist(), [list(ends) for ends in zip(low, high, strict=True)]


@pytest.mark.parametrize(
    "name",
    [
        "new.csv",
        *(
            pytest.param(name, marks=pytest.mark.thorough)
            for name in ("new.json", "new.jsonl", "new.parquet")
        ),
    ],
)
def test_every_kind_of_file_gives_the_numbers_of_the_package(folder: Path, name: str) -> None:
    found = bucle("predict", name, "--json", at=folder).json
    numbers, ends = expected(folder, found[0]["model"])
    assert [one["prediction"] for one in found] == numbers
    assert [one["interval"] for one in found] == ends


@pytest.mark.thorough
def test_a_row_and_standard_input_give_the_same(folder: Path) -> None:
    row = bucle("predict", "--row", '{"size": 19.99}', "--json", at=folder).json
    with (folder / "one.json").open("w+") as given:
        given.write('[{"size": 19.99}]')
        given.seek(0)
        piped = bucle("predict", "-", "--json", at=folder, stdin=given).json
    assert row == piped
    assert row[0]["prediction"] == expected(folder, row[0]["model"])[0][2]


@pytest.mark.thorough
def test_another_model_than_the_champion_can_be_asked(folder: Path) -> None:
    names = sorted(one.name for one in (folder / ".bucle" / "packages").glob("m-*"))
    for name in names:
        found = bucle("predict", "new.csv", "--model", name[:6], "--json", at=folder).json
        assert [one["prediction"] for one in found] == expected(folder, name)[0]


READERS = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}


def written(folder: Path, name: str) -> pl.DataFrame:
    content = io.BytesIO((folder / name).read_bytes())
    return READERS[name.rpartition(".")[2]](content)


@pytest.mark.parametrize(
    "name",
    [
        "out.parquet",
        *(pytest.param(f"out.{kind}", marks=pytest.mark.thorough) for kind in ("csv", "jsonl")),
    ],
)
def test_rows_and_predictions_are_written_side_by_side(folder: Path, name: str) -> None:
    said = bucle("predict", "new.csv", "-o", name, "--no-log", at=folder).out
    assert "4 rows by m-" in said
    found = written(folder, name)
    assert found.columns == ["note", "size", "prediction", "low", "high", "model"]
    assert found["size"].cast(pl.Float64).to_list() == SIZES
    assert found["prediction"].to_list() == expected(folder, found["model"][0])[0]
    assert not list(folder.glob(".out*"))


@pytest.mark.thorough
def test_what_is_written_is_on_record_as_an_answer_is(shop: Path) -> None:
    (shop / "new.csv").write_text("id,size\n" + "".join(f"k{n},{n}.5\n" for n in range(2500)))
    said = bucle("predict", "new.csv", "--output", "out.parquet", "--json", at=shop).json
    assert (said["rows"], said["failed"], said["recorded"]) == (2500, 0, True)
    found = written(shop, "out.parquet")
    log = table(shop, "predictions")
    assert dict(zip(log["id"], log["prediction"], strict=True)) == dict(
        zip(found["prediction_id"], found["prediction"], strict=True)
    )
    assert set(log["role"]) == {"champion"}
    assert log.sort("id")["key"].to_list() == [f"k{n}" for n in range(2500)]
    # Another model than the champion answers nobody.
    champion = found["model"][0]
    (other,) = {one.name for one in (shop / ".bucle/packages").glob("m-*")} - {champion}
    bucle("predict", "new.csv", "--model", other, "-o", "other.csv", at=shop)
    log = table(shop, "predictions")
    assert set(log.filter(pl.col("model") == other)["role"]) == {"shadow"}


def test_rows_that_fail_go_aside_with_their_reasons(folder: Path) -> None:
    lines = [f"{n},1.5" for n in range(3000)]
    lines[10], lines[1500], lines[2999] = "10,oops", "1500,-3", "2999,1.5,beyond"
    (folder / "some.csv").write_text("note,size\n" + "\n".join(lines) + "\n")
    done = bucle("predict", "some.csv", "-o", "some.out.csv", "--no-log", at=folder)
    assert "3 rows could not be predicted" in done.err
    assert "2,997 rows by m-" in done.out
    failed = written(folder, "some.out.failed.csv")
    reasons = dict(zip(failed["_line"], failed["_reason"], strict=True))
    assert reasons.keys() == {12, 1502, 3001}
    assert "'oops'" in reasons[12]
    assert "'size'" in reasons[1502]
    assert written(folder, "some.out.csv").height == 2997
    # Once all is well, what failed before is gone.
    (folder / "some.csv").write_text("note,size\n1,2\n")
    bucle("predict", "some.csv", "-o", "some.out.csv", "--no-log", at=folder)
    assert not (folder / "some.out.failed.csv").exists()


@pytest.mark.thorough
def test_nothing_of_an_output_is_there_before_it_is_whole(folder: Path) -> None:
    (folder / "torn.csv").write_bytes(b"size\n" + b"1.5\n" * 200_000 + b"\xff\n")
    done = bucle("predict", "torn.csv", "-o", "torn.out.csv", "--no-log", at=folder, code=2)
    assert "0xff" in done.err
    assert not list(folder.glob("*torn.out*"))


@pytest.mark.parametrize(
    ("words", "what"),
    [
        pytest.param(("bad.csv",), "'size' is 'oops'", marks=pytest.mark.thorough),
        pytest.param(("narrow.csv",), "it has no column 'size'", marks=pytest.mark.thorough),
        pytest.param(
            ("negative.csv",), "Cannot predict line 4 of negative.csv", marks=pytest.mark.thorough
        ),
        (("new.json", "-o", "out.csv"), "Cannot write predictions of JSON"),
        pytest.param(("nothing.csv",), "there is no such file", marks=pytest.mark.thorough),
        pytest.param(
            ("new.csv", "--model", "m-none"),
            "There is no model version",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            ("new.csv", "--output", "out.xlsx"), "must end in one of", marks=pytest.mark.thorough
        ),
        pytest.param(
            ("new.csv", "--row", "{}"), "name a file, or give one row", marks=pytest.mark.thorough
        ),
        ((), "name a file, or give one row"),
        pytest.param(("--row", "{"), "Cannot read the request", marks=pytest.mark.thorough),
        pytest.param(
            ("--row", '{"size": null}'),
            "'size': expected a number, got null",
            marks=pytest.mark.thorough,
        ),
        (("--row", '{"sise": 1}'), "Try: bucle show m-"),
        (("new.csv", "-o", "new.csv"), "new.csv would take the place of the rows"),
        pytest.param(
            ("again.failed.csv", "-o", "again.csv"),
            "again.failed.csv would take the place of the rows",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_what_cannot_be_predicted_says_why(folder: Path, words: tuple[str, ...], what: str) -> None:
    done = bucle("predict", *words, at=folder, code=2)
    assert what in done.err
    assert not done.out
    assert "Traceback" not in done.err


def test_a_written_csv_runs_nothing_in_a_spreadsheet(folder: Path) -> None:
    (folder / "trap.csv").write_text("=note,size\n=1+1,-0\n@x,1.5\n-2.5,2\n")
    bucle("predict", "trap.csv", "--no-log", "-o", "guarded.csv", at=folder)
    first, *rows = (folder / "guarded.csv").read_text().splitlines()
    assert first.startswith("'=note,size,prediction")
    assert [row.partition(",")[0] for row in rows] == ["'=1+1", "'@x", "-2.5"]
