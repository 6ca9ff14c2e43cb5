"""The keys a charter may have, derived from its typed values, so that no list is kept twice.

The command line, the environment, the errors and the documentation tests all read this table.
Must not import anything heavy.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from bucle.charter.settings import Charter

__all__ = ["FREE", "SECTIONS", "Branch", "Key", "all_keys", "charter_tree", "describe_type"]

FREE = "*"


class Key(Struct, frozen=True, kw_only=True):
    """One key that holds a value: `data.NAME.source` and the like.

    `default` is None where the key has none; `required` tells the two apart.
    """

    name: str
    type: Any
    default: Any = None
    required: bool = False
    items: tuple[str, ...] = ()


Branch = Mapping[str, "Key | Branch"]


@cache
def charter_tree() -> Branch:
    """Return all keys as nested tables; a name the user chooses stands under `FREE`."""
    return _tree(Charter, "")


def all_keys() -> tuple[Key, ...]:
    """Return all keys in the order of the charter, `NAME`, `STEP` and `PARAM` for free names.

    Example:
        >>> [key.name for key in all_keys()][:2]
        ['project.name', 'charter.problem']
    """
    return tuple(_leaves(charter_tree()))


def describe_type(hint: Any) -> str:
    """Say in words which values a key takes.

    Example:
        >>> describe_type(float | None), describe_type(tuple[str, ...])
        ('a number', 'a list of texts')
    """
    origin = get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(option) for option in get_args(hint))
    if origin in {Union, UnionType}:
        known = [describe_type(one) for one in get_args(hint) if one is not type(None)]
        return " or ".join(known)
    if origin is tuple:
        first = get_args(hint)[0]
        rest = "a list of numbers" if first is float else "a list of texts"
        return "a list of tables" if _is_struct(first) else rest
    words = {
        str: "text in quotes",
        float: "a number",
        int: "a whole number",
        bool: "true or false",
    }
    return words.get(hint, "a value")


def _tree(struct: type[Struct], prefix: str) -> Branch:
    branch: dict[str, Key | Branch] = {}
    for field in fields(struct):
        # As it is written: `from` is no name in Python.
        own = field.encode_name
        name = f"{prefix}{own}"
        if _is_struct(field.type):
            branch[own] = _tree(field.type, f"{name}.")
        elif get_origin(field.type) is dict:
            inner = get_args(field.type)[1]
            branch[own] = {
                FREE: _tree(inner, f"{name}.NAME.")
                if _is_struct(inner)
                else {FREE: Key(name=f"{name}.STEP.PARAM", type=Any)}
            }
        else:
            branch[own] = _leaf(name, field)
    return branch


def _leaf(name: str, field: msgspec.structs.FieldInfo) -> Key:
    default = None if field.default is NODEFAULT else field.default
    first: Any = get_args(field.type)[0] if get_origin(field.type) is tuple else None
    return Key(
        name=name,
        type=field.type,
        default=default,
        required=field.required,
        items=tuple(item.name for item in fields(first)) if _is_struct(first) else (),
    )


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


def _leaves(branch: Branch) -> Iterator[Key]:
    for child in branch.values():
        if isinstance(child, Key):
            yield child
        else:
            yield from _leaves(child)


SECTIONS: Sequence[str] = tuple(field.name for field in fields(Charter))
