"""Why a body cannot be read, in words that name the fault and not the decoder."""

import msgspec
import pytest

from bucle.serve.problems import BadRow, unreadable, why_unreadable


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b'{"a":"b', "ends too early"),
        (b'{"a":', "ends too early"),
        (b'{"a":"\\ud800"}', "half of a character"),
        (b'"\\uDBFF"', "half of a character"),
        (b'{"\\ud800":1}', "half of a character"),
        (b'{"a":"\\ud800","b":"something after it"}', "half of a character"),
        (b'{"a":"\\udc00\\ud800"}', "half of a character"),
        (b'{"a":"\\ud800\\ud800 and more"}', "half of a character"),
        (b'{"a":"\xff"}', "not in UTF-8"),
        (b'{"a":"\xc0\xaf"}', "not in UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":1} x', "trailing characters"),
        (b'\xef\xbb\xbf{"a":1}', "invalid character"),
    ],
)
def test_the_fault_of_a_body_is_named(body: bytes, why: str) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError, RecursionError)) as found:
        msgspec.json.decode(body)
    assert why in why_unreadable(found.value, body)
    problem = unreadable(found.value, body)
    assert (problem.status, problem.code) == (400, "bucle-332")
    assert problem.cause == why_unreadable(found.value, body)


def test_a_whole_character_of_two_halves_is_read() -> None:
    assert msgspec.json.decode(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (BadRow(field="a", rule="is missing"), "the row: 'a' is missing"),
        (
            BadRow(row=3, field="a", value="-1", rule="Expected a number >= 0"),
            "row 3: 'a': expected a number >= 0 (is -1)",
        ),
        (
            BadRow(row=0, value="null", rule="Expected an object, got null"),
            "row 0: expected an object, got null (is null)",
        ),
        (BadRow(rule="is not a field of the model"), "the row: '' is not a field of the model"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_sentence(bad: BadRow, words: str) -> None:
    assert bad.words == words
