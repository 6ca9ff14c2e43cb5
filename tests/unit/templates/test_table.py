from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from subscriptions import subscription_table

from bucle.charter.settings import DatasetSettings
from bucle.errors import SourceError, UnknownNameError, UsageError
from bucle.templates.table import Roles, survey_table

READING = DatasetSettings()


def _survey(frame, **roles):
    return survey_table(frame, Roles(**({"target": "y"} | roles)), reading=READING)[1]


def _frame(rows=60, **columns):
    rng = np.random.default_rng(0)
    base = {"size": rng.normal(size=rows), "y": rng.normal(size=rows)}
    return pl.DataFrame(base).with_columns(**columns)


def _part(table, name):
    return next(column for column in table.columns if column.name == name).part


def test_gives_each_column_of_a_subscription_table_its_part():
    table = _survey(
        subscription_table(rows=500),
        target="leaves",
        event_time="asked_on",
        label_time="known_on",
    )
    parts = {column.name: column.part for column in table.columns}
    assert parts == {
        "customer": "left out",
        "asked_on": "event_time",
        "plan": "feature",
        "monthly_price": "feature",
        "months": "feature",
        "complaints": "feature",
        "pays_by_card": "feature",
        "note": "left out",
        "leaves": "target",
        "known_on": "label_time",
    }
    assert (table.kind, table.yes) == ("classification", "yes")


@pytest.mark.parametrize(
    ("values", "kind", "yes"),
    [
        ([True, False], "classification", None),
        ([0, 1], "classification", None),
        ([0.0, 1.0], "classification", None),
        (["no", "yes"], "classification", "yes"),
        (["Sí", "No"], "classification", "Sí"),
        ([1, 2], "regression", None),
        ([0.0, 1.5], "regression", None),
    ],
)
def test_tells_a_number_from_a_yes_or_no(values, kind, yes):
    frame = _frame().with_columns(y=pl.Series([values[0], values[1]] * 30))
    table = _survey(frame)
    assert (table.kind, table.yes) == (kind, yes)


def test_takes_the_rarer_of_two_strange_words_as_the_yes():
    frame = _frame().with_columns(y=pl.Series(["kept"] * 50 + ["returned"] * 10))
    assert _survey(frame).yes == "returned"


@pytest.mark.parametrize(
    "target",
    [
        pl.Series("y", [None] * 60, dtype=pl.Float64),
        pl.Series("y", [1.0] * 60),
        pl.Series("y", [True] * 60),
        pl.Series("y", ["yes"] * 59 + [None]),
        pl.Series("y", [float("nan")] * 59 + [3.0]),
    ],
    ids=["empty", "constant", "one class", "one class and a gap", "one number"],
)
def test_refuses_a_target_with_nothing_to_learn(target):
    with pytest.raises(UsageError) as caught:
        _survey(_frame().with_columns(target))
    assert caught.value.code == "bucle-192"
    assert "'y'" in caught.value.what


def test_refuses_a_target_of_many_words_and_shows_some():
    frame = _frame().with_columns(y=pl.Series([f"colour {n % 7}" for n in range(60)]))
    with pytest.raises(UsageError, match="neither a number nor a yes or no") as caught:
        _survey(frame)
    assert "colour 0" in caught.value.cause


def test_a_column_that_is_not_there_is_named_with_its_neighbour():
    with pytest.raises(UnknownNameError) as caught:
        _survey(_frame(), target="siez")
    assert caught.value.did_you_mean == ("size",)
    assert caught.value.code == "bucle-190"


@pytest.mark.parametrize(
    "roles",
    [
        {"event_time": "y"},
        {"key": ("y",)},
        {"event_time": "day", "label_time": "day"},
        {"label_time": "day"},
    ],
)
def test_refuses_contradicting_parts(roles):
    frame = _frame(day=pl.lit(date(2026, 1, 1)))
    with pytest.raises(UsageError) as caught:
        _survey(frame, **roles)
    assert caught.value.code == "bucle-191"


def test_refuses_a_time_that_holds_no_times():
    frame = _frame(day=pl.lit("soon"))
    with pytest.raises(SourceError, match="as a time") as caught:
        _survey(frame, event_time="day")
    assert caught.value.code == "bucle-193"


def test_year_numbers_are_no_moments():
    frame = _frame(year=pl.lit(2019))
    with pytest.raises(SourceError):
        _survey(frame, event_time="year")


