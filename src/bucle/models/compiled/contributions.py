"""What each column adds to an answer, and what a package keeps so that this can be said.

Values only. Imports nothing heavy.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from bucle.ids import canonical_json
from bucle.models.compiled.form import Output

__all__ = ["Contributions", "Reference", "Space", "reference_bytes", "space_of"]

Space = Literal["prediction", "log", "log1p", "log-odds", "exp", "expm1"]

_SPACES: dict[Output, Space] = {
    "same": "prediction",
    "exp": "log",
    "expm1": "log1p",
    "log": "exp",
    "log1p": "expm1",
    "probability": "log-odds",
}


class Reference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model's answers are compared with, as it is kept in a package.

    `covers` counts the rows that came to each split of the trees, then to each leaf, when they were
    fitted; `means` are those of the matrix that weights are multiplied with. It has one of them.
    """

    covers: tuple[float, ...] | None = None
    means: tuple[float, ...] | None = None


class Contributions(Struct, frozen=True, kw_only=True):
    """What each column adds to an answer.

    `base` is the answer where no column is known: that of trees is the mean over the rows they were
    fitted on, that of weights the answer for the mean of those rows. With what all columns add it
    is the answer, in the space named: `prediction` as it is, or its logarithm, its log-odds, ….
    """

    base: float
    space: Space
    columns: dict[str, float]


def space_of(output: Output) -> Space:
    """Return in which space contributions add up, by what is made of a model's sum."""
    return _SPACES[output]


def reference_bytes(reference: Reference) -> bytes:
    """Write a reference in its one byte form."""
    return canonical_json(msgspec.to_builtins(reference))
