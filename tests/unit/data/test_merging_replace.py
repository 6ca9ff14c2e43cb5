import polars as pl

from bucle.data.merging import replace_rows


def test_replacing_counts_rows_as_multisets():
    old = pl.DataFrame({"a": [1, 1, 2, None]})
    new = pl.DataFrame({"a": [1, 3, None, None]})
    merged = replace_rows(old, new)
    assert merged.frame.equals(new)
    assert (merged.added, merged.removed, merged.unchanged) == (2, 2, 2)


def test_replacing_by_the_same_rows_changes_nothing():
    rows = pl.DataFrame({"a": [1, 1, 2]})
    merged = replace_rows(rows, rows)
    assert (merged.added, merged.removed, merged.unchanged) == (0, 0, 3)
