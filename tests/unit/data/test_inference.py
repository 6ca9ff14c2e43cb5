"""Types are inferred only where every value agrees."""

import polars as pl

from bucle.data.inference import infer_types


def test_a_type_needs_every_value() -> None:
    frame = pl.DataFrame(
        {
            "n": ["1", "2", None],
            "x": ["1.5", "2", "1e3"],
            "day": ["2006-06-02", "2-Jun-06", None],
            "at": ["2006-06-02 10:00", "2006-06-02", None],
            "yes": ["true", "False", None],
            "zip": ["012", "100", "7"],
            "word": ["a", "N/A", "1"],
            "none": pl.Series([None, None, None], dtype=pl.String),
            "long": ["12345678901234567890", "1", "2"],
        }
    )
    typed, coercions = infer_types(frame)
    assert dict(typed.schema) == {
        "n": pl.Int64,
        "x": pl.Float64,
        "day": pl.Date,
        "at": pl.Datetime("us"),
        "yes": pl.Boolean,
        "zip": pl.String,
        "word": pl.String,
        "none": pl.String,
        "long": pl.String,
    }
    assert typed.null_count().row(0) == frame.null_count().row(0)
    assert coercions == ()


def test_what_kept_a_column_text_is_told() -> None:
    frame = pl.DataFrame(
        {
            "cost": ["1", "2", "See ASN-93", "N/A", "5"],
            "day": ["2006-06-02", "Pre-PQ Process", "2006-06-02", "2006-06-03", "2006-06-04"],
            "when": ["1/2/06", "2/2/06", "3/2/06", "4/2/06", "5/2/06"],
        }
    )
    typed, coercions = infer_types(frame)
    assert typed.equals(frame)
    assert [(found.column, found.count, found.became) for found in coercions] == [
        ("cost", 2, "text"),
        ("day", 1, "text"),
        ("when", 3, "text: day or month first?"),
    ]


def test_typed_columns_stay() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": [0.5, None]})
    assert infer_types(frame)[0].equals(frame)
