"""The prediction log: any cut gives a beginning, any change of a byte is noticed."""

import random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.serve.compactor import feedback_frame
from bucle.serve.feedback import latest_labels
from bucle.serve.frames import frame, frames, scan, seed_of
from bucle.serve.records import Feedback, Prediction, decode, encode

stems = st.from_regex(r"w[0-9]-[0-9a-f]{16}-[0-9]{8}", fullmatch=True)
payloads = st.lists(st.binary(max_size=60), max_size=12)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
moments = st.integers(min_value=0, max_value=4_000_000_000_000_000)
predictions = st.builds(
    Prediction,
    id=texts,
    at=moments,
    model=texts,
    role=st.sampled_from(["champion", "canary", "shadow"]),
    prediction=st.floats(allow_nan=False),
    features=st.binary(max_size=40),
    of=texts,
    low=st.none() | st.floats(allow_nan=False),
    high=st.none() | st.floats(allow_nan=False),
    key=st.none() | texts,
    request=texts,
    latency_us=st.integers(min_value=0, max_value=2**60),
)
feedback = st.builds(
    Feedback, id=texts, at=moments, label=texts, label_time=st.none() | moments, source=texts
)


@given(payloads, stems, st.data())
def test_a_cut_anywhere_gives_the_beginning(contents, stem, data) -> None:
    seed = seed_of(stem)
    whole = frames(contents, seed=seed)
    size = data.draw(st.integers(0, len(whole)))
    found = scan(whole[:size], seed=seed)
    assert found.payloads == contents[: len(found.payloads)]
    assert found.damaged == ()
    used = sum(len(frame(content, seed=seed)) for content in found.payloads)
    assert found.torn == size - used
    if len(found.payloads) < len(contents):
        assert size < used + len(frame(contents[len(found.payloads)], seed=seed))


@given(payloads.filter(bool), stems, st.data())
def test_a_changed_byte_is_noticed_and_costs_its_own_record(contents, stem, data) -> None:
    seed = seed_of(stem)
    changed = bytearray(frames(contents, seed=seed))
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    found = scan(bytes(changed), seed=seed)
    ends, end = [], 0
    for content in contents:
        end += len(frame(content, seed=seed))
        ends.append(end)
    hit = next(index for index, end in enumerate(ends) if place < end)
    assert found.payloads == contents[:hit] + contents[hit + 1 :]
    assert len(found.damaged) == 1
    assert found.damaged[0][1] == ends[hit]
    assert found.torn == 0


@given(payloads, stems, st.binary(min_size=1, max_size=80), st.data())
def test_foreign_bytes_in_between_lose_no_record(contents, stem, foreign, data) -> None:
    seed = seed_of(stem)
    place = data.draw(st.integers(0, len(contents)))
    content = frames(contents[:place], seed=seed) + foreign + frames(contents[place:], seed=seed)
    found = scan(content, seed=seed)
    assert found.payloads == contents
    assert found.damaged or found.torn


@given(st.lists(predictions | feedback, max_size=6), stems)
def test_records_survive_the_file(records, stem) -> None:
    seed = seed_of(stem)
    found = scan(frames([encode(record) for record in records], seed=seed), seed=seed)
    assert [one for payload in found.payloads for one in decode(payload)] == records


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_reading_fail(content) -> None:
    found = scan(content, seed=7)
    covered = sum(end - start for start, end in found.damaged) + found.torn
    assert covered + sum(len(frame(one, seed=7)) for one in found.payloads) == len(content)
    decode(content)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.sampled_from(["1", "2", '"x"'])),
        max_size=25,
    ),
    st.randoms(use_true_random=False),
)
def test_the_latest_label_is_that_of_a_plain_loop(told, chance: random.Random) -> None:
    frame_ = feedback_frame([Feedback(id=one, at=at, label=label) for one, at, label in told])
    expected: dict[str, tuple[str, int, int]] = {}
    for one, _, label in sorted(told, key=lambda row: row[1]):
        last, count, corrections = expected.get(one, (label, 0, 0))
        expected[one] = (label, count + 1, corrections + (last != label))
    columns = ("label", "labels", "corrections")
    latest = latest_labels(frame_)
    assert {row[0]: row[1:] for row in latest.select("id", *columns).iter_rows()} == expected
    # The order of rows matters only among those that arrived at the same moment.
    mixed = list(range(len(told)))
    chance.shuffle(mixed)
    mixed.sort(key=lambda place: (told[place][1], place))
    assert latest_labels(frame_[mixed] if mixed else frame_).sort("id").equals(latest.sort("id"))
    assert isinstance(latest.schema["received"], pl.Datetime)
