"""What was worked out before: key → artifact, and what each task last depended on.

The content itself is with the blobs; an entry only points to it. An entry that is missing or
damaged means no more than that the task runs again. Must not import anything heavy.
"""

import msgspec
from msgspec import Struct

from bucle.pipeline.kept import Kept
from bucle.pipeline.keys import KeyParts
from bucle.pipeline.tasks import Artifact

__all__ = ["Cache", "Entry", "Remembered"]


class Entry(Struct, frozen=True, kw_only=True):
    """A finished task: its artifact and how long it took when it ran."""

    artifact: Artifact
    seconds: float = 0.0


class Remembered(Struct, frozen=True, kw_only=True):
    """The key a task last had a result under, and the parts it was made of."""

    key: str
    parts: KeyParts


class Cache:
    """Results by key.

    Safe for several processes at once: each entry is whole or not there, and two that write the
    same key write the same thing.

    Args:
        kept: Where entries are kept.
    """

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self._entries = msgspec.json.Decoder(Entry)
        self._remembered = msgspec.json.Decoder(Remembered)

    def find(self, key: str) -> Entry | None:
        """Return the entry of a key, None if there is none."""
        content = self.kept.get("entries", key)
        try:
            return None if content is None else self._entries.decode(content)
        except msgspec.MsgspecError:
            return None

    def add(self, key: str, entry: Entry) -> None:
        """Keep a result."""
        self.kept.put("entries", key, msgspec.json.encode(entry))

    def last(self, name: str) -> Remembered | None:
        """Return what a task last depended on."""
        content = self.kept.get("last", name)
        try:
            return None if content is None else self._remembered.decode(content)
        except msgspec.MsgspecError:
            return None

    def remember(self, name: str, remembered: Remembered) -> None:
        """Keep what a task depended on now, to explain the next change."""
        self.kept.put("last", name, msgspec.json.encode(remembered))
