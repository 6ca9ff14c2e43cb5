"""Faults as people write them."""

import pytest

from bucle.errors import RequestError
from bucle.loop.replay.faults import parse_fault


@pytest.mark.parametrize(
    ("text", "factor", "start", "end"),
    [
        ("labels-x100:2013-03..2013-05", 100.0, "2013-03-01", "2013-06-01"),
        ("labels-x0.5:2013..2013", 0.5, "2013-01-01", "2014-01-01"),
        ("labels-x10:2012-02-28..2012-02-29", 10.0, "2012-02-28", "2012-03-01"),
        ("labels-x0:2012-12..2013", 0.0, "2012-12-01", "2014-01-01"),
    ],
)
def test_both_ends_are_included_whatever_they_name(text, factor, start, end) -> None:
    fault = parse_fault(text)
    assert (fault.text, fault.factor) == (text, factor)
    assert (fault.start[:10], fault.end[:10]) == (start, end)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "none that is known"),
        ("labels-x100", "none that is known"),
        ("labels-x-3:2013-03..2013-05", "none that is known"),
        ("labels-x1e3:2013-03..2013-05", "none that is known"),
        ("rows-x2:2013-03..2013-05", "none that is known"),
        ("labels-x2:2013-03..2013-05 ", "none that is known"),
        ("labels-x1:2013-03..2013-05", "change nothing"),
        ("labels-x2:2013-06..2013-05", "change nothing"),
        ("labels-x2:2013-13..2014-01", "month must be in 1..12"),
        ("labels-x2:2013-02-30..2014", "day is out of range"),
    ],
)
def test_what_is_no_fault_is_refused_with_an_example(text, says) -> None:
    with pytest.raises(RequestError) as caught:
        parse_fault(text)
    assert caught.value.code == "bucle-254"
    assert says in str(caught.value.cause)
    assert "labels-x100" in caught.value.attempt
