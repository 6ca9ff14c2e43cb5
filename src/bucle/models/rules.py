"""What a value of a column may be, as the data contract says it: part of a model package.

Plain values that a server can check without the project's code. Imports nothing heavy.
"""

from msgspec import Struct

__all__ = ["Rule"]


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the values of one column may be; what is None is not limited.

    `pattern` is a regular expression that is searched for in a text.
    """

    name: str
    nullable: bool = True
    least: float | int | None = None
    most: float | int | None = None
    above: float | int | None = None
    below: float | int | None = None
    one_of: tuple[str, ...] | None = None
    pattern: str | None = None
    shortest: int | None = None
    longest: int | None = None
