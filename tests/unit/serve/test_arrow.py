"""Arrow IPC: what others write is read as they mean it; what nobody means never does harm."""

import io
import random
import struct
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from bucle.serve.arrow import read_arrow
from bucle.serve.flatbuffer import MalformedError, Table, root
from bucle.serve.problems import ProblemError

NEWEST, OLDEST = pl.CompatLevel.newest(), pl.CompatLevel.oldest()
FRAME = pl.DataFrame(
    {
        "i8": pl.Series([1, None, -3], dtype=pl.Int8),
        "i16": pl.Series([1, None, -3], dtype=pl.Int16),
        "i64": pl.Series([2**63 - 1, None, -(2**63)]),
        "u64": pl.Series([1, 2, 2**64 - 1], dtype=pl.UInt64),
        "f64": [1.5, None, -0.0],
        "f32": pl.Series([1.5, 2, 3], dtype=pl.Float32),
        "text": ["a", None, "ñ a text of more than twelve bytes 😀"],
        "flag": [True, None, False],
        "date": [date(2024, 2, 29), None, date(1, 1, 1)],
        "moment": [datetime(2024, 1, 1, 12, tzinfo=UTC)] * 3,
        "plain": [datetime(1960, 1, 1, 12, 0, 0, 5), None, None],  # noqa: DTZ001
        "ms": pl.Series([datetime(1960, 1, 1), None, None], dtype=pl.Datetime("ms")),  # noqa: DTZ001
        "ns": pl.Series([datetime(1960, 1, 1), None, None], dtype=pl.Datetime("ns")),  # noqa: DTZ001
        "word": pl.Series(["x", "y", None], dtype=pl.Categorical),
        "enum": pl.Series(["x", "y", "x"], dtype=pl.Enum(["x", "y"])),
        "time": [time(1, 2, 3), None, time(0)],
        "span": [timedelta(1), None, timedelta(-1)],
        "null": [None] * 3,
    }
)


def stream(frame: pl.DataFrame, *, level: Any = NEWEST) -> bytes:
    content = io.BytesIO()
    frame.write_ipc_stream(content, compat_level=level)
    return content.getvalue()


def batches(table: pa.Table, size: int, **options: Any) -> bytes:
    content = io.BytesIO()
    with pa.ipc.new_stream(
        content, table.schema, options=pa.ipc.IpcWriteOptions(**options)
    ) as writer:
        for batch in table.to_batches(max_chunksize=size):
            writer.write_batch(batch)
    return content.getvalue()


def values(body: bytes) -> dict[str, list[Any]]:
    return {name: one.values for name, one in read_arrow(body).items()}


def refused(body: bytes) -> ProblemError:
    with pytest.raises(ProblemError) as found:
        read_arrow(body)
    return found.value


EXPECTED = FRAME.to_dict(as_series=False)


