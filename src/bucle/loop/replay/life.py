"""One policy's life in a living world: how it is lived, day by day, and what became of it.

Values only; imports nothing heavy.
"""

from typing import Literal

from msgspec import Struct

from bucle.charter.settings import CharterSettings, GateSettings
from bucle.loop.policy import Policy

__all__ = ["Day", "Life", "Lifetime", "Ways"]


class Life(Struct, frozen=True, kw_only=True):
    """One way to live: a policy, and how much chance its proposals have."""

    policy: Policy
    exploration: float = 0.0

    @property
    def name(self) -> str:
        """What people call it: that of the policy, and the chance where there is some."""
        share = f" explore {100 * self.exploration:.4g}%" if self.exploration else ""
        return self.policy.name + share


class Ways(Struct, frozen=True, kw_only=True):
    """How one policy lives: what it follows, how much chance its proposals have, what errors cost.

    `price` is that of a retrain, alarms apart; `zone` that of its schedules.
    """

    policy: str
    gate: str
    window: str
    price: float
    zone: str
    exploration: float
    holdout: float
    kind: Literal["regression", "classification"]
    charter: CharterSettings
    gates: GateSettings


class Day(Struct, frozen=True, kw_only=True):
    """One period of a life.

    `expected` is what its items are expected to earn as they were proposed for, `best` the most
    they could, `plain` what they would without chance, `recorded` as history had them. `upkeep` is
    what its retrains and alarms cost.
    """

    rows: int
    error: float | None
    expected: float
    best: float
    plain: float
    recorded: float
    champion: str
    did: tuple[str, ...]
    why: str
    upkeep: float = 0.0


class Lifetime(Struct, frozen=True, kw_only=True):
    """What became of one policy; `views` are digests of what its models learned from."""

    days: tuple[Day, ...]
    error: float | None
    bad_promotions: int
    false_alarms: int
    views: tuple[str, ...]
