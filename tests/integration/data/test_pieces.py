"""Files read piece by piece: the same rows and lines as read as a whole, wherever pieces end."""

import gzip
import random
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bucle.charter.settings import DatasetSettings
from bucle.data.pieces import read_pieces
from bucle.data.sources import read_source
from bucle.errors import SourceError

PLAIN = DatasetSettings()


def compare(path: Path, settings: DatasetSettings = PLAIN, *, size: int) -> int:
    """Read both ways, and return how many pieces there were."""
    whole = read_source(path, settings)
    pieces = [piece.rows for piece in read_pieces(path, settings, piece_bytes=size)]
    frame = pl.concat([piece.frame for piece in pieces], how="vertical_relaxed")
    assert_frame_equal(frame, whole.frame)
    origin = pl.concat([piece.origin for piece in pieces])
    assert origin["line"].to_list() == whole.origin["line"].to_list()
    broken = pl.concat([piece.broken for piece in pieces])
    assert (
        broken.select("line", "raw", "reason").rows()
        == whole.broken.select("line", "raw", "reason").rows()
    )
    return len(pieces)


def table(seed: int, *, end: str, separator: str = ",", quoted: bool = True) -> str:
    draw = random.Random(seed)
    words = ["a", "ñandú", "", "1", '"x"', "😀"] + (
        [f'"with {separator} and ""quotes"""', f'"two{end}lines"'] if quoted else []
    )
    lines = [separator.join(["id", "word", "number"])]
    for number in range(300):
        fields = [str(number), draw.choice(words), str(draw.random())]
        if draw.random() < 0.03:
            fields.append("beyond")
        lines.append("" if draw.random() < 0.02 else separator.join(fields))
    return end.join(lines) + (end if draw.random() < 0.5 else "")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [17, 256, 4096])
def test_pieces_of_csv_are_the_whole(tmp_path: Path, seed: int, end: str, size: int) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(table(seed, end=end).encode())
    assert compare(path, size=size) > 1


@pytest.mark.parametrize(
    ("encoding", "settings"),
    [
        ("utf-8-sig", PLAIN),
        ("utf-16", PLAIN),
        ("latin-1", DatasetSettings(encoding="latin-1")),
    ],
)
def test_encodings_are_those_of_the_whole(
    tmp_path: Path, encoding: str, settings: DatasetSettings
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(table(1, end="\n").replace("😀", "ü").encode(encoding))
    assert compare(path, settings, size=100) > 1


def test_a_separator_found_at_first_holds_for_all(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(table(2, end="\n", separator=";"), encoding="utf-8")
    compare(path, size=500)


def test_packed_files_are_read_in_pieces_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(table(3, end="\n").encode()))
    assert compare(path, size=300) > 1
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match="damaged"):
        list(read_pieces(path, PLAIN, piece_bytes=300))


def test_lines_of_json_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [f'{{"id": {number}, "word": "a\\nb"}}' for number in range(200)]
    lines[57] = "{broken"
    path.write_text("\n".join(lines))
    pieces = list(read_pieces(path, PLAIN, piece_bytes=100))
    assert sum(piece.rows.frame.height for piece in pieces) == 199
    assert pl.concat([piece.rows.broken for piece in pieces])["line"].to_list() == [58]
    assert pieces[-1].done == 1.0


def test_parquet_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"id": range(45_000)}).write_parquet(path)
    pieces = list(read_pieces(path, PLAIN))
    assert [piece.rows.frame.height for piece in pieces] == [20_000, 20_000, 5_000]
    assert pieces[-1].rows.origin["line"].to_list()[-1] == 45_000
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SourceError, match="cut short"):
        list(read_pieces(path, PLAIN))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n\xff\xfe,3\n", "0xff"),
        (b"a,b\n" + b"1,2\n" * 2000 + b"\xff,3\n", "0xff"),
        (b"a,b\n" + b"1,2\n" * 2000 + b"\0,3\n", "zero byte"),
        (b"PAR1 but not", "Parquet"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=what):
        list(read_pieces(path, PLAIN, piece_bytes=1000))


def test_a_row_that_never_ends_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bucle.data.pieces._ROW_BYTES", 10_000)
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,"never closed\n' + "2,3\n" * 20_000)
    with pytest.raises(SourceError, match="line 2 is longer than 10,000 bytes"):
        list(read_pieces(path, PLAIN, piece_bytes=1000))


def test_no_pipe_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a file"):
        list(read_pieces(Path("/dev/zero"), PLAIN))
    with pytest.raises(SourceError, match="folder"):
        list(read_pieces(tmp_path, PLAIN))
