"""Counts and articles agree with their nouns."""

import pytest

from bucle.grammar import say_count, with_article


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12345, "12,345 rows")]
)
def test_counts_agree_with_their_noun(count, text):
    assert say_count(count, "row") == text


@pytest.mark.parametrize(
    ("noun", "text"),
    [
        ("object", "an object"),
        ("int", "an int"),
        ("`int`", "an `int`"),
        ("dict", "a dict"),
        ("hour", "an hour"),
    ],
)
def test_articles_agree_with_their_noun(noun, text):
    assert with_article(noun) == text
