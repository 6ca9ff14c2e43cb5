"""What counts as the same code."""

import ast

import pytest

from bucle.pipeline.normal_form import digest_code


def digest(text, **options):
    return digest_code([ast.parse(text)], **options)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x  =  1  # one"),
        ("x = 'a'", 'x = "a"'),
        ("x = 'ab'", "x = 'a' 'b'"),
        ("x = u'a'", "x = 'a'"),
        ("x = 1000", "x = 1_000"),
        ("x = 255", "x = 0xFF"),
        ("def f(): return 1", "def f():\n    '''Words.'''\n\n    return 1"),
        ("class A:\n    x = 1", "class A:\n    'Words.'\n    x = 1"),
        ("def f(): ...", "def f():\n    'Words.'"),
        ("def f(): pass", "def f(): ..."),
        ("f(a, b)", "f(\n    a,\n    b,\n)"),
        ("x = a and (b)", "x = (a and b)"),
        ("x: int = 1", "x: int = 1  # type: ignore"),
    ],
)
def test_layout_does_not_count(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0.0", "x = -0.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = 1", "y = 1"),
        ("def f(x): return x", "def f(x=None): return x"),
        ("def f(x): return x", "def f(x: int): return x"),
        ("def f(x): return x", "def f(*, x): return x"),
        ("a = 1\nb = 2", "b = 2\na = 1"),
        ("x = (1, 2)", "x = [1, 2]"),
        ("x = a - (b - c)", "x = a - b - c"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("del x", "x"),
        ("x = f('')", "x = f()"),
        ("x = 'a]'", "x = 'a', ']'"),
    ],
)
def test_meaning_counts(one, other):
    assert digest(one) != digest(other)


def test_docstrings_count_on_request():
    one, other = "def f():\n    'A.'\n    return 1", "def f():\n    'B.'\n    return 1"
    assert digest(one, docstrings=True) != digest(other, docstrings=True)


def test_order_of_pieces_counts():
    one, other = ast.parse("x = 1"), ast.parse("y = 1")
    assert digest_code([one, other]) != digest_code([other, one])


def test_huge_numbers_have_a_form():
    assert digest("x = 0x" + "f" * 9000) != digest("x = 0x" + "e" * 9000)
