"""What one source file says: its names, what they use, its functions.

Facts depend on the bytes of the file alone, so they can be kept under its digest. Values only;
must not import the parser, because kept facts are read on every run.
"""

from typing import Any

from msgspec import Struct

from bucle.pipeline.references import ImportedModule, Reference, Uses

__all__ = [
    "FACTS_VERSION",
    "Definition",
    "FunctionFacts",
    "ModuleFacts",
    "ParameterFacts",
]

FACTS_VERSION = 1
"""Raised when the same source gives other facts."""


class ParameterFacts(Struct, frozen=True, kw_only=True):
    """One parameter of a function; `default` is known when it is a literal of JSON values."""

    name: str
    optional: bool = False
    literal: bool = False
    default: Any = None


class FunctionFacts(Struct, frozen=True, kw_only=True):
    """A public top-level function; `fault` says why it cannot be a step."""

    name: str
    line: int
    parameters: tuple[ParameterFacts, ...]
    summary: str = ""
    fault: str = ""


class Definition(Struct, frozen=True, kw_only=True):
    """All the code that gives a module-level name its value.

    `hooks` are the names that see the definition being made: decorators, bases, metaclasses.
    `observes` tells that a class sees its subclasses being made, `state` that the value is one
    that other code may add to.
    """

    digest: str
    uses: Uses
    hooks: tuple[Reference, ...] = ()
    observes: bool = False
    state: bool = False


class ModuleFacts(Struct, frozen=True, kw_only=True):
    """One module: `imports` are the names its import statements bind, `modules` what they name.

    `statements` is the code that merely runs when the module is imported; `hooked` are the
    definitions that something may see being made.
    """

    definitions: dict[str, Definition] = {}
    imports: dict[str, tuple[Reference, ...]] = {}
    modules: tuple[ImportedModule, ...] = ()
    statements: Definition | None = None
    hooked: tuple[str, ...] = ()
    functions: tuple[FunctionFacts, ...] = ()