def test_seconds_since_1970_are_moments():
    seconds = pl.Series([1_700_000_000 + 3600 * n for n in range(60)])
    typed, table = survey_table(
        _frame().with_columns(at=seconds), Roles(target="y", event_time="at"), reading=READING
    )
    assert _part(table, "at") == "event_time"
    assert typed["at"][0] == datetime(2023, 11, 14, 22, 13, 20)  # noqa: DTZ001


def test_leaves_out_what_cannot_be_learned_from_and_says_why():
    rows = 60
    frame = _frame(
        rows,
        empty=pl.lit(None, dtype=pl.String),
        same=pl.lit("x"),
        name=pl.Series([f"n{n}" for n in range(rows)]),
        row=pl.Series(range(rows)),
    )
    table = _survey(frame)
    left = {column.name: column.because for column in table.named("left out")}
    assert set(left) == {"empty", "same", "name", "row"}
    assert all(left.values())
    assert sum("not a feature" in note for note in table.notes) == 4


def test_a_million_words_are_a_name_not_a_feature():
    rows = 1_000_000
    frame = pl.DataFrame(
        {
            "who": pl.int_range(rows, eager=True).cast(pl.String),
            "size": pl.int_range(rows, eager=True) % 10,
            "y": pl.int_range(rows, eager=True) % 7,
        }
    )
    table = _survey(frame)
    assert _part(table, "who") == "left out"
    assert _part(table, "size") == "feature"


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(UsageError, match="no other column") as caught:
        _survey(_frame().select("y"))
    assert caught.value.code == "bucle-192"


def test_values_of_no_plain_type_stay_out_and_are_noted():
    table = _survey(_frame(tags=pl.lit([1, 2])))
    assert "tags" not in [column.name for column in table.columns]
    assert any("'tags'" in note for note in table.notes)


def test_odd_words_among_numbers_of_the_target_are_missing_labels():
    words = pl.Series(["included" if n % 10 == 0 else str(n / 2) for n in range(60)])
    typed, table = survey_table(_frame().with_columns(y=words), Roles(target="y"), reading=READING)
    assert table.kind == "regression"
    assert typed["y"].null_count() == 6
    assert any("6 of 60 rows without a label" in note for note in table.notes)


def test_says_what_cannot_be_promised_without_times():
    assert any("no event time" in note for note in _survey(_frame()).notes)
    dated = _frame(day=pl.Series([date(2026, 1, 1 + n % 28) for n in range(60)]))
    notes = _survey(dated, event_time="day").notes
    assert any("no label time" in note for note in notes)


def test_two_rows_are_enough_to_draft_and_too_few_to_decide():
    table = _survey(pl.DataFrame({"size": [1.0, 2.0], "y": [3.0, 5.0]}))
    assert table.kind == "regression"
    assert any("few" in note for note in table.notes)


def test_names_the_decimal_sign_when_numbers_have_commas():
    prices = pl.Series([f"{number},5" for number in range(60)])
    with pytest.raises(UsageError) as raised:
        _survey(_frame().with_columns(y=prices))
    assert raised.value.attempt == "--decimal ,"
    notes = _survey(_frame(price=prices)).notes
    assert any(note.startswith("price: text") and "--decimal ," in note for note in notes)
    assert not any("--decimal" in note for note in _survey(_frame(price=pl.lit("a, b"))).notes)


def test_counts_every_row_that_will_go_to_quarantine():
    twice = _frame(customer=pl.int_range(pl.len()) // 2)
    told = " ".join(_survey(twice, key=("customer",)).notes)
    assert "60 of 60 rows share theirs" in told
    empty = _frame(customer=pl.when(pl.int_range(pl.len()) >= 20).then(pl.int_range(pl.len())))
    told = " ".join(_survey(empty, key=("customer",)).notes)
    assert "customer: empty in 20 rows" in told
    assert "not unique" not in told


def test_refuses_times_that_were_swapped_and_says_so():
    days = pl.date_range(pl.date(2025, 1, 1), pl.date(2025, 3, 1), eager=True)
    frame = _frame(len(days), asked=days, paid=days.dt.offset_by("5d"))
    with pytest.raises(UsageError, match="--event-time asked --label-time paid"):
        _survey(frame, event_time="paid", label_time="asked")
    assert _survey(frame, event_time="asked", label_time="paid")
