"""Real files: whatever they are, rows with exact reports or one helpful error."""

import contextlib
import gzip
import io
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.files import read_snapshot
from bucle.data.places import find_sources
from bucle.data.sources import read_source
from bucle.errors import BucleError, OutsideError, SourceError

PLAIN = DatasetSettings()


def refused(path: Path | str, settings: DatasetSettings = PLAIN, **options: object) -> str:
    """Return the message with which a source is refused, and check its form."""
    started = time.monotonic()
    with pytest.raises(BucleError) as caught:
        read_source(path, settings, **options)
    assert time.monotonic() - started < 5
    assert caught.value.exit_code in {2, 3}
    assert caught.value.code.startswith("bucle-12")
    return str(caught.value)


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_missing_file(tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path / "no.csv")


def test_a_folder(tmp_path: Path) -> None:
    assert "it is a folder, not a file" in refused(tmp_path)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "it is a pipe" in refused(tmp_path / "pipe.csv")


def test_a_device_does_not_fill_memory() -> None:
    assert "it is a device" in refused("/dev/zero")


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("s.csv")
        assert "socket" in refused("s.csv")


@contextlib.contextmanager
def _nobody() -> Iterator[None]:
    """Be somebody whom permissions bind: root may read every file."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_an_empty_file(tmp_path: Path) -> None:
    assert "the file is empty" in refused(write(tmp_path / "a.csv", ""))


def test_a_header_alone(tmp_path: Path) -> None:
    assert "a header and no row" in refused(write(tmp_path / "a.csv", "a,b\r\n"))


def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a\n1\n")
    path.chmod(0)
    with _nobody():
        assert "may not read it" in refused(path)


@pytest.mark.parametrize("name", ["a\0b.csv", "x" * 300 + ".csv", "\n.csv", "🙂.csv", "-rf"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    assert "Cannot read" in refused(f"{tmp_path}/{name}")


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    assert "its links go round" in refused(tmp_path / "a.csv")


def test_a_packed_file(tmp_path: Path) -> None:
    two_members = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n")
    rows = read_source(write(tmp_path / "a.csv.gz", two_members), PLAIN)
    assert rows.frame.rows() == [("1", "2"), ("3", "4")]


def test_a_bomb_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=9) as packed:
        block = b"1,2\n" * 1_000_000
        packed.write(b"a,b\n")
        for _ in range(60):
            packed.write(block)
    message = refused(write(tmp_path / "a.csv.gz", stream.getvalue()))
    assert "would become more than" in message
    assert "bucle-124" in message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.csv.gz",
            gzip.compress(b"a,b\n1,2\n" * 100, mtime=0)[:-20],
            "it ends before its content does",
        ),
        ("a.csv.gz", b"a,b\n1,2\n", "its name says gzip, its content is no gzip"),
        (
            "a.csv",
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            "its name says plain text, its content is gzip",
        ),
        ("a.csv.gz", b"\x1f\x8b\x08" + b"\xff" * 50, "it is damaged"),
        ("a.csv", b"PK\x03\x04rest", "its content is ZIP"),
        ("a.parquet", b"a,b\n1,2\n", "as Parquet: its content is something else"),
        ("a.arrow", b"a,b\n1,2\n", "as Arrow IPC: its content is something else"),
        ("a.xlsx", b"anything", "Cannot tell the format"),
        ("a.csv", b"a,b\n1,\xf4\n", "line 2 holds byte 0xf4 (position 6)"),
        ("a.csv", b"a,b\n1,\x00\n", "zero byte"),
        ("a.csv", b"a,b\n1\n2\n", "none of its 2 rows fits"),
        ("a.csv", b"1,2\n3,4\n", "values, not names"),
        ("a.jsonl", b"[1]\n[2]\n", "none of its 2 rows fits"),
    ],
)
def test_content_that_is_not_what_it_seems(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    assert words in refused(write(tmp_path / name, content))


def test_a_file_beyond_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a\n" + "1\n" * 100)
    assert "are more than 50" in refused(path, max_bytes=50)
    sparse = tmp_path / "b.csv"
    with sparse.open("wb") as stream:
        stream.truncate(5 * 1024**3)
    assert "bucle-124" in refused(sparse)


def test_an_unclosed_quote_over_many_megabytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n"' + "x" * 30_000_000 + "\n3,4\n")
    rows = read_source(path, PLAIN)
    assert rows.frame.rows() == [("1", "2"), ("3", "4")]
    assert rows.broken["reason"].to_list() == ["a quote is opened and never closed"]
    assert rows.broken["line"].to_list() == [3]


def test_a_file_that_grows_is_read_as_it_was_without_its_last_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\n" + "1,2\n" * 2_000_000)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"3,4\n")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        # Whether the writer gets its turn while we read is up to the machine: read until it did.
        rows = next(rows for rows in iter(lambda: read_source(path, PLAIN), None) if rows.notes)
    finally:
        stop.set()
        writer.join()
    assert "it grew while it was read" in rows.notes[0]
    assert 1_999_999 <= rows.frame.height < path.read_bytes().count(b"\n")
    assert rows.broken.is_empty()
    (file,) = rows.files
    read = path.read_bytes()[: file.bytes]
    path.write_bytes(read)
    assert read_snapshot(path).digest == file.digest


def test_a_file_that_is_rewritten_while_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"a\n" + b"1\n" * 50_000_000)
    stop = threading.Event()

    def touch() -> None:
        moment = 1
        while not stop.is_set():
            os.utime(path, ns=(moment, moment))
            moment += 1

    writer = threading.Thread(target=touch)
    writer.start()
    while path.stat().st_mtime > 1:
        time.sleep(0.001)
    try:
        assert "it was rewritten while it was read" in refused(path)
    finally:
        stop.set()
        writer.join()


def test_a_glob_reads_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b", 2), ("a", 1), ("c", 3)):
        write(tmp_path / f"{name}.csv", f"x\n{value}\n")
    rows = read_source(f"{tmp_path}/*.csv", PLAIN, root=tmp_path)
    assert rows.frame["x"].to_list() == ["1", "2", "3"]
    assert rows.origin.rows() == [("a.csv", 2), ("b.csv", 2), ("c.csv", 2)]
    assert [file.name for file in rows.files] == ["a.csv", "b.csv", "c.csv"]
    assert "Cannot find a file that fits" in refused(f"{tmp_path}/*.parquet")


def test_files_with_other_columns_are_named(tmp_path: Path) -> None:
    one, two = (
        write(tmp_path / "a.csv", "id,price\n1,2\n"),
        write(tmp_path / "b.csv", "id,prise\n1,2\n"),
    )
    with pytest.raises(SourceError, match="their columns differ") as caught:
        read_source([one, two], PLAIN, root=tmp_path)
    assert "b.csv has no 'price'; a.csv has no 'prise'" in str(caught.value)
    assert caught.value.did_you_mean == ("prise",)


def test_odd_names_of_a_typed_file_become_usable(tmp_path: Path) -> None:
    frame = pl.DataFrame({"*": [1], "^a$": [2], "": [3], "0": [4]})
    frame.write_parquet(tmp_path / "a.parquet")
    rows = read_source(tmp_path / "a.parquet", DatasetSettings())
    assert rows.frame.columns == ["column_1", "column_2", "column_3", "0"]
    assert len(rows.notes) == 3


def test_parquet_and_arrow_keep_their_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"a": [1, None], "b": ["x", "y"], "c": [[1], [2, 3]], "d": [b"\x01", None]}
    )
    frame.write_parquet(tmp_path / "f.parquet")
    frame.write_ipc(tmp_path / "f.arrow")
    frame.write_ipc_stream(tmp_path / "f.ipc")
    for name in ("f.parquet", "f.arrow", "f.ipc"):
        rows = read_source(tmp_path / name, PLAIN)
        assert rows.frame.rows() == [(1, "x", "[1]", "01"), (None, "y", "[2, 3]", None)]
        assert rows.origin["line"].to_list() == [1, 2]
        assert len(rows.notes) == 2


@pytest.mark.parametrize("name", ["f.parquet", "f.arrow"])
def test_cut_or_damaged_files_are_refused(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = pl.DataFrame({"a": range(1000), "b": [str(i) for i in range(1000)]})
    path = tmp_path / name
    frame.write_parquet(path) if name == "f.parquet" else frame.write_ipc(path)
    whole = path.read_bytes()
    assert "cut short" in refused(write(path, whole[:-30]))
    middle = len(whole) // 2
    for content in (
        whole[:8] + whole[-40:],
        whole[:-200] + b"\xff" * 150 + whole[-50:],
        whole[: middle - 500] + b"\xff" * 1000 + whole[middle + 500 :],
    ):
        write(path, content)
        # Damage within a page of values may leave a file that reads; it never ends in a traceback.
        with contextlib.suppress(SourceError):
            read_source(path, PLAIN)
    assert "Traceback" not in capfd.readouterr().err


def test_numbers_of_different_width_are_widened_and_told(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}, schema={"a": pl.Int32}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"a": [2.5]}).write_parquet(tmp_path / "b.parquet")
    rows = read_source(f"{tmp_path}/*.parquet", PLAIN)
    assert rows.frame["a"].to_list() == [1.0, 2.5]
    assert "Int32, Float64 in different files: Float64" in rows.notes[0]
    pl.DataFrame({"a": ["x"]}).write_parquet(tmp_path / "c.parquet")
    assert "column 'a' has different types" in refused(f"{tmp_path}/*.parquet")


def test_the_settings_name_format_and_encoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dat", "a;b\nCôte;1,5\n".encode("cp1252"))
    settings = DatasetSettings(format="csv", encoding="cp1252", separator=";")
    assert read_source(path, settings).frame.rows() == [("Côte", "1,5")]


def test_sources_of_the_charter_stay_in_the_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    write(tmp_path / "secret.csv", "a\n1\n")
    write(project / "data" / "b.csv", "a\n1\n")
    write(project / "data" / "a.csv", "a\n1\n")
    found = find_sources(DatasetSettings(source="data/*.csv"), root=project)
    assert [Path(item).name for item in found] == ["a.csv", "b.csv"]
    (project / "data" / "loot.csv").symlink_to(tmp_path / "secret.csv")
    for source in (
        "../secret.csv",
        str(tmp_path / "secret.csv"),
        "data/loot.csv",
        "data/*.csv",
        "~/x.csv",
        "sqlite:///../x.db",
    ):
        with pytest.raises(SourceError, match="outside the project"):
            find_sources(DatasetSettings(source=source), root=project)
    for source in ("data/none.csv", "none/*.csv"):
        with pytest.raises(SourceError, match="Cannot find a file"):
            find_sources(DatasetSettings(source=source), root=project)
    with pytest.raises(SourceError, match="it has no source"):
        find_sources(DatasetSettings(), root=project)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop 1.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sales (id INTEGER, price, at TEXT)")
        connection.executemany(
            "INSERT INTO sales VALUES (?, ?, ?)",
            [(1, 2.5, "2026-01-01"), (2, "N/A", None), (3, None, "x")],
        )
    connection.close()
    return path


def test_a_query_of_sqlite(shop: Path) -> None:
    settings = DatasetSettings(query="SELECT * FROM sales ORDER BY id")
    rows = read_source("sqlite:///shop%201.db", settings, root=shop.parent)
    assert rows.frame.rows() == [(1, "2.5", "2026-01-01"), (2, "N/A", None), (3, None, "x")]
    assert [(c.column, c.became) for c in rows.coercions] == [("price", "text")]
    assert rows.files[0].format == "sql"
    again = read_source(f"sqlite:///{shop}".replace(" ", "%20"), settings)
    assert again.files[0].digest == rows.files[0].digest


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM sales",
        "SELECT 1; DELETE FROM sales",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA journal_mode = DELETE",
        "SELECT * FROM nothing",
        "CREATE TABLE x (a)",
        "SELECT load_extension('x')",
        "not sql",
        "",
    ],
)
def test_a_query_that_does_not_only_read_is_refused(shop: Path, query: str) -> None:
    before = shop.read_bytes()
    settings = DatasetSettings(query=query)
    assert "bucle-128" in refused("sqlite:///shop%201.db", settings, root=shop.parent)
    assert shop.read_bytes() == before
    assert [path.name for path in shop.parent.iterdir()] == [shop.name]


def test_a_database_that_is_none(tmp_path: Path) -> None:
    settings = DatasetSettings(query="SELECT 1 AS a")
    write(tmp_path / "x.db", "this is no database at all, but some text" * 50)
    assert "not a database" in refused(
        "sqlite:///x.db", DatasetSettings(query="SELECT * FROM a"), root=tmp_path
    )
    assert "no such file" in refused("sqlite:///y.db", settings, root=tmp_path)
    assert not (tmp_path / "y.db").exists()


def test_an_address_that_cannot_be_read() -> None:
    assert "Cannot read from https://" in refused("https://example.org/a.csv")
    assert "Did you mean: sqlite" in refused("sqlit:///a.db")


def test_a_database_that_is_not_there_hides_the_password() -> None:
    settings = DatasetSettings(query="SELECT 1 AS a")
    with pytest.raises(OutsideError) as caught:
        read_source("postgresql://ana:secret@127.0.0.1:1/shop", settings)
    assert "secret" not in str(caught.value)
    assert "postgresql://ana:***@127.0.0.1:1/shop" in str(caught.value)


def test_an_address_that_cannot_be_read_hides_the_password() -> None:
    with pytest.raises(SourceError) as caught:
        read_source("postgresql://ana:secret@[bad/shop", DatasetSettings(query="SELECT 1"))
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
def test_a_query_of_postgresql(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE sales (id int, price numeric(8,2), at timestamptz, ok bool)"
        )
        connection.execute(
            "INSERT INTO sales SELECT i, i / 4.0, '2026-01-01T10:00:00+02', i % 2 = 0"
            " FROM generate_series(1, 25000) i"
        )
    rows = read_source(postgres, DatasetSettings(query="SELECT * FROM sales ORDER BY id"))
    assert rows.frame.height == 25_000
    assert rows.frame["at"].dtype == pl.Datetime("us", "UTC")
    assert float(rows.frame["price"][4]) == 1.25
    assert rows.frame["ok"][:2].to_list() == [False, True]
    for query in ("DELETE FROM sales", "SELECT 1; DELETE FROM sales", "SELECT * FROM nothing"):
        assert "bucle-128" in refused(postgres, DatasetSettings(query=query))
    count = read_source(postgres, DatasetSettings(query="SELECT count(*) AS n FROM sales"))
    assert count.frame["n"][0] == 25_000
