"""Bodies that a load sends."""

import json

import pytest

from bucle.errors import RequestError, UsageError
from bucle.serve.load_rows import bodies_of, read_lines, read_row, typical_rows


def test_one_row_is_an_object_and_several_are_a_list() -> None:
    rows = [b'{"a": 1}', b'{"a": 2}']
    assert [json.loads(body) for body in bodies_of(rows, count=1)] == [{"a": 1}, {"a": 2}]
    (first, second) = bodies_of(rows, count=3)
    assert [one["a"] for one in json.loads(first)] == [1, 2, 1]
    assert [one["a"] for one in json.loads(second)] == [2, 1, 2]


def test_bodies_are_bounded() -> None:
    assert len(bodies_of([b"{}"] * 5000, count=1)) == 1000
    large = b'{"a":"' + b"x" * 1_000_000 + b'"}'
    assert sum(map(len, bodies_of([large] * 200, count=1))) < 66_000_000
    with pytest.raises(UsageError, match="Cannot send 1,000 rows in one request"):
        bodies_of([large], count=1000)


def test_lines_are_rows_and_empty_ones_are_none() -> None:
    assert read_lines(b'{"a": 1}\r\n\n  {"b": [2]}  \n', where="x") == [b'{"a": 1}', b'{"b": [2]}']
    assert read_row(' {"a": "\u00f1"}') == ['{"a": "\u00f1"}'.encode()]


@pytest.mark.parametrize("text", ["", "[1]", "1", "{", '{"a": 1} {}', '{"a": "\udcff"}', "null"])
def test_a_row_is_an_object(text: str) -> None:
    with pytest.raises(UsageError, match="it is no JSON object"):
        read_row(text)


def test_a_bad_line_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        read_lines(b'{"a": 1}\n\nnothing\n', where="rows.jsonl")
    assert caught.value.where == "rows.jsonl:3"
    with pytest.raises(UsageError, match="no rows"):
        read_lines(b"\n\n", where="rows.jsonl")
    with pytest.raises(UsageError):
        read_lines(b"\xff\xfe{}", where="rows.jsonl")
    with pytest.raises(UsageError):
        read_lines(b'{"a":' * 5000, where="rows.jsonl")


def test_nothing_is_typical_of_no_model() -> None:
    with pytest.raises(RequestError, match="no champion") as caught:
        typical_rows(None)
    assert caught.value.code == "bucle-366"
