"""Rows that are recorded by column are the rows that are recorded one by one."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bucle.models.signature import Feature, Signature
from bucle.serve.engines import Scored
from bucle.serve.recording import BY_COLUMN, Said, record_rows
from bucle.serve.records import (
    Prediction,
    PredictionColumns,
    PredictionIds,
    count_records,
    decode,
    encode_together,
)
from bucle.serve.rows import RowReader

words = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "String": words,
    "Boolean": st.booleans(),
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "UInt8": st.integers(0, 255),
    "Float64": st.floats(allow_nan=False, allow_infinity=False),
    "Date": st.dates(date(1900, 1, 1)),
    "Time": st.times(),
    "Datetime[us]": st.datetimes(datetime(1900, 1, 1)),  # noqa: DTZ001  (it has no zone)
    "Datetime[us, UTC]": st.datetimes(datetime(1900, 1, 2), timezones=zones),  # noqa: DTZ001
    "Duration[us]": st.timedeltas(timedelta(days=-999), timedelta(days=999)),
    "Null": st.none(),
}
dtypes = st.lists(st.sampled_from(sorted(VALUES)), max_size=5)
ends = st.none() | st.floats(allow_nan=False)
keys = st.none() | words | st.integers(-(10**25), 10**25)


@st.composite
def requests(draw: st.DrawFn) -> tuple[RowReader, list[Any]]:
    """Return a reader and rows that it has read."""
    types = draw(dtypes)
    signature = Signature(
        kind="regression",
        target="y",
        features=tuple(Feature(name=f"c{n} ñ", dtype=one) for n, one in enumerate(types)),
    )
    count = draw(st.integers(0, 2))
    reader = RowReader(signature, keys=[f"k{n}" for n in range(count)])
    fields = [st.none() | VALUES[one] for one in types] + [keys] * count
    names = reader.fields
    found = draw(st.lists(st.tuples(*fields), min_size=1, max_size=30))
    rows = [dict(zip(names, row, strict=True)) for row in found]
    return reader, reader.read(msgspec.json.encode(rows))[0]


@given(requests(), st.data())
def test_by_column_is_row_by_row(request, data) -> None:
    reader, rows = request
    count = len(rows)
    scored = data.draw(
        st.lists(
            st.builds(Scored, st.floats(allow_nan=False), ends, ends),
            min_size=count,
            max_size=count,
        )
    )
    ids = PredictionIds().take(count, now_ms=data.draw(st.integers(0, 2**40)))
    said = Said(model="m-1", role="canary", request="r", began=time.perf_counter())
    together = record_rows(reader, rows, scored, ids=ids, said=said)
    single = [
        one
        for at in range(count)
        for one in record_rows(
            reader, rows[at : at + 1], scored[at : at + 1], ids=ids[at : at + 1], said=said
        )
    ]
    assert (len(together) == 1) == (count == 1 or count > BY_COLUMN)
    assert count_records(together) == count
    assert isinstance(together[0], PredictionColumns) == (count > BY_COLUMN)
    found = [one for content in encode_together(together) for one in decode(content)]
    assert _timeless(found) == _timeless(single)


def _timeless(records: Any) -> list[Prediction]:
    return [msgspec.structs.replace(one, at=0, latency_us=0) for one in records]
