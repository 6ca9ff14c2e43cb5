"""Tables as the world has them: the two templates for real files, and files that are no good."""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from calls import bucle

# ---- the real consignment file ----------------------------------------------


@pytest.fixture(scope="module")
def freight(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Return the freight project after its first run, and what that answered."""
    folder = tmp_path_factory.mktemp("scms") / "freight"
    source = shared_data / "scms_consignments.csv"
    bucle("new", folder, "--template", "scms", "--data", source, at=folder.parent)
    answer = bucle("run", "--json", at=folder, code=None)
    assert answer.code in {0, 1}, answer.all
    return folder, answer.json


def test_every_line_of_the_consignments_is_accounted_for(freight) -> None:
    folder, _ = freight
    added = bucle("log", "--kind", "data_added", "--json", at=folder).json[0]["body"]
    assert added["read"] == 10_324
    assert added["added"] + added["unchanged"] + added["quarantined"] == 10_324
    held = bucle("data", "quarantine", "lines", "--json", at=folder).json
    assert len(held) == added["quarantined"]


def test_freight_ends_with_a_verdict_and_a_champion(freight) -> None:
    _, run = freight
    assert run["state"] == "done"
    assert run["verdict"]["outcome"] in {"pass", "undecided", "fail"}
    names = [check["name"] for check in run["verdict"]["checks"]]
    assert any(name.startswith("baseline:") for name in names)
    assert run["champion"] == run["model"]


def test_the_leak_finder_finds_what_gives_the_value_of_a_line_away(freight) -> None:
    folder, _ = freight
    suspects = bucle("data", "check", "lines", "--json", at=folder, code=1).json["suspects"]
    assert [(suspect["kind"], sorted(suspect["columns"])) for suspect in suspects] == [
        ("product", ["Line Item Quantity", "Pack Price"]),
        ("ratio", ["Line Item Insurance (USD)"]),
    ]
    assert all(suspect["evidence"] for suspect in suspects)


# ---- blank ------------------------------------------------------------------


def test_null_values_come_one_by_one_or_between_commas(tmp_path: Path) -> None:
    rows = [f"{i % 23},{['', '?', 'n/a', '-'][i % 40 % 4] or i},{i}\n" for i in range(200)]
    (tmp_path / "t.csv").write_text("size,weight,price\n" + "".join(rows))
    words = ("--data", "t.csv", "--target", "price", "--null-values", "n/a,?", "--null-values=-")
    bucle("new", "shop", *words, at=tmp_path)
    charter = (tmp_path / "shop" / "bucle.toml").read_text()
    assert 'null_values = ["", "n/a", "?", "-"]' in charter
    assert "weight = dy.Int64(" in (tmp_path / "shop" / "contract.py").read_text()


def _taxi(shared: Path, target: Path, *, count: int) -> Path:
    frame = pl.concat(
        [pl.read_parquet(shared / f"green_taxi_2024_0{month}.parquet") for month in (1, 2)],
        how="vertical_relaxed",
    )
    frame.gather_every(max(1, frame.height // count)).head(count).write_parquet(target)
    return target


def _taxi_run(folder: Path, *files: Path) -> tuple[dict, dict]:
    made = bucle(
        *("new", folder, "--template", "blank", "--target", "total_amount"),
        *("--event-time", "lpep_pickup_datetime", "--label-time", "lpep_dropoff_datetime"),
        *("--json", "--data", *files),
        at=folder.parent,
    ).json
    answer = bucle("run", "--json", at=folder, code=None)
    assert answer.code in {0, 1}, answer.all
    return made, answer.json


@pytest.mark.thorough
def test_a_sample_of_taxi_trips_becomes_a_working_project(shared_data, tmp_path) -> None:
    sample = _taxi(shared_data, tmp_path / "trips.parquet", count=5000)
    _, run = _taxi_run(tmp_path / "taxi", sample)
    assert run["state"] == "done"
    data = run["data"][0]
    assert data["rows"] + data["quarantined"] <= 5000
    assert run["verdict"]["rows"] > 100
    assert run["metrics"]["mae"] > 0


@pytest.mark.slow
def test_all_taxi_trips_become_a_working_project(shared_data, tmp_path) -> None:
    files = [shared_data / f"green_taxi_2024_0{month}.parquet" for month in (1, 2)]
    _, run = _taxi_run(tmp_path / "taxi", *files)
    assert run["state"] == "done"
    added = bucle("log", "--kind", "data_added", "--json", at=tmp_path / "taxi").json[0]["body"]
    total = sum(pl.scan_parquet(file).select(pl.len()).collect().item() for file in files)
    assert added["read"] == total > 100_000
    assert added["added"] + added["unchanged"] + added["quarantined"] == total
    assert run["verdict"]["rows"] > 10_000


def _visits(path: Path, count: int = 900) -> Path:
    """Write a table with a yes/no target: who comes back within days."""
    drawn = random.Random(8)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["visit", "at", "channel", "spent", "age", "came_back", "known_at"])
        for number in range(count):
            at = datetime(2025, 3, 1) + timedelta(hours=number)  # noqa: DTZ001  (a wall clock)
            channel = drawn.choice(["shop", "web", "fair"])
            spent, age = drawn.lognormvariate(3, 1), drawn.randint(18, 80)
            odds = 0.1 + 0.6 * (channel == "shop") + 0.2 * (spent > 30)
            writer.writerow(
                [
                    number,
                    at.isoformat(sep=" "),
                    channel,
                    f"{spent:.2f}",
                    age,
                    "yes" if drawn.random() < odds else "no",
                    (at + timedelta(days=3)).isoformat(sep=" "),
                ]
            )
    return path


def test_a_table_with_a_yes_or_no_becomes_a_classifier(tmp_path) -> None:
    visits = _visits(tmp_path / "visits.csv")
    folder = tmp_path / "visits"
    bucle(
        *("new", folder, "--data", visits, "--target", "came_back", "--key", "visit"),
        *("--event-time", "at", "--label-time", "known_at"),
        at=tmp_path,
    )
    run = bucle("run", "--json", at=folder).json
    assert {"log_loss", "brier", "auc", "accuracy"} <= run["metrics"].keys()
    assert 0.6 < run["metrics"]["auc"] <= 1
    assert run["champion"] == run["model"]
    assert "yes" in bucle("show", run["model"], at=folder).out


@pytest.mark.slow
def test_a_table_without_times_works_and_says_what_it_cannot_promise(tmp_path) -> None:
    visits = pl.read_csv(_visits(tmp_path / "visits.csv", 600)).drop("at", "known_at")
    visits.write_csv(tmp_path / "plain.csv")
    folder = tmp_path / "plain"
    words = ("new", folder, "--data", tmp_path / "plain.csv", "--target", "came_back", "--json")
    notes = " ".join(bucle(*words, at=tmp_path).json["notes"])
    assert "time" in notes
    run = bucle("run", "--json", at=folder, code=None)
    assert run.code in {0, 1}, run.all
    assert any("time" in warning for warning in run.json["warnings"])


# ---- files that are no good (the deep tests are beside the readers) ----------

_HEADER = "id,sold_at,paid_at,size,price\n"
_ROW = "{},2025-01-01,2025-01-03,{},{}\n"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one project to which each test offers a file."""
    from shop import write_steps

    return write_steps(tmp_path_factory.mktemp("shelf") / "steps", count=0)


def _offer(shelf: Path, content: bytes, *words: str, name: str = "offer.csv", code: int | None = 0):
    path = shelf / name
    path.write_bytes(content)
    answer = bucle("data", "add", "sales", path, *words, "--json", at=shelf, code=code)
    assert "Traceback" not in answer.all
    return answer


def _table(first: int, count: int = 3) -> str:
    return _HEADER + "".join(_ROW.format(first + at, 1.5 + at, 10 + at) for at in range(count))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("first", "encode"),
    [
        (100, lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r").encode()),
        (200, lambda text: text.replace("\n", "\r\n", 2).encode()),
        (300, lambda text: text.encode("utf-16")),
        (400, lambda text: text.encode().rstrip(b"\n")),
        (500, lambda text: text.replace(",", "\t").encode()),
        (600, lambda text: text.replace(",", ";").encode()),
    ],
    ids=["mark-and-cr", "mixed-ends", "utf-16", "no-last-end", "tabs", "semicolons"],
)
def test_files_of_every_make_are_read(shelf, first, encode) -> None:
    answer = _offer(shelf, encode(_table(first))).json
    assert (answer["added"], answer["quarantined"]) == (3, 0)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id,sold_at\n1,\xff\xfe\xfd\n", "byte"),
        (b"id,id,sold_at\n1,2,2025-01-01\n", "id"),
        (b"\0\0\0\0\0\0\0\0", ""),
        (b"PK\x03\x04 no csv at all", ""),
        (b"a,b\n1,2\n", "column"),
        (b"<html><body>404</body></html>", ""),
    ],
    ids=["not-utf-8", "twice-the-name", "nul", "zip", "other-columns", "html"],
)
def test_files_that_are_none_are_refused_with_a_reason(shelf, content, says) -> None:
    before = bucle("log", "--json", at=shelf).json
    answer = _offer(shelf, content, code=2)
    assert says in answer.err
    assert answer.json["code"].startswith("bucle-1")
    assert bucle("log", "--json", at=shelf).json == before


