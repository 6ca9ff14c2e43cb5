"""Where values come from: the file, the environment and the command line, each as one layer.

A layer maps the path of a key to its value and its source; a later layer covers an earlier one.
Must not import anything heavy.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from msgspec import Struct

from bucle.charter.keys import FREE, SECTIONS, Branch, Key, all_keys, charter_tree, describe_type
from bucle.charter.lines import key_lines, line_of
from bucle.errors import CharterError, nearest

__all__ = ["Given", "Path", "environment_layer", "file_layer", "override_layer"]

Path = tuple[str, ...]

_PREFIX = "BUCLE_"
_AT = re.compile(r" \(at line (\d+), column \d+\)$|\(at end of document\)$")


class Given(Struct, frozen=True, kw_only=True):
    """A value somebody gave: `source` as `bucle config` shows it, `where` as errors do.

    `items` says where the parts of a list of tables stand: `1.must` and the like.
    """

    key: Key
    value: Any
    source: str
    where: str
    items: Mapping[str, str] = {}


def file_layer(text: str, *, name: str = "bucle.toml") -> dict[Path, Given]:
    """Read the text of a charter; every error names its line.

    Raises:
        CharterError: It is no TOML (bucle-110), has a key that does not exist (bucle-111), or a
            table where a value belongs or the other way round (bucle-112).
    """
    lines = key_lines(text)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _syntax_error(error, name) from error
    layer: dict[Path, Given] = {}
    for path, key, value in _flatten(document, charter_tree(), (), _FileErrors(name, lines)):
        line = line_of(path, lines)
        where = f"{name}:{line}"
        items = {
            ".".join(inner[len(path) :]): f"{name}:{number}"
            for inner, number in (lines.items() if key.items else ())
            if inner[: len(path)] == path
        }
        layer[path] = Given(key=key, value=value, source=f"file {where}", where=where, items=items)
    return layer


def environment_layer(
    environ: Mapping[str, str], *, below: Mapping[Path, Given]
) -> dict[Path, Given]:
    """Read the variables `BUCLE_SECTION__KEY`; case does not matter.

    Args:
        environ: The environment of the process.
        below: The file's layer: names the user chose are matched with those it has.

    Raises:
        CharterError: A variable names a section or key that does not exist (bucle-111).
    """
    layer: dict[Path, Given] = {}
    for variable in sorted(environ):
        if not variable.upper().startswith(_PREFIX) or "__" not in variable:
            continue
        words = tuple(variable[len(_PREFIX) :].lower().split("__"))
        where = f"environment variable {variable}"
        path, key = _find(words, where=where, below=below)
        value = _read_value(environ[variable], key)
        layer[path] = Given(key=key, value=value, source=f"env {variable}", where=where)
    return layer


def override_layer(overrides: Sequence[str], *, below: Mapping[Path, Given]) -> dict[Path, Given]:
    """Read `section.key=value` and `STEP.PARAM=value` from the command line; the last one wins.

    Raises:
        CharterError: One is of no such form (bucle-116) or its key does not exist (bucle-111).
    """
    layer: dict[Path, Given] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        words = tuple(part.strip() for part in name.strip().split("."))
        if not equals or not all(words):
            raise CharterError(
                f"Cannot read --set {text!r}",
                cause="it must be a key, an equals sign and a value",
                attempt="--set gates.holdout=0.3, or --set model.learning_rate=0.05",
                code="bucle-116",
            )
        if words[0] not in SECTIONS and len(words) == 2:  # noqa: PLR2004  (STEP.PARAM)
            words = ("pipeline", "parameters", *words)
        path, key = _find(words, where="--set", below=below)
        layer[path] = Given(
            key=key, value=_read_value(value.strip(), key), source="--set", where="--set"
        )
    return layer


# ---- the file ---------------------------------------------------------------


class _FileErrors:
    """Makes the errors of one file, each with its line."""

    def __init__(self, name: str, lines: Mapping[Path, int]) -> None:
        self._name = name
        self._lines = lines

    def where(self, path: Path) -> str:
        line = line_of(path, self._lines)
        return f"{self._name}:{line}" if line else self._name

    def wrong_shape(self, path: Path, expected: str) -> CharterError:
        return CharterError(
            f"Cannot use {'.'.join(path)}",
            cause=f"it must be {expected}",
            where=self.where(path),
            code="bucle-112",
        )


def _flatten(
    table: Mapping[str, Any], branch: Branch, path: Path, errors: _FileErrors
) -> Iterator[tuple[Path, Key, Any]]:
    for name, value in table.items():
        here = (*path, name)
        child = branch.get(name, branch.get(FREE))
        if child is None:
            raise _unknown(here, branch, where=errors.where(here))
        if not isinstance(child, Key):
            if not isinstance(value, dict):
                raise errors.wrong_shape(here, f"a table, as in [{'.'.join(here)}]")
            if not value and FREE in branch:
                # An empty table still declares its name: [data.sales] with nothing set.
                yield from _declared(here, child)
            yield from _flatten(value, child, here, errors)
            continue
        if isinstance(value, dict) and child.type is not Any:
            raise errors.wrong_shape(here, describe_type(child.type))
        if child.items and isinstance(value, list):
            _check_items(value, child, here, errors)
        yield here, child, value


def _declared(path: Path, branch: Branch) -> Iterator[tuple[Path, Key, Any]]:
    first = next(iter(branch.items()))
    if isinstance(first[1], Key) and first[1].type is not Any:
        yield (*path, first[0]), first[1], first[1].default


def _check_items(items: Sequence[Any], key: Key, path: Path, errors: _FileErrors) -> None:
    for number, item in enumerate(items):
        here = (*path, str(number))
        if not isinstance(item, dict):
            raise errors.wrong_shape(path, f"a list of tables, as in [[{'.'.join(path)}]]")
        for name in item:
            if name not in key.items:
                full = (*path, name)
                found = errors.where((*here, name))
                raise _unknown(full, dict.fromkeys(key.items, key), where=found)


def _syntax_error(error: Exception, name: str) -> CharterError:
    if isinstance(error, RecursionError):
        return CharterError(
            f"Cannot read {name}", cause="its values are nested too deeply", where=name
        )
    message = str(error)
    at = _AT.search(message)
    line = f":{at[1]}" if at and at[1] else ""
    reason = _AT.sub("", message).strip() or message
    return CharterError(
        f"Cannot read {name} as TOML",
        cause=reason[0].lower() + reason[1:],
        where=f"{name}{line}",
        attempt="text goes in quotes, each key once to a table",
    )


# ---- keys and values from outside the file ----------------------------------


def _find(words: Path, *, where: str, below: Mapping[Path, Given]) -> tuple[Path, Key]:
    branch = charter_tree()
    path: Path = ()
    for number, word in enumerate(words):
        taken = {other[number] for other in below if other[:number] == path and len(other) > number}
        names = {name.casefold(): name for name in [*taken, *branch] if name != FREE}
        name = word if word in branch else names.get(word.casefold(), word)
        child = branch.get(name, branch.get(FREE))
        path = (*path, name)
        if child is None or not word:
            raise _unknown(path, branch, where=where)
        if isinstance(child, Key):
            if number + 1 < len(words):
                raise _unknown((*path, *words[number + 1 :]), {name: child}, where=where)
            return path, child
        branch = child
    raise CharterError(
        f"Cannot set {'.'.join(path)}: it is a table",
        cause=f"it has: {', '.join(name for name in branch if name != FREE) or 'free names'}",
        where=where,
        code="bucle-116",
    )


def _read_value(text: str, key: Key) -> Any:
    """Read a value as TOML where the key takes one, else as the text it is."""
    is_union = get_origin(key.type) in {Union, UnionType}
    accepted = get_args(key.type) if is_union else (key.type,)
    takes_list = any(get_origin(hint) is tuple for hint in accepted)
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        document = {}
    value = document["value"] if document.keys() == {"value"} else text
    if str in accepted:
        return value if isinstance(value, str) or (takes_list and isinstance(value, list)) else text
    return [value] if takes_list and isinstance(value, str) else value


def _unknown(path: Path, branch: Branch, *, where: str) -> CharterError:
    known = [name for name in branch if name != FREE]
    prefix = ".".join(path[:-1])
    near = [f"{prefix}.{name}" if prefix else name for name in nearest(path[-1], known)]
    whole = nearest(".".join(path), [key.name for key in all_keys()])
    return CharterError(
        f"There is no key {'.'.join(path)}",
        cause=f"{f'[{prefix}]' if prefix else 'a charter'} has: {', '.join(known)}",
        where=where,
        did_you_mean=near or whole,
        attempt="bucle config",
        code="bucle-111",
    )
