"""Who answers: the champion, and a challenger beside it with its share of the keys.

Frozen values: a swap replaces all of it at once, and a request that took one never sees another.
Imports nothing heavy.
"""

import hashlib
from collections.abc import Sequence

from msgspec import Struct

from bucle.errors import PackageError
from bucle.models.package import Package
from bucle.models.signature import Signature
from bucle.serve.engines import Engine
from bucle.serve.rows import Row, RowReader
from bucle.serve.treated import Treated

__all__ = ["Served", "Slots", "line_up", "stable_share"]

_PARTS = 10_000


class Served(Struct, frozen=True, kw_only=True):
    """A model that is ready to answer; `treated` counts what it treats rather than knows."""

    model: str
    package: Package
    reader: RowReader
    engine: Engine
    treated: Treated | None = None


class Slots(Struct, frozen=True, kw_only=True):
    """Every model that takes part.

    `share` is what part of the keys the challenger answers, 0 to 1: with 0 it is a shadow, with
    more a canary. `places` says where in a row of the champion's each feature of the challenger
    stands, None where both have the same.
    """

    champion: Served
    challenger: Served | None = None
    share: float = 0.0
    places: tuple[int, ...] | None = None

    def choose(self, key: str) -> Served:
        """Return who answers a key: always the same one while the share stays."""
        if self.challenger is not None and stable_share(key, self.challenger.model) < self.share:
            return self.challenger
        return self.champion

    def beside(self, served: Served) -> Served | None:
        """Return the model that scores what another one answers; None where there is none."""
        return self.challenger if served is self.champion else self.champion

    def fit(self, served: Served, rows: Sequence[Row]) -> Sequence[Row]:
        """Return rows in the order that a model takes, given in the champion's."""
        if served is self.champion or self.places is None:
            return rows
        places = self.places
        return [tuple([row[place] for place in places]) for row in rows]

    @property
    def all(self) -> tuple[Served, ...]:
        """Every model, the champion first."""
        return (self.champion, self.challenger) if self.challenger else (self.champion,)


def line_up(champion: Signature, challenger: Signature) -> tuple[int, ...] | None:
    """Return where in the champion's rows the challenger's features stand; None for the same.

    Raises:
        PackageError: The challenger needs what requests to the champion do not hold, or answers
            another question.
    """
    if (champion.kind, champion.target, champion.classes) != (
        challenger.kind,
        challenger.target,
        challenger.classes,
    ):
        raise _apart("they do not answer the same question")
    places = {feature.name: at for at, feature in enumerate(champion.features)}
    found = []
    for feature in challenger.features:
        at = places.get(feature.name)
        if at is None:
            raise _apart(f"the champion's requests have no {feature.name!r}")
        own = champion.features[at].dtype
        if own != feature.dtype:
            raise _apart(f"{feature.name!r} is {feature.dtype} for one and {own} for the other")
        found.append(at)
    return None if found == list(range(len(champion.features))) else tuple(found)


def stable_share(key: str, model: str) -> float:
    """Return a number from 0 to 1 that a key and a model always give, whatever the process.

    With the model in it, two canaries in a row do not meet the same unlucky customers. A share
    that grows keeps the keys it had.
    """
    digest = hashlib.blake2b(f"{model} {key}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") % _PARTS / _PARTS


def _apart(cause: str) -> PackageError:
    return PackageError(
        "Cannot let a model answer beside the champion",
        cause=cause,
        attempt="bucle promote MODEL, once it has passed on held-out rows",
        code="bucle-370",
    )
