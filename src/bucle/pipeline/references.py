"""What a piece of code uses, as values: names, text constants, imported modules.

Must not import anything but msgspec, because kept facts are read with it on every run.
"""

from msgspec import Struct

__all__ = ["ImportedModule", "Reference", "Uses"]


class ImportedModule(Struct, frozen=True, array_like=True):
    """A module that an import statement names; `names` are those taken from it."""

    module: str
    level: int = 0
    names: tuple[str, ...] = ()


class Reference(Struct, frozen=True, array_like=True):
    """A name and the attributes asked of it, as in `features.encode.cache`.

    With `module` or `level` the chain starts in that module, else among the module-level names
    of the module the code stands in. An empty chain is the module itself.
    """

    chain: tuple[str, ...]
    module: str = ""
    level: int = 0


class Uses(Struct, frozen=True, array_like=True):
    """What a piece of code uses.

    `strings` are its text constants that could name a file; `lists_folders` tells that it asks
    what is in a folder, `changes_state` that it adds to a module-level value; `imports` are the
    modules imported inside functions.
    """

    references: tuple[Reference, ...] = ()
    strings: tuple[str, ...] = ()
    imports: tuple[ImportedModule, ...] = ()
    lists_folders: bool = False
    changes_state: bool = False