def test_ragged_rows_and_odd_values_are_all_accounted_for(shelf) -> None:
    odd = (
        _HEADER
        + "900,2025-01-01,2025-01-02,1,2\n"
        + "901,2025-01-01,2025-01-02,1\n"
        + "902,2025-01-01,2025-01-02,1,2,3\n"
        + "903,2025-02-31,2025-01-02,1,2\n"
        + "904,2025-01-01,2025-01-02,inf,2\n"
        + "905,2025-01-01,2025-01-02,1e400,2\n"
        + '906,2025-01-01,2025-01-02,"1,234.5",2\n'
        + "907,2025-01-01,2025-01-02,-,N/A\n"
        + "908,2025-01-01,2025-01-02,0x1F,2\n"
        + "909,0001-01-01,9999-12-31,1,2\n"
        + "910,2025-01-01,2025-01-02,1,2\n"
        + "910,2025-01-01,2025-01-02,1,3\n"
        + ",2025-01-01,2025-01-02,1,2\n"
    )
    answer = _offer(shelf, odd.encode()).json
    body = bucle("log", "--last", "1", "--json", at=shelf).json[0]["body"]
    assert body["read"] == 13
    assert body["added"] + body["changed"] + body["unchanged"] + body["quarantined"] == 13
    assert answer["added"] >= 2
    held = bucle("data", "quarantine", "sales", "--json", at=shelf).json
    assert len(held) >= body["quarantined"] > 0
    assert all(row["reasons"] for row in held)


