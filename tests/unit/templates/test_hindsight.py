import numpy as np
import polars as pl

from bucle.templates.hindsight import find_late_columns


def _late(frame, **roles):
    asked = {"target": "y", "event_time": None, "label_time": None} | roles
    return find_late_columns(frame, **asked)


def _honest(rows=400, seed=1):
    rng = np.random.default_rng(seed)
    size, age, noise = rng.normal(size=(3, rows))
    return pl.DataFrame({"size": size, "age": age, "y": 3 * size - age + noise})


def test_is_quiet_on_an_honest_table():
    assert _late(_honest()) == {}


def test_finds_the_column_that_completes_a_sum():
    rng = np.random.default_rng(2)
    fare, tip, tax = rng.gamma(2, 5, size=(3, 500))
    frame = pl.DataFrame({"tip": tip, "tax": tax, "total": fare + tip + tax, "y": fare})
    assert list(_late(frame)) == ["total"]


def test_finds_a_twin_of_the_target_whatever_its_scale():
    frame = _honest().with_columns(twin=pl.col("y").exp() + 1)
    assert list(_late(frame)) == ["twin"]


def test_finds_words_that_rename_a_yes_or_no():
    rng = np.random.default_rng(3)
    left = rng.random(400) < 0.4
    frame = pl.DataFrame(
        {"plan": rng.choice(["a", "b"], 400), "status": np.where(left, "gone", "here"), "y": left}
    )
    assert list(_late(frame)) == ["status"]


def test_missing_and_constant_columns_do_no_harm():
    frame = _honest().with_columns(
        empty=pl.lit(None, dtype=pl.Float64),
        same=pl.lit(1.0),
        odd=pl.when(pl.col("age") > 0).then(float("inf")).otherwise("age"),
    )
    assert _late(frame) == {}


def test_says_nothing_on_a_handful_of_rows():
    assert _late(pl.DataFrame({"a": [1.0, 2.0], "y": [2.0, 4.0]})) == {}


def test_finds_a_total_whose_other_parts_were_said_to_come_late():
    rng = np.random.default_rng(2)
    fare, tip, tax, age = rng.gamma(2, 5, size=(4, 500))
    frame = pl.DataFrame({"tip": tip, "tax": tax, "total": fare + tip + tax, "age": age, "y": fare})
    assert list(_late(frame, late=("tip", "tax"))) == ["total"]


def test_spares_the_rest_where_late_columns_add_up_by_themselves():
    rng = np.random.default_rng(4)
    net, tax, age = rng.gamma(2, 5, size=(3, 500))
    frame = pl.DataFrame({"net": net, "tax": tax, "age": age, "y": net + tax})
    assert "age" not in _late(frame, late=("net", "tax"))


def test_values_too_large_to_be_squared_do_no_harm():
    wild = pl.when(pl.int_range(pl.len()) % 50 == 0).then(1e300).otherwise("y").alias("y")
    assert _late(_honest().with_columns(wild)) == {}
