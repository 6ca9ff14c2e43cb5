"""What is wrong with a charter, before it is said: one value for all who check."""

from typing import Any

from msgspec import Struct

__all__ = ["Problem"]


class Problem(Struct, frozen=True, kw_only=True):
    """One thing in the charter that cannot stand; `key` is what to change."""

    key: str
    value: Any
    cause: str
    did_you_mean: tuple[str, ...] = ()
    attempt: str = ""
    code: str = "bucle-114"
