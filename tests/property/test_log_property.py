"""Whatever is appended is read back; whatever is changed is seen."""

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_log import BATCHES, DRAFTS, VALUES

from bucle.errors import LogDamagedError
from bucle.store.chain import START, check, follow, seal, seal_all, sealed_content
from bucle.store.memory_log import MemoryLog
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft, Event


@given(DRAFTS, st.integers(1, 2**40))
def test_sealed_fact_says_what_the_draft_said(draft: Draft, position: int) -> None:
    event = seal(draft, position=position, previous="e" * 64)
    assert check(event, position=position, previous="e" * 64) == ""
    said = (event.kind, event.version, event.at, event.actor, event.cause, event.body)
    assert said == (draft.kind, draft.version, draft.at, draft.actor, draft.cause, draft.body)


@given(DRAFTS, st.sampled_from(Event.__struct_fields__), VALUES)
def test_changed_event_never_fits(draft: Draft, field: str, value: object) -> None:
    event = seal(draft, position=1, previous="0" * 64)
    changed = msgspec.structs.replace(event, **{field: value})
    if sealed_content(changed) != sealed_content(event) or changed.hash != event.hash:
        assert check(changed, position=1, previous="0" * 64) != ""


@given(st.lists(DRAFTS, min_size=1, max_size=5), st.data())
def test_flipped_bit_of_a_stored_event_is_seen(drafts: list[Draft], data: st.DataObject) -> None:
    events = seal_all(drafts, after=START)
    rows = [(event.position, sealed_content(event), event.hash.encode()) for event in events]
    place = data.draw(st.integers(0, len(rows) - 1))
    position, content, digest = rows[place]
    spoiled = bytearray(content)
    spoiled[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    rows[place] = (position, bytes(spoiled), digest)
    seen: list[Event] = []
    with pytest.raises(LogDamagedError) as damage:
        seen.extend(follow(rows, after=START))
    assert damage.value.position == place + 1
    assert tuple(seen) == events[:place]


@given(BATCHES)
def test_both_logs_hold_the_same_bytes(batches: list[list[Draft]]) -> None:
    memory = MemoryLog()
    with tempfile.TemporaryDirectory() as folder:
        disk = SqliteLog(Path(folder) / "log.db")
        for batch in batches:
            assert disk.append(batch) == memory.append(batch)
        assert list(disk.read()) == list(memory.read())
        assert disk.head() == memory.head()
        found = disk.verify()
        assert (found.events, found.intact) == (memory.head().position, True)
        disk.close()
