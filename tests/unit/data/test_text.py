"""Text becomes UTF-8 by its mark or by its settings, never by a guess."""

import codecs

import pytest

from bucle.data.text import decode_text
from bucle.errors import SourceError


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        ("añb".encode(), 0),
        (codecs.BOM_UTF8 + "añb".encode(), 0),
        ("añb".encode("utf-16"), 1),
        (codecs.BOM_UTF16_BE + "añb".encode("utf-16-be"), 1),
        (codecs.BOM_UTF32_LE + "añb".encode("utf-32-le"), 1),
    ],
)
def test_a_mark_is_believed_and_told(content: bytes, notes: int) -> None:
    text = decode_text(content, name="a.csv")
    assert text.content.decode() == "añb"
    assert len(text.notes) == notes


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_seen_by_its_zero_bytes(codec: str) -> None:
    text = decode_text("name,price\nñandú,1\n".encode(codec), name="a.csv")
    assert text.content.decode() == "name,price\nñandú,1\n"
    assert codec in text.notes[0]


def test_latin_1_is_refused_with_line_and_byte() -> None:
    with pytest.raises(SourceError) as caught:
        decode_text("a,b\r\nx,y\rCôte,2\n".encode("latin-1"), name="a.csv")
    assert "a.csv as UTF-8: line 3 holds byte 0xf4 (position 10)" in str(caught.value)
    assert "as Latin-1 it would read: a,b x,y Côte,2" in str(caught.value)
    assert caught.value.code == "bucle-126"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ISO-8859-1"])
def test_a_named_encoding_is_used(encoding: str) -> None:
    assert decode_text(b"C\xf4te", name="a", encoding=encoding).content.decode() == "Côte"


def test_a_named_encoding_with_its_mark_loses_the_mark() -> None:
    assert decode_text(codecs.BOM_UTF8 + b"a", name="a", encoding="utf-8").content == b"a"
    assert decode_text("a".encode("utf-16"), name="a", encoding="utf-16").content == b"a"


@pytest.mark.parametrize("encoding", ["latin1-x", "rot13", "base64", "zip", "é"])
def test_a_wrong_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(SourceError, match="is not an encoding"):
        decode_text(b"a", name="a.csv", encoding=encoding)


def test_a_byte_the_named_encoding_cannot_say_is_refused_with_its_place() -> None:
    with pytest.raises(SourceError, match="line 2 holds byte 0x81"):
        decode_text(b"a\n\x81", name="a.csv", encoding="cp1252")


def test_a_zero_byte_is_refused_with_its_place() -> None:
    with pytest.raises(SourceError, match=r"line 2 holds a zero byte \(position 6\)"):
        decode_text(b"a,b\n1,\x002\n", name="a.csv")


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"PAR1....PAR1", "Parquet"), (b"PK\x03\x04..", "ZIP"), (b"ARROW1\0\0", "Arrow")],
)
def test_another_format_is_named(content: bytes, kind: str) -> None:
    with pytest.raises(SourceError, match=kind):
        decode_text(content, name="a.csv")
