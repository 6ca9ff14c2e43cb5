"""Entries are given back whole or not at all."""

from bucle.pipeline.cache import Cache, Entry, Remembered
from bucle.pipeline.kept import MemoryKept
from bucle.pipeline.keys import KeyParts
from bucle.pipeline.tasks import Artifact

ENTRY = Entry(artifact=Artifact(digest="a" * 64, format="json", bytes=2), seconds=1.5)
LAST = Remembered(
    key="b" * 64, parts=KeyParts(call="p.py:a", code={"p.a": "1"}, libraries={}, inputs={})
)


def test_what_was_added_is_found():
    cache = Cache(MemoryKept())
    cache.add("key", ENTRY)
    cache.remember("clean", LAST)
    assert cache.find("key") == ENTRY
    assert cache.last("clean") == LAST


def test_what_was_not_added_is_not_found():
    cache = Cache(MemoryKept())
    assert cache.find("key") is None
    assert cache.last("clean") is None


def test_entry_of_another_form_counts_as_none():
    kept = MemoryKept()
    kept.put("entries", "key", b'{"artifact": 3}')
    kept.put("last", "clean", b"nothing")
    assert Cache(kept).find("key") is None
    assert Cache(kept).last("clean") is None
