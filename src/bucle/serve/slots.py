"""Who answers: the champion, and a canary with its share.

Frozen values: a swap replaces all of it at once, and a request that took one never sees another.
Imports nothing heavy.
"""

import hashlib

from msgspec import Struct

from bucle.models.package import Package
from bucle.serve.engines import Engine
from bucle.serve.rows import RowReader

__all__ = ["Served", "Slots", "stable_share"]

_PARTS = 10_000


class Served(Struct, frozen=True, kw_only=True):
    """A model that is ready to answer."""

    model: str
    package: Package
    reader: RowReader
    engine: Engine


class Slots(Struct, frozen=True, kw_only=True):
    """Every model that takes part; `share` is what part of the keys the canary answers, 0 to 1."""

    champion: Served
    canary: Served | None = None
    share: float = 0.0

    def choose(self, key: str) -> Served:
        """Return who answers a key: always the same one while the share stays."""
        if self.canary is not None and stable_share(key, self.canary.model) < self.share:
            return self.canary
        return self.champion

    @property
    def all(self) -> tuple[Served, ...]:
        """Every model, the champion first."""
        canary = (self.canary,) if self.canary else ()
        return (self.champion, *canary)


def stable_share(key: str, model: str) -> float:
    """Return a number from 0 to 1 that a key and a model always give, whatever the process.

    With the model in it, two canaries in a row do not meet the same unlucky customers. A share
    that grows keeps the keys it had.
    """
    digest = hashlib.blake2b(f"{model} {key}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") % _PARTS / _PARTS
