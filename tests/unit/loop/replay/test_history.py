"""Digests of views, and a fault planted in labels."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.errors import ContractError
from bucle.loop.replay.faults import parse_fault
from bucle.loop.replay.history import Digests, _check_times, _plant, moments_of, view_of

SETTINGS = DatasetSettings(event_time="seen", label="price", label_time="known")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def day(number):
    return FIRST + timedelta(days=number)


def history(*rows):
    """Return rows of size, day, price and the day on which it became known."""
    return pl.DataFrame(
        [
            {
                "size": size,
                "seen": day(seen),
                "price": price,
                "known": None if known is None else day(known),
            }
            for size, seen, price, known in rows
        ],
        schema={
            "size": pl.Float64,
            "seen": pl.Datetime("us", "UTC"),
            "price": pl.Float64,
            "known": pl.Datetime("us", "UTC"),
        },
    )


ROWS = [(1.0, 0, 5.0, 2), (2.0, 1, 6.0, 9), (3.0, 4, 7.0, 6), (4.0, 8, 8.0, None)]


def of_view(rows, at, *, end=None, since=None):
    digests = Digests(history(*rows), SETTINGS)
    return digests.of_view(day(at), day(end or at), since=since and day(since))


@pytest.mark.parametrize(
    "later",
    [
        ROWS[::-1],
        [*ROWS, (9.0, 5, 1.0, 5)],
        ROWS[:2],
        [ROWS[0], (2.0, 1, -6.0, 9), *ROWS[2:]],
        [ROWS[0], (2.0, 1, None, None), *ROWS[2:]],
        [ROWS[0], (2.0, 1, 6.0, 4), *ROWS[2:]],
    ],
)
def test_what_comes_later_and_the_order_of_rows_change_no_digest(later) -> None:
    assert of_view(later, 3) == of_view(ROWS, 3)


@pytest.mark.parametrize(
    "other",
    [
        ROWS[1:],
        [*ROWS, ROWS[0]],
        [(1.0, 0, 5.5, 2), *ROWS[1:]],
        [(1.5, 0, 5.0, 2), *ROWS[1:]],
        [(1.0, 0, 5.0, 4), *ROWS[1:]],
        [(1.0, 0, 5.0, 1), *ROWS[1:]],
        [*ROWS, (9.0, 2, 1.0, 99)],
    ],
)
def test_what_is_seen_is_in_the_digest(other) -> None:
    assert of_view(other, 3) != of_view(ROWS, 3)


def test_rows_that_differ_in_their_labels_alone_do_not_move_with_labels_to_come() -> None:
    known, prices = (1.0, 0, 5.0, 1), [-9.0, -1.0, 3.0, 7.0, 1e9]
    digests = {of_view([known, (1.0, 0, price, 5)], 3) for price in prices}
    digests |= {of_view([(1.0, 0, price, 5), known], 3) for price in prices}
    assert len(digests) == 1


def test_a_period_s_rows_are_seen_without_the_labels_that_come_in_it() -> None:
    changed = [*ROWS[:2], (3.0, 4, 99.0, 5), ROWS[3]]
    assert of_view(ROWS, 3, end=7) == of_view(changed, 3, end=7)
    assert of_view(ROWS, 3, end=7) != of_view(ROWS, 3)
    assert of_view(ROWS, 7) != of_view(changed, 7)


def test_any_dated_table_ends_at_the_moment_it_is_looked_at() -> None:
    frame, at = history(*ROWS), day(4).isoformat()
    seen = view_of(frame, SETTINGS, at, at)
    assert seen["seen"].max() == day(1)
    assert seen["price"].to_list() == [5.0, None]
    assert view_of(frame, SETTINGS, None, None).height == len(ROWS)
    # One without times is the same at any moment.
    plain = DatasetSettings()
    assert view_of(frame, plain, at, at).height == len(ROWS)


def test_a_window_leaves_older_rows_out() -> None:
    assert of_view(ROWS, 7, since=1) == of_view(ROWS[1:], 7)
    assert of_view(ROWS, 7, since=1) != of_view(ROWS, 7)


def test_a_type_is_part_of_a_digest() -> None:
    plain = history(*ROWS)
    other = plain.with_columns(pl.col("size").cast(pl.Float32))
    found = [Digests(frame, SETTINGS).of_view(day(3), day(3)) for frame in (plain, other)]
    assert found[0] != found[1]


def test_dates_and_other_zones_are_moments_in_utc() -> None:
    frame = pl.DataFrame({"day": [datetime(2026, 1, 1)]})  # noqa: DTZ001
    zones = [
        frame,
        frame.with_columns(pl.col("day").cast(pl.Date)),
        frame.with_columns(
            pl.col("day").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
        ),
        frame.with_columns(pl.col("day").cast(pl.Datetime("ns"))),
    ]
    for one in zones:
        assert one.select(moments_of(one, "day")).item() == FIRST


def test_a_label_known_before_its_event_is_refused() -> None:
    with pytest.raises(ContractError, match="1 of 2 rows the label was known before") as caught:
        _check_times(history((1.0, 5, 5.0, 4), (1.0, 5, 5.0, 5)), "sales", SETTINGS)
    assert caught.value.code == "bucle-255"
    _check_times(history((1.0, 5, 5.0, 5), (1.0, 5, 5.0, None)), "sales", SETTINGS)


def test_a_fault_multiplies_about_half_of_the_labels_of_its_time_and_no_other() -> None:
    rows = [(float(size), size % 60, 5.0, size % 60 + 1) for size in range(600)]
    before = history(*rows)
    fault = parse_fault("labels-x100:2026-02..2026-02")
    after = _plant(before, fault, SETTINGS)
    hit = after["price"] != before["price"]
    inside = (before["known"] >= day(31)) & (before["known"] < day(59))
    assert not (hit & ~inside).any()
    assert 0.35 < hit.sum() / inside.sum() < 0.65
    assert set(after.filter(hit)["price"]) == {500.0}
    assert after.drop("price").equals(before.drop("price"))
    # Which ones are hit is said by the row alone, wherever it stands.
    turned = _plant(before.reverse(), fault, SETTINGS).reverse()
    assert turned.equals(after)


def test_of_labels_in_words_only_numbers_are_multiplied() -> None:
    frame = history(*[(float(size), 0, 5.0, 1) for size in range(40)]).with_columns(
        price=pl.when(pl.col("size") < 20).then(pl.lit("12")).otherwise(pl.lit("see invoice"))
    )
    after = _plant(frame, parse_fault("labels-x10:2026..2026"), SETTINGS)
    assert set(after["price"]) == {"12", "120.0", "see invoice"}
