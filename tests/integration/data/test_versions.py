"""Datasets on disk: contract, quarantine and versions, also when an ingest is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.fingerprint import fingerprint
from bucle.data.ingest import Ingested, ingest
from bucle.data.quarantine import export_rows, open_rows
from bucle.data.sources import read_source
from bucle.errors import ContractError
from bucle.store.delta_tables import DeltaTables
from bucle.types import DataVersion

CONTRACT = """
import dataframely as dy
import polars as pl


class Sales(dy.Schema):
    item = dy.Int64()
    price = dy.Float64(min=0)
    grade = dy.Enum(["A", "B"])
    sold = dy.Date(nullable=True)


def prepare(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.with_columns(pl.col("grade").str.to_uppercase())


def shorten(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.head(1)


def fail(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.with_columns(pl.col("nothing"))


def give_text(raw: pl.DataFrame) -> str:
    return "x"


price = 3
"""
SETTINGS = DatasetSettings(contract="contract.py:Sales", prepare="contract.py:prepare", key="item")
SALES = """item,price,grade,sold
1,5,a,2026-01-01
2,-6,b,2-Jan-26
3,word,b,31/02/2026
4,7,c,
5,8,a,soon
6,9
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "contract.py").write_text(CONTRACT)
    return tmp_path


def add(
    project: Path,
    text: str,
    current: DataVersion | None = None,
    settings: DatasetSettings = SETTINGS,
) -> Ingested:
    file = project / "sales.csv"
    file.write_text(text)
    return ingest(
        read_source(file, settings, root=project),
        dataset="sales",
        settings=settings,
        root=project,
        tables=DeltaTables(project / "tables"),
        current=current,
    )


def test_bad_rows_are_listed_exported_corrected_and_added_again(project: Path) -> None:
    first = add(project, SALES)
    assert (first.read, first.added, first.quarantined) == (6, 2, 4)
    tables = DeltaTables(project / "tables")
    rows = open_rows(tables, dataset="sales", version=1)
    assert [
        (line, json.loads(reasons)) for line, reasons in rows.select("line", "reasons").rows()
    ] == [
        (3, ["price: '-6' is below the least allowed, 0"]),
        (4, ["price: 'word' is not a number"]),
        (5, ["grade: 'C' is not one of A, B"]),
        (7, ["row has 2 fields, header has 4"]),
    ]
    assert json.loads(rows["raw"][1]) == {
        "item": "3",
        "price": "word",
        "grade": "b",
        "sold": "31/02/2026",
    }
    exported = export_rows(rows)
    mended = exported.replace("-6", "6").replace("word", "1").replace("6,9,,", "6,9,a,")
    second = add(project, mended, first.version)
    assert (second.added, second.corrected, second.quarantined) == (3, 3, 1)
    assert open_rows(tables, dataset="sales", version=2)["line"].to_list() == [5]
    assert second.version is not None
    stored = tables.read("sales", version=second.version.table_version)
    assert fingerprint(stored) == second.version.fingerprint
    assert sorted(stored["item"]) == [1, 2, 3, 5, 6]


def test_what_was_coerced_is_reported(project: Path) -> None:
    done = add(project, SALES)
    assert [(c.column, c.count, c.examples, c.became) for c in done.coerced] == [
        ("sold", 2, ("31/02/2026", "soon"), "null")
    ]


def test_a_new_column_of_the_contract_keeps_older_rows(project: Path) -> None:
    first = add(project, SALES)
    (project / "contract.py").write_text(
        CONTRACT.replace("    sold =", "    shop = dy.String(nullable=True)\n    sold =")
    )
    second = add(project, "item,price,grade,sold,shop\n9,1,a,,Lima\n", first.version)
    assert second.version is not None
    stored = DeltaTables(project / "tables").read("sales")
    assert stored.filter(stored["item"] == 9)["shop"].to_list() == ["Lima"]
    assert stored["shop"].null_count() == 2
    assert any("'shop' is new" in note for note in second.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"contract": "contract.py:prepare"}, "as a contract"),
        ({"contract": "contract.py:price"}, "as a contract: it is int"),
        ({"prepare": "contract.py:price"}, "it is no function"),
        ({"prepare": "contract.py:shorten"}, "1 rows for 5"),
        ({"prepare": "contract.py:fail"}, "contract.py:22: Cannot prepare rows"),
        ({"prepare": "contract.py:give_text"}, "str is no polars DataFrame"),
    ],
)
def test_project_code_that_cannot_be_used_is_named(
    project: Path, change: dict[str, str], words: str
) -> None:
    options = {"contract": "contract.py:Sales", "prepare": "contract.py:prepare", "key": "item"}
    with pytest.raises(ContractError) as caught:
        add(project, SALES, settings=DatasetSettings(**(options | change)))
    assert words in str(caught.value)
    assert not (project / "tables").exists() or not any((project / "tables").iterdir())


CHILD = """
import sys
from pathlib import Path
from bucle.charter.settings import DatasetSettings
from bucle.data.ingest import ingest
from bucle.data.sources import read_source
from bucle.store.delta_tables import DeltaTables
from bucle.types import DataVersion
import msgspec

project, record = Path(sys.argv[1]), Path(sys.argv[2])
settings = DatasetSettings(key="item")
current = msgspec.json.decode(record.read_bytes(), type=DataVersion) if record.exists() else None
print("ready", flush=True)
for _ in range(1000):
    for number in range(3):
        raw = read_source(project / f"{number}.csv", settings)
        done = ingest(
            raw,
            dataset="sales",
            settings=settings,
            root=project,
            tables=DeltaTables(project / "tables"),
            current=current,
        )
        current = done.version
        part = record.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(current))
        part.replace(record)
        print("recorded", flush=True)
"""


def test_a_killed_ingest_leaves_the_recorded_version_and_the_next_one_goes_on(
    project: Path,
) -> None:
    import msgspec

    for number in range(3):
        rows = "".join(f"{i},{i % 7 + number}\n" for i in range(200))
        (project / f"{number}.csv").write_text("item,price\n" + rows + f",{number}\n")
    (project / "child.py").write_text(textwrap.dedent(CHILD))
    record = project / "record.json"
    dice = random.Random(7)
    for turn in range(6):
        child = subprocess.Popen(
            [sys.executable, project / "child.py", project, record], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if turn % 2:
            # However slow the machine, these turns are cut off after a version was recorded.
            assert child.stdout.readline() == b"recorded\n"
        time.sleep(dice.uniform(0.0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if not record.exists():
            continue
        current = msgspec.json.decode(record.read_bytes(), type=DataVersion)
        tables = DeltaTables(project / "tables")
        stored = tables.read("sales", version=current.table_version)
        assert fingerprint(stored) == current.fingerprint
        assert open_rows(tables, dataset="sales", version=current.version).height <= 3
    assert record.exists()
