"""Rows are found whatever their line ends, and quotes out of place are noticed."""

import pytest

from bucle.data.layout import find_layout, find_separator
from bucle.errors import SourceError


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_kind_of_line_end_ends_a_row(end: bytes) -> None:
    content = end.join([b"a,b", b"1,2", b"3,4"])
    for text in (content, content + end):
        found = find_layout(text, separator=",")
        assert found is not None
        rows = [text[s:e] for s, e in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]
        assert rows == [b"a,b", b"1,2", b"3,4"]
        assert found.lines.tolist() == [1, 2, 3]
        assert found.separators.tolist() == [1, 1, 1]


def test_line_ends_and_separators_in_quotes_are_content() -> None:
    found = find_layout(b'a,b\r"x,\r\ny",1\n"",""\n', separator=",")
    assert found is not None
    assert found.lines.tolist() == [1, 2, 4]
    assert found.separators.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "text", [b'a\n5" pipe\n', b'a\n"x"y\n', b'a\n"x\n', b'a,b\n"1" ,2\n', b'a\n x"y"\n']
)
def test_a_quote_out_of_place_is_noticed(text: bytes) -> None:
    assert find_layout(text, separator=",") is None


@pytest.mark.parametrize("text", [b'a\n"x""y"\n', b'"a"\n""""\n', b'""', b'"a""",b'])
def test_doubled_quotes_are_in_place(text: bytes) -> None:
    assert find_layout(text, separator=",") is not None


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        (b"a,b\n1,2\n", ","),
        (b"a;b\n1,5;2,5\n", ";"),
        (b"a\tb\n1\t2\n", "\t"),
        (b"a|b\n1|2\n", "|"),
        (b"name\nx;y\n", ","),
        (b'"a;x",b\n1,2\n', ","),
    ],
)
def test_the_separator_is_the_one_that_splits_evenly(text: bytes, separator: str) -> None:
    found, notes = find_separator(text, name="f", given=None)
    assert found == separator
    assert bool(notes) == (separator != ",")


@pytest.mark.parametrize("given", ["", ";;", '"', "\n", "é"])
def test_a_separator_that_cannot_be_is_refused(given: str) -> None:
    with pytest.raises(SourceError, match="cannot separate values"):
        find_separator(b"a", name="f", given=given)