@pytest.mark.parametrize("level", [NEWEST, OLDEST])
def test_what_polars_writes_is_read_as_it_is(level: Any) -> None:
    assert values(stream(FRAME, level=level)) == EXPECTED
    content = io.BytesIO()
    FRAME.write_ipc(content, compression="uncompressed", compat_level=level)
    assert values(content.getvalue()) == EXPECTED


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_pyarrow_writes_in_batches_is_read_as_it_is(size: int) -> None:
    table = FRAME.to_arrow()
    body = batches(table, size, emit_dictionary_deltas=True)
    assert values(body) == EXPECTED
    assert values(body[:-8]) == EXPECTED, "the end of a stream may be left out"
    content = io.BytesIO()
    with pa.ipc.new_file(content, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    assert values(content.getvalue()) == EXPECTED


def test_a_slice_and_no_row_at_all_are_read() -> None:
    assert values(stream(FRAME[1:])) == {name: part[1:] for name, part in EXPECTED.items()}
    assert values(stream(FRAME[:0])) == {name: [] for name in EXPECTED}


def test_families_are_told_by_the_types() -> None:
    found = {name: one.family for name, one in read_arrow(stream(FRAME)).items()}
    assert found["word"] == found["text"] == found["enum"] == "text"
    assert (found["i8"], found["f32"], found["flag"]) == ("whole", "number", "flag")
    assert (found["date"], found["moment"], found["span"]) == ("date", "moment", "span")
    assert (found["time"], found["null"]) == ("time", "null")


@pytest.mark.parametrize(
    "values_of",
    [[[1, 2]], [{"a": 1}], [b"bytes"], [pa.scalar(1, pa.decimal128(5, 2)).as_py()]],
)
def test_a_type_that_no_model_takes_is_refused_by_name(values_of: list[Any]) -> None:
    table = pa.table({"odd": pa.array(values_of)})
    problem = refused(batches(table, 9))
    assert (problem.status, problem.code) == (422, "bucle-351")
    assert "'odd'" in problem.cause


@pytest.mark.parametrize("kind", ["zstd", "lz4"])
def test_a_compressed_stream_is_refused(kind: str) -> None:
    problem = refused(batches(FRAME.to_arrow(), 9, compression=kind))
    assert (problem.status, problem.cause) == (422, "it is compressed")


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert "one name" in refused(batches(table, 9)).cause


def test_rows_that_take_no_bytes_are_bounded() -> None:
    table = pa.table({"nothing": pa.nulls(10**9)})
    body = batches(table, 10**9)
    assert len(body) < 1000
    problem = refused(body)
    assert (problem.status, problem.code) == (413, "bucle-352")
    wide = pl.DataFrame({f"n{number}": [None] * 5_000 for number in range(500)})
    assert refused(stream(wide)).code == "bucle-351"


def test_a_text_that_a_dictionary_repeats_is_bounded() -> None:
    long = pa.array(["x" * 1_000_000])
    indices = pa.array([0] * 1_000, pa.int8())
    table = pa.table({"word": pa.DictionaryArray.from_arrays(indices, long)})
    body = batches(table, 10**6)
    assert len(body) < 1_100_000
    assert refused(body).status == 413
    views = pl.DataFrame({"word": ["x" * 100_000]}).select(
        pl.col("word").repeat_by(1_000).explode()
    )
    assert refused(stream(views)).status in {400, 413}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 8,
        b"\xff" * 8,
        b"\xff\xff\xff\xff\0\0\0\0",
        b"ARROW1\0\0",
        b"ARROW1\0\0ARROW1",
        b"ARROW1\0\0\xff\xff\xff\x7fARROW1",
        b"ARROW1\0\0\4\0\0\0\0\0\0\0ARROW1",
        b'{"size": 1}',
        stream(FRAME)[8:],
        stream(FRAME)[:100],
        stream(FRAME)[: len(stream(FRAME)) // 2],
    ],
)
def test_bytes_that_are_no_stream_are_refused(body: bytes) -> None:
    problem = refused(body)
    assert (problem.status, problem.code) == (400, "bucle-350")


def test_an_offset_never_leads_out_of_its_buffer() -> None:
    for content in (b"", b"\0", b"\xff" * 64, b"\4\0\0\0" + b"\xff" * 60, b"\0" * 64):
        with pytest.raises(MalformedError):
            Table(content, len(content))
        for offset in (-1, 2**31, 10**20):
            with pytest.raises(MalformedError):
                Table(content, offset)
    # A table whose only field says that it is a list of 2³² texts.
    made = struct.pack("<IHHHHiII", 12, 6, 8, 4, 0, 8, 4, 0xFFFFFFFF)
    for read in (
        lambda: root(made).text(0),
        lambda: root(made).tables(0, most=2**40),
        lambda: root(made).rows(0, "<qq"),
    ):
        with pytest.raises(MalformedError):
            read()


def mutate(body: bytes, drawn: random.Random) -> bytes:
    made = bytearray(body)
    for _ in range(drawn.choice([1, 1, 2, 4, 16])):
        place = drawn.randrange(len(made))
        how = drawn.randrange(6)
        if how == 0:
            made[place] = drawn.randrange(256)
        elif how == 1:
            made[place] ^= 1 << drawn.randrange(8)
        elif how == 2:
            made[place : place + 4] = drawn.choice([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"])
        elif how == 3:
            made[place : place + 8] = drawn.choice([b"\xff" * 8, b"\xff" * 7 + b"\x7f"])
        elif how == 4:
            del made[place + 1 :]
        else:
            other = drawn.randrange(len(made))
            made[place : place + 16] = made[other : other + 16]
    return bytes(made)


def require_harmless(count: int) -> None:
    seed = random.SystemRandom().randrange(10**9)
    drawn = random.Random(seed)
    seen = dict.fromkeys(("read", "bucle-350", "bucle-351", "bucle-352"), 0)
    content = io.BytesIO()
    FRAME.write_ipc(content, compression="uncompressed")
    bodies = [stream(FRAME), batches(FRAME.to_arrow(), 2), content.getvalue()]
    for number in range(count):
        body = mutate(bodies[number % 3], drawn)
        try:
            read_arrow(body)
            seen["read"] += 1
        except ProblemError as problem:
            seen[problem.code] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, body {number}: {body.hex()}") from error
    assert min(seen["read"], seen["bucle-350"], seen["bucle-351"]) > 0, (seed, seen)


def test_no_change_of_bytes_does_harm() -> None:
    require_harmless(2_000)


@pytest.mark.slow
def test_no_change_of_bytes_does_harm_in_the_long_run() -> None:
    require_harmless(100_000)
