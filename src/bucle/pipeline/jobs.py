"""What is sent to a worker and what it sends back, as values of plain bytes.

Must not import anything heavy: both sides read it first.
"""

from typing import Any, Literal

from msgspec import Struct, field

from bucle.pipeline.tasks import Artifact

__all__ = ["Done", "Job", "Preparation"]


class Job(Struct, frozen=True, kw_only=True):
    """One call: inputs are artifacts, everything else comes along.

    `sources` maps project files to the digests that the key was made of.
    """

    name: str
    call: str
    root: str
    blobs: str = ""
    inputs: dict[str, Artifact] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    moments: dict[str, str | None] = field(default_factory=dict)
    seed: int = 0
    sources: dict[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()


class Done(Struct, frozen=True, kw_only=True):
    """How a call went; `damaged` are the parameters whose artifact could not be read.

    `seconds` begin when the function and what it imports at its module's top are loaded.
    """

    state: Literal["ran", "failed", "damaged"]
    seconds: float = 0.0
    artifact: Artifact | None = None
    damaged: tuple[str, ...] = ()
    error: str = ""
    traceback: str = ""
    problem: dict[str, Any] = field(default_factory=dict)
    output: str = ""


class Preparation(Struct, frozen=True, kw_only=True):
    """What a further worker imports before it asks for a job."""

    root: str
    calls: tuple[str, ...] = ()