def test_the_same_file_twice_makes_no_new_version(shelf) -> None:
    first = _offer(shelf, _table(1000).encode()).json
    second = _offer(shelf, _table(1000).encode()).json
    assert (second["version"], second["added"]) == (first["version"], 0)
    assert second["fingerprint"] == first["fingerprint"]


def test_a_truncated_parquet_is_refused(shelf) -> None:
    path = shelf / "whole.parquet"
    pl.read_csv(_table(1100).encode()).write_parquet(path)
    answer = _offer(shelf, path.read_bytes()[:-9], name="torn.parquet", code=2)
    assert "torn.parquet" in answer.err


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n", ["--target", "b"]),
        ("a,b\n1,\n2,\n3,\n", ["--target", "b"]),
        ("a,b\n1,5\n2,5\n3,5\n", ["--target", "b"]),
        ("a,b\n1,5\n", ["--target", "b"]),
        ("a,b\n1,5\n2,6\n", ["--target", "b"]),
        ('"",<script>alert(1)</script>,b\n1,2,3\n4,5,6\n', ["--target", "b"]),
        (
            ",".join(f"c{at}" for at in range(400)) + "\n" + ",".join("1" * 400),
            ["--target", "c1"],
        ),
        ("a,A, a,b\n1,2,3,4\n5,6,7,8\n", ["--target", "b"]),
    ],
    ids=["header", "no-label", "constant", "one-row", "two-rows", "script", "wide", "alike"],
)
def test_blank_draws_up_a_project_from_odd_tables_or_says_why_not(tmp_path, content, words) -> None:
    (tmp_path / "odd.csv").write_text(content)
    made = bucle("new", "odd", "--data", "odd.csv", *words, at=tmp_path, code=None)
    assert made.code in {0, 2}
    assert "Traceback" not in made.all
    assert "\x1b" not in made.all
    if made.code == 2:
        assert "Code: bucle-" in made.err
        assert not (tmp_path / "odd").exists()
        return
    added = bucle("data", "add", "odd", at=tmp_path / "odd", code=None)
    assert added.code in {0, 2}
    assert "Traceback" not in added.all
