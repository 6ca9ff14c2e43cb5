"""Records and ids."""

import msgspec
import pytest

from bucle.serve.records import (
    Feedback,
    Prediction,
    PredictionColumns,
    PredictionIds,
    count_records,
    decode,
    encode,
    encode_together,
    is_prediction,
    take_apart,
)


def prediction(**changes) -> Prediction:
    fields = {
        "id": "p-" + "0" * 32,
        "at": 1,
        "model": "m-0123456789ab",
        "role": "champion",
        "prediction": 12.5,
    }
    return Prediction(**(fields | changes))


@pytest.mark.parametrize(
    "record",
    [
        prediction(),
        prediction(
            role="shadow",
            of="p-1",
            low=-1.0,
            high=1e308,
            key="ñ \x00",
            request="r",
            latency_us=2**40,
            features=b'{"a": 1}',
        ),
        prediction(prediction=float("inf")),
        Feedback(id="p-1", at=2, label='"sold"', label_time=-5, source="shop"),
    ],
)
def test_a_record_comes_back_equal(record) -> None:
    assert decode(encode(record)) == (record,)


@pytest.mark.parametrize("count", [1, 2, 64, 65, 200])
def test_records_kept_together_come_back_in_their_order(count: int) -> None:
    records = [
        prediction(id=f"p-{number}") if number % 3 else Feedback(id="p-1", at=number, label="1")
        for number in range(count)
    ]
    contents = encode_together(records)
    assert len(contents) == -(-count // 64)
    assert [one for content in contents for one in decode(content)] == records


def several(count: int = 3, **changes) -> PredictionColumns:
    fields = {
        "first": PredictionIds().take(now_ms=7)[0],
        "at": 1,
        "model": "m-0123456789ab",
        "role": "champion",
        "prediction": [number / 2 for number in range(count)],
        "fields": ("a", "ñ"),
        "columns": msgspec.msgpack.encode([list(range(count)), ["é"] * count]),
    }
    return PredictionColumns(**(fields | changes))


def test_rows_of_one_record_come_back_as_records_of_their_own() -> None:
    record = several(low=[0.0, None, 1.0], high=[2.0, 3.0, 4.0], key=["x", None, "y"], request="r")
    found = decode(encode(record))
    assert found == take_apart(record)
    assert found[1] == prediction(
        id=found[1].id,
        features='{"a":1,"ñ":"é"}'.encode(),
        prediction=0.5,
        high=3.0,
        request="r",
    )
    assert [one.key for one in found if isinstance(one, Prediction)] == ["x", None, "y"]
    assert len(record) == 3


@pytest.mark.parametrize(("before", "count"), [(0, 2), (200, 57), (255, 300), (0, 66_000)])
def test_rows_of_one_record_have_the_ids_that_were_taken(before: int, count: int) -> None:
    ids = PredictionIds()
    if before:
        ids.take(before, now_ms=7)
    taken = ids.take(count, now_ms=7)
    record = several(count, first=taken[0])
    assert tuple(one.id for one in take_apart(record)) == taken


def test_columns_in_json_say_the_same() -> None:
    columns = msgspec.json.encode([[0, 1, 2], ["é"] * 3])
    record = several()
    assert take_apart(several(first=record.first, columns=columns)) == take_apart(record)


def test_rows_without_fields_are_empty_objects() -> None:
    found = take_apart(several(fields=(), columns=b"\x90"))
    assert [one.features for one in found] == [b"{}"] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": b""},
        {"columns": b"["},
        {"columns": b"\xc1"},
        {"columns": msgspec.msgpack.encode([[1, 2, 3]])},
        {"columns": msgspec.msgpack.encode([[1, 2, 3], [1, 2]])},
        {"columns": msgspec.msgpack.encode([[1, 2], [1, 2]])},
        {"columns": msgspec.msgpack.encode([[1, 2, 3], [msgspec.msgpack.Ext(5, b"x")] * 3])},
        {"first": "p-1"},
        {"low": [1.0]},
        {"key": ["a", "b", "c", "d"]},
    ],
)
def test_columns_that_do_not_fit_together_are_nothing(changes) -> None:
    assert decode(encode(several(**changes))) == ()


def test_what_is_kept_together_keeps_its_order() -> None:
    records = [prediction(id="p-1"), several(), several(2), prediction(id="p-2"), prediction()]
    contents = encode_together(records)
    assert len(contents) == 4
    assert count_records(records) == 8
    wanted = [
        one
        for record in records
        for one in (take_apart(record) if isinstance(record, PredictionColumns) else [record])
    ]
    assert [one for content in contents for one in decode(content)] == wanted


def test_a_later_version_may_add_fields_to_columns() -> None:
    record = several()
    fields = msgspec.msgpack.decode(encode(record))
    assert decode(msgspec.msgpack.encode([*fields, "new"])) == take_apart(record)
    assert decode(msgspec.msgpack.encode(fields[:8])) == take_apart(record)


def test_nan_is_kept_as_it_is() -> None:
    (found,) = decode(encode(prediction(prediction=float("nan"))))
    assert isinstance(found, Prediction)
    assert found.prediction != found.prediction


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x91", msgspec.msgpack.encode(["x", 1])])
def test_what_this_version_does_not_know_is_nothing(content: bytes) -> None:
    assert decode(content) == ()


def test_a_later_version_may_add_fields_at_the_end() -> None:
    fields = msgspec.msgpack.decode(encode(prediction()))
    assert decode(msgspec.msgpack.encode([*fields, "new"])) == (prediction(),)


def test_an_earlier_version_may_have_fewer_fields() -> None:
    fields = msgspec.msgpack.decode(encode(prediction()))
    assert decode(msgspec.msgpack.encode(fields[:6])) == (prediction(),)


def test_ids_rise_also_when_the_clock_goes_back_or_stands() -> None:
    ids = PredictionIds()
    made = [
        one
        for now in (1000, 1000, 999, 5, 1001, 1001)
        for count in (1, 3)
        for one in ids.take(count, now_ms=now)
    ]
    assert made == sorted(made)
    assert len(set(made)) == len(made) == 24
    assert all(is_prediction(one) for one in made)


def test_ids_begin_with_their_moment() -> None:
    (one,) = PredictionIds().take(now_ms=0x0192D3A4B5C6)
    assert one.startswith("p-0192d3a4b5c60000")


def test_more_ids_than_a_millisecond_counts_stay_distinct() -> None:
    made = PredictionIds().take(70_000, now_ms=7)
    assert len(set(made)) == 70_000
    assert list(made) == sorted(made)


def test_two_makers_do_not_agree_on_chance() -> None:
    first, second = (PredictionIds().take(500, now_ms=7) for _ in range(2))
    assert not set(first) & set(second)


@pytest.mark.parametrize(
    "text",
    ["", "p-", "p-" + "0" * 31, "p-" + "0" * 33, "p-" + "A" * 32, "m-" + "0" * 32, "p-" + "٣" * 32],
)
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_prediction(text)
