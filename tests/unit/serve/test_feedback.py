"""Labels: what is taken at the door, and which one counts."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from bucle.errors import RequestError
from bucle.serve.compactor import feedback_frame, prediction_frame
from bucle.serve.feedback import join_labels, latest_labels, to_feedback, unknown_labels
from bucle.serve.records import Feedback, Prediction

NAME = "p-0192d3a4b5c600000123456789abcdef"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = 86_400_000_000


def told(*labels: tuple[str, int, str]) -> pl.DataFrame:
    return feedback_frame([Feedback(id=name, at=at, label=label) for name, at, label in labels])


def answered(*ids: str, of: str = "", model: str = "m-1") -> pl.DataFrame:
    role = "shadow" if of else "champion"
    return prediction_frame(
        [Prediction(id=one, at=1000, model=model, role=role, prediction=1.0, of=of) for one in ids]
    )


def labels_of(joined: pl.DataFrame) -> dict[str, str | None]:
    return dict(joined.select("id", "label").iter_rows())


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"12", "12"),
        (b" 1.50 ", "1.5"),
        (b'"sold"', '"sold"'),
        (b"true", "true"),
        ('"ñ"'.encode(), '"ñ"'),
    ],
)
def test_a_label_is_kept_in_one_form(sent: bytes, kept: str) -> None:
    assert to_feedback(NAME, label=sent, at=NOW).label == kept


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b"null", b"NaN", b"Infinity", b"-Infinity", b"1e400", b"ten", b'"\xff"'),
        *(b"1" * 400, b"1" * 5000, b'"' + b"x" * 10_001 + b'"', b"[" * 9000, b'"\\ud800"'),
    ],
)
def test_what_is_no_truth_is_refused(sent: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        to_feedback(NAME, label=sent, at=NOW)
    assert refusal.value.code == "bucle-323"


@pytest.mark.parametrize("name", ["", "p-1", "p-../../x", "m-" + "0" * 32, NAME + "0"])
def test_an_id_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(RequestError) as refusal:
        to_feedback(name, label=b"1", at=NOW)
    assert refusal.value.code == "bucle-323"


@pytest.mark.parametrize(
    "moment",
    [
        *("1970-01-01T00:00:00Z", "2100-01-01", "2026-11-23", "0001-01-01", "yesterday", ""),
        *("9999-12-31T23:59:59-23:59", "1700000000"),
    ],
)
def test_an_unlikely_label_time_is_refused(moment: str) -> None:
    with pytest.raises(RequestError) as refusal:
        to_feedback(NAME, label=b"1", at=NOW, label_time=moment)
    assert refusal.value.code == "bucle-323"


def test_moments_are_kept_in_utc() -> None:
    kept = to_feedback(NAME, label=b"1", at=NOW, label_time="2026-11-20T01:00:00+02:00")
    frame = feedback_frame([kept])
    assert frame["label_time"].item() == datetime(2026, 11, 19, 23, tzinfo=UTC)
    assert frame["at"].item() == NOW


def test_the_label_that_arrived_last_counts() -> None:
    latest = latest_labels(told(("p-1", 30, "3"), ("p-1", 10, "1"), ("p-1", 20, "2")))
    assert latest.select("label", "value", "labels", "corrections").row(0) == ("3", 3.0, 3, 2)


def test_of_two_at_the_same_moment_the_later_row_counts() -> None:
    frame = told(("p-1", 10, "1"), ("p-2", 10, "5"), ("p-1", 10, "2"), ("p-2", 10, "5"))
    assert latest_labels(frame)["label"].to_list() == ["2", "5"]
    assert latest_labels(frame)["corrections"].to_list() == [1, 0]


def test_the_same_label_twice_is_no_correction() -> None:
    latest = latest_labels(told(("p-1", 10, "12"), ("p-1", 20, "12.0"), ("p-1", 30, "12")))
    assert latest.select("labels", "corrections").row(0) == (3, 0)
    assert latest["received"].item() == latest["first_received"].item()


def test_a_label_that_goes_back_was_corrected_twice() -> None:
    latest = latest_labels(told(("p-1", 10, "1"), ("p-1", 20, "2"), ("p-1", 30, "1")))
    assert latest["corrections"].item() == 2
    assert latest["received"].cast(pl.Int64).item() == 30


def test_labels_of_different_ids_do_not_mix() -> None:
    frame = told(*[(f"p-{number % 7}", number, str(number)) for number in range(70)])
    latest = latest_labels(frame).sort("id")
    assert latest["label"].to_list() == [str(63 + number) for number in range(7)]
    assert latest["labels"].to_list() == [10] * 7
    assert latest["corrections"].to_list() == [9] * 7


def test_only_numbers_and_truth_values_have_a_value() -> None:
    texts = ["1", "-2.5e3", "true", "false", '"7"', '"true"', "[1]", '"nan"']
    frame = told(*[(f"p-{place}", 1, text) for place, text in enumerate(texts)])
    assert latest_labels(frame)["value"].to_list() == [1, -2500, 1, 0, None, None, None, None]


def test_a_label_joins_whenever_it_came() -> None:
    predictions = answered("p-before", "p-same", "p-late", "p-never")
    feedback = told(("p-before", 1, "1"), ("p-same", 1000, "2"), ("p-late", 1000 + 90 * DAY, "3"))
    joined = join_labels(predictions, feedback)
    assert labels_of(joined) == {"p-before": "1", "p-same": "2", "p-late": "3", "p-never": None}
    assert joined["labels"].to_list() == [1, 1, 1, 0]
    assert joined["restated"].to_list() == [False] * 4
    assert joined.columns[: predictions.width] == predictions.columns


def test_a_shadow_has_the_label_of_the_answer_beside_it() -> None:
    predictions = pl.concat([answered("p-1"), answered("p-2", of="p-1", model="m-2")])
    joined = join_labels(predictions, told(("p-1", 5, "9")))
    assert joined.select("model", "value").rows() == [("m-1", 9.0), ("m-2", 9.0)]


def test_the_id_decides_whichever_model_answered() -> None:
    predictions = pl.concat([answered("p-1", model="m-old"), answered("p-2", model="m-new")])
    joined = join_labels(predictions, told(("p-2", 5, "2"), ("p-1", 6, "1")))
    assert joined.select("model", "value").rows() == [("m-old", 1.0), ("m-new", 2.0)]


def test_late_and_conflicting_labels_are_restated() -> None:
    predictions = answered("p-early", "p-late", "p-changed", "p-none")
    day = datetime(1970, 1, 2, tzinfo=UTC)
    feedback = told(
        ("p-early", 1, "1"),
        ("p-late", 2 * DAY, "1"),
        ("p-changed", 1, "1"),
        ("p-changed", 2, "2"),
    )
    joined = join_labels(predictions, feedback, seen=day)
    assert joined["restated"].to_list() == [False, True, True, False]
    again = join_labels(predictions, feedback, seen=day + timedelta(days=9))
    assert again["restated"].to_list() == [False, False, True, False]


def test_a_label_told_again_later_restates_nothing() -> None:
    feedback = told(("p-1", 1, "1"), ("p-1", 2 * DAY, "1"))
    joined = join_labels(answered("p-1"), feedback, seen=datetime(1970, 1, 2, tzinfo=UTC))
    assert joined["restated"].to_list() == [False]


def test_labels_of_unknown_ids_are_set_apart_and_join_later() -> None:
    feedback = told(("p-1", 1, "1"), ("p-9", 1, "2"), ("p-9", 2, "3"))
    assert unknown_labels(answered("p-1"), feedback)["label"].to_list() == ["2", "3"]
    assert unknown_labels(answered("p-1", "p-9"), feedback).height == 0


def test_nothing_joins_with_nothing() -> None:
    assert join_labels(answered(), told()).height == 0
    assert join_labels(answered("p-1"), told())["labels"].to_list() == [0]
    assert latest_labels(told()).height == 0


def test_many_labels_equal_the_plain_recomputation() -> None:
    order = pl.DataFrame({"n": range(200_000)}).sample(fraction=1.0, shuffle=True, seed=3)["n"]
    frame = _many(order)
    latest = latest_labels(frame)
    plain: dict[str, tuple[int, str, int]] = {}
    for name, at, label in sorted(
        frame.select("id", pl.col("at").cast(pl.Int64), "label").iter_rows(), key=lambda row: row[1]
    ):
        was = plain.get(name)
        changes = was[2] + (was[1] != label) if was else 0
        plain[name] = (at, label, changes)
    assert {
        name: (label, changes)
        for name, label, changes in latest.select("id", "label", "corrections").iter_rows()
    } == {name: (label, changes) for name, (_, label, changes) in plain.items()}


def _many(order: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"n": order}).select(
        id=pl.format("p-{}", pl.col("n") % 60_000),
        at=((pl.col("n") * 7919) % 1_000_003).cast(pl.Datetime("us", "UTC")),
        label=(pl.col("n") % 5).cast(pl.String),
        label_time=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        source=pl.lit("s"),
    )
