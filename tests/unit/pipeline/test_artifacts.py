"""Values become bytes and come back equal; equal values give equal bytes."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bucle.errors import OutsideError, PipelineError
from bucle.pipeline.artifacts import decode_value, encode_value, keep_value, read_value
from bucle.store.memory_blobs import MemoryBlobs

ROOT = Path("/nowhere")

FRAME = pl.DataFrame(
    {
        "number": [1, None, 3, 4],
        "text": ["a", "a text that is longer than twelve", None, ""],
        "flag": [True, None, False, True],
        "share": [1.5, float("nan"), None, -0.0],
        "day": [dt.date(2026, 1, 1), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)],
        "moment": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, None, None],
        "names": [["a"], None, [], ["b", None]],
        "pair": [{"x": 1}, None, {"x": None}, {"x": 3}],
        "kind": pl.Series(["x", None, "y", "x"], dtype=pl.Categorical),
        "size": pl.Series(["S", "M", None, "S"], dtype=pl.Enum(["S", "M"])),
        "blob": [b"a", None, b"", b"\x00"],
        "empty": [None, None, None, None],
    }
)


def round_trip(value):
    encoded = encode_value(value, root=ROOT)
    return decode_value(encoded.content, format=encoded.format, root=ROOT)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**70),
        1.5,
        "ñ\ud800",
        [],
        {},
        {"a": [1, {"b": None}]},
        {"$number": "nan"},
        {"$$a": 1, "$": 2},
        float("inf"),
        [float("-inf")],
    ],
)
def test_json_values_come_back(value):
    assert round_trip(value) == value
    assert type(round_trip(value)) is type(value)


def test_nan_comes_back():
    assert np.isnan(round_trip({"r2": float("nan")})["r2"])


def test_tuples_and_numbers_of_numpy_become_plain():
    value = round_trip({"a": (1, 2), "b": np.float32(1.5), "c": np.int64(2), "d": np.bool_(True)})
    assert value == {"a": [1, 2], "b": 1.5, "c": 2, "d": True}
    assert {type(item) for item in value.values()} == {list, float, int, bool}


def test_order_of_keys_does_not_count():
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert encode_value(one, root=ROOT) == encode_value(other, root=ROOT)


def test_frames_come_back():
    back = round_trip(FRAME)
    assert back.equals(FRAME)
    assert back.schema == FRAME.schema


@pytest.mark.parametrize("frame", [pl.DataFrame(), FRAME.clear(), FRAME.select("empty")])
def test_empty_frames_come_back(frame):
    assert round_trip(frame).equals(frame)
    assert round_trip(frame).schema == frame.schema


@pytest.mark.parametrize(
    "other",
    [
        pl.concat([FRAME.head(2), FRAME.tail(2)]),
        pl.concat([FRAME, FRAME]).slice(4, 4),
        FRAME.reverse().reverse(),
        FRAME.with_row_index().filter(pl.col("index") >= 0).drop("index"),
        pl.concat([FRAME.head(1)] * 40 + [FRAME]).tail(4),
        FRAME.with_columns(pl.col("number") + 5 - 5, (~(~pl.col("flag")))),
        FRAME.lazy(),
    ],
)
def test_equal_frames_of_another_past_give_equal_bytes(other):
    assert encode_value(other, root=ROOT) == encode_value(FRAME, root=ROOT)


def test_one_cell_changes_the_bytes():
    other = FRAME.with_columns(text=pl.Series(["a", "b", None, ""]))
    assert encode_value(other, root=ROOT) != encode_value(FRAME, root=ROOT)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3).T,
        np.array(3.5),
        np.array(["a", "bc"]),
        np.zeros((0, 2)),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.array([True, False]),
    ],
)
def test_arrays_come_back(array):
    back = round_trip(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array)


def test_artifact_says_what_it_is():
    blobs = MemoryBlobs()
    kept = keep_value(FRAME, blobs=blobs, root=ROOT)
    assert (kept.format, kept.rows) == ("arrow", 4)
    assert kept.bytes == len(blobs.get(kept.digest))
    assert keep_value(np.zeros((7, 2)), blobs=blobs, root=ROOT).rows == 7
    assert read_value(kept, blobs=blobs, root=ROOT).equals(FRAME)


@pytest.mark.parametrize(
    ("value", "attempt"),
    [
        ({1, 2}, "sorted(value)"),
        ({"a": {1}}, "sorted(value)"),
        (dt.date(2026, 1, 1), "isoformat"),
        (b"ab", "frombuffer"),
        ({1: 2}, "text keys"),
        (pl.Series("a", [1]), "to_frame"),
        ([FRAME], "by itself"),
        (np.array([object()]), "number or text"),
        (pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}), "polars type"),
        (lambda: 1, "a polars frame"),
        (object(), "a polars frame"),
    ],
)
def test_other_values_are_refused_with_a_way_out(value, attempt):
    with pytest.raises(PipelineError) as caught:
        encode_value(value, root=ROOT)
    assert caught.value.code == "bucle-151"
    assert attempt in caught.value.attempt


def test_values_of_other_frame_libraries_are_refused_with_the_door():
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(PipelineError) as caught:
        encode_value(pyarrow.table({"a": [1]}), root=ROOT)
    assert "pl.from_arrow" in caught.value.attempt


def test_value_nested_without_end_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(PipelineError) as caught:
        encode_value(endless, root=ROOT)
    assert "deep" in caught.value.cause


@pytest.mark.parametrize("kind", ["arrow", "npy", "json"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"{", b"ARROW1\x00\x00"])
def test_bytes_of_another_kind_are_an_error_and_no_crash(kind, content):
    with pytest.raises(OutsideError) as caught:
        decode_value(content, format=kind, root=ROOT)
    assert caught.value.code == "bucle-152"


def test_arrays_of_objects_are_never_unpickled():
    import io

    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(OutsideError, match="allow_pickle"):
        decode_value(stream.getvalue(), format="npy", root=ROOT)
