"""What the leak finder reports, and where it is quiet."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from bucle.data.leaks import Suspect, find_leaks
from bucle.errors import UnknownNameError

ROWS = 600


def _sales(*, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    packs = rng.integers(1, 5000, ROWS)
    price = np.round(rng.lognormal(2, 1, ROWS), 2) + 0.01
    weight = packs * rng.lognormal(-2, 0.3, ROWS)
    return pl.DataFrame(
        {
            "packs": packs,
            "price": price,
            "value": np.round(packs * price, 2),
            "weight": np.round(weight, 1),
            "freight": np.round(weight * rng.lognormal(1, 0.5, ROWS), 2),
            "sold": [date(2024, 1, 1) + timedelta(days=int(i)) for i in range(ROWS)],
            "mode": rng.choice(["air", "sea", "road"], ROWS),
        }
    )


def _named(suspects: tuple[Suspect, ...]) -> list[tuple[tuple[str, ...], str]]:
    return [(suspect.columns, suspect.kind) for suspect in suspects]


def test_finds_two_columns_that_multiply_to_the_target() -> None:
    suspects = find_leaks(_sales(), target="value")
    assert _named(suspects) == [(("packs", "price"), "product")]
    assert "within rounding in 600 of 600 rows" in suspects[0].evidence


def test_finds_two_columns_that_divide_to_the_target() -> None:
    assert _named(find_leaks(_sales(), target="price")) == [(("value", "packs"), "ratio")]


def test_finds_a_product_where_the_price_is_rounded_coarsely() -> None:
    frame = _sales().with_columns(
        unit=(pl.col("price") / 30).round(2), pack_size=pl.lit(30) + pl.int_range(ROWS) % 3 * 30
    )
    frame = frame.with_columns(unit=(pl.col("price") / pl.col("pack_size")).round(2)).filter(
        pl.col("unit") > 0.05
    )
    assert (("unit", "pack_size"), "product") in _named(
        find_leaks(frame.drop("value"), target="price")
    )


def test_finds_a_product_in_another_unit() -> None:
    frame = _sales().with_columns(value=pl.col("packs") * pl.col("price") * 0.0254)
    (suspect,) = find_leaks(frame, target="value")
    assert suspect.columns == ("packs", "price")
    assert "times 0.0254 gives value" in suspect.evidence


def test_finds_a_product_in_the_rows_that_are_right() -> None:
    frame = _sales().with_columns(
        value=pl.when(pl.int_range(ROWS) % 50 == 0).then(1.0).otherwise(pl.col("value"))
    )
    (suspect,) = find_leaks(frame, target="value")
    assert "588 of 600" in suspect.evidence


def test_finds_a_fixed_ratio_to_the_target() -> None:
    frame = _sales().with_columns(insurance=(pl.col("value") * 0.0016).round(2))
    assert (("insurance",), "ratio") in _named(find_leaks(frame, target="value"))


def test_finds_a_ratio_that_is_fixed_only_within_a_year() -> None:
    rate = 0.001 + 0.0005 * pl.col("sold").dt.year().sub(2024)
    frame = _sales().with_columns(insurance=(pl.col("value") * rate).round(2))
    suspects = find_leaks(frame, target="value", event_time="sold")
    (evidence,) = [s.evidence for s in suspects if s.columns == ("insurance",)]
    assert "of the same year of sold" in evidence


def test_finds_a_ratio_that_is_fixed_only_within_a_named_group() -> None:
    rate = pl.col("mode").replace_strict({"air": 0.001, "sea": 0.003, "road": 0.01})
    frame = _sales().with_columns(insurance=pl.col("value") * rate)
    assert (("insurance",), "ratio") not in _named(find_leaks(frame, target="value"))
    assert (("insurance",), "ratio") in _named(find_leaks(frame, target="value", groups=["mode"]))


@pytest.mark.parametrize("seed", range(5))
def test_is_quiet_about_freight_that_goes_with_weight(seed: int) -> None:
    assert find_leaks(_sales(seed=seed), target="freight") == ()


def test_is_quiet_about_the_last_price_of_the_same_item() -> None:
    rng = np.random.default_rng(1)
    price = np.round(rng.lognormal(2, 1, ROWS), 2)
    moved = rng.random(ROWS) < 0.25
    last = np.where(moved, price * rng.lognormal(0, 0.6, ROWS), price)
    frame = pl.DataFrame(
        {"price": price, "last_price": np.round(last, 2), "packs": rng.integers(1, 9, ROWS)}
    )
    assert find_leaks(frame, target="price") == ()


def test_is_quiet_where_the_target_hardly_varies() -> None:
    frame = _sales().with_columns(fee=pl.lit(4.0), also=pl.lit(2.0), twice=pl.lit(2.0))
    assert find_leaks(frame, target="fee") == ()


def test_finds_other_names_for_the_target_of_a_yes_no_question() -> None:
    frame = _sales().with_columns(late=pl.col("weight") > 50)
    frame = frame.with_columns(
        status=pl.when("late").then(pl.lit("delayed")).otherwise(pl.lit("ok"))
    )
    suspects = find_leaks(frame, target="late")
    assert _named(suspects) == [(("status",), "ratio"), (("weight",), "ratio")]


def test_reports_a_declared_late_column_only_where_a_prediction_uses_it() -> None:
    frame = _sales().drop("value")
    declared = {"target": "price", "known_late": ["weight", "price"]}
    assert find_leaks(frame, **declared) == ()
    suspects = find_leaks(frame, **declared, features=["weight", "packs"])
    assert _named(suspects) == [(("weight",), "late")]


def test_finds_columns_that_are_filled_only_with_the_label() -> None:
    waiting = pl.int_range(ROWS) >= 500
    frame = _sales().with_columns(
        freight=pl.when(waiting).then(None).otherwise("freight"),
        invoice=pl.when(waiting).then(None).otherwise(pl.lit("INV-1")),
        note=pl.when(pl.int_range(ROWS) % 7 == 0).then(None).otherwise(pl.lit("x")),
    )
    (suspect,) = find_leaks(frame, target="freight")
    assert (suspect.columns, suspect.kind) == (("invoice",), "late")
    assert "100 of 100 rows without freight" in suspect.evidence


def test_tells_a_fact_after_the_event_from_a_plan() -> None:
    start = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(ROWS)]
    frame = (
        _sales()
        .select("freight")
        .with_columns(
            asked=pl.Series(start),
            shipped=pl.Series([moment + timedelta(days=20) for moment in start]),
            planned=pl.Series(
                [(m + timedelta(days=30 + (i % 10 == 0) * 20)).date() for i, m in enumerate(start)]
            ),
            booked=pl.Series([moment + timedelta(days=35) for moment in start]),
        )
    )
    times = {"target": "freight", "event_time": "asked", "label_time": "booked"}
    assert _named(find_leaks(frame, **times)) == [(("shipped",), "late")]


@pytest.mark.parametrize("rows", [0, 1, 2, 29])
def test_says_nothing_about_too_few_rows(rows: int) -> None:
    assert find_leaks(_sales().head(rows), target="value", event_time="sold") == ()


def test_bears_nulls_nan_infinity_and_columns_of_nothing() -> None:
    frame = _sales().with_columns(
        nothing=pl.lit(None, dtype=pl.Float64),
        weight=pl.when(pl.int_range(ROWS) < 5).then(float("inf")).otherwise("weight"),
        price=pl.when(pl.int_range(ROWS) < 5).then(float("nan")).otherwise("price"),
    )
    assert _named(find_leaks(frame, target="value")) == [(("packs", "price"), "product")]


def test_names_the_nearest_column_for_a_missing_target() -> None:
    with pytest.raises(UnknownNameError) as raised:
        find_leaks(_sales(), target="valeu")
    assert raised.value.did_you_mean == ("value",)


def test_finds_a_count_that_splits_yes_from_no_without_an_error():
    rng = np.random.default_rng(5)
    default = rng.random(600) < 0.3
    calls = np.where(default, rng.integers(1, 6, 600), 0)
    frame = pl.DataFrame({"calls": calls, "age": rng.integers(18, 90, 600), "default": default})
    (suspect,) = find_leaks(frame, target="default")
    assert suspect.columns == ("calls",)
    assert "at least 1" in suspect.evidence


def test_finds_words_of_which_each_goes_with_one_answer():
    rng = np.random.default_rng(6)
    left = rng.random(600) < 0.4
    status = np.where(left, rng.choice(["closed", "gone"], 600), rng.choice(["new", "old"], 600))
    frame = pl.DataFrame({"status": status, "left": left})
    assert [found.columns for found in find_leaks(frame, target="left")] == [("status",)]


def test_is_quiet_on_names_and_on_a_column_that_errs_once():
    rng = np.random.default_rng(7)
    left = rng.random(600) < 0.4
    score = np.where(left, 2.0, 1.0) + rng.random(600)
    score[np.flatnonzero(left)[0]] = 0.5
    frame = pl.DataFrame({"who": [f"c{i}" for i in range(600)], "score": score, "left": left})
    assert find_leaks(frame, target="left") == ()
