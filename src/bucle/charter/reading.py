"""Reading bucle.toml: from bytes on disk to one typed, checked object and the origin of each value.

Precedence: command line over environment over file over default. Must not import anything heavy.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from bucle.charter.addresses import hide_passwords, sqlite_path, webhook_place
from bucle.charter.checks import find_problems, listed
from bucle.charter.keys import FREE, Branch, Key, charter_tree, describe_type
from bucle.charter.layers import Given, environment_layer, file_layer, override_layer
from bucle.charter.problems import Problem
from bucle.charter.project_code import check_name, resolve_inside
from bucle.charter.settings import Charter
from bucle.errors import CharterError, UnknownNameError, nearest

__all__ = ["CHARTER_FILE", "Loaded", "Setting", "load_charter", "read_charter"]

CHARTER_FILE = "bucle.toml"

_LARGEST = 1_000_000
_LONGEST_SHOWN = 60
# Whoever knows it may write to the channel, so it is shown to nobody.
_WEBHOOK = ("watch", "webhook")
_SERVERS = ("postgresql://", "postgres://")


class Setting(Struct, frozen=True, kw_only=True):
    """One key in force: its value and its origin, passwords in URLs hidden."""

    key: str
    value: Any
    source: str


class Loaded(Struct, frozen=True, kw_only=True):
    """A charter in force, with every key's origin in the order of the file's sections.

    `overrides` are what the command line has set, as it was written.
    """

    charter: Charter
    settings: tuple[Setting, ...]
    overrides: tuple[str, ...] = ()


def load_charter(
    root: Path, *, environ: Mapping[str, str], overrides: Sequence[str] = ()
) -> Loaded:
    """Read and check the charter of a project.

    Files it names must lie inside the project; contracts and functions it names are looked for in
    their files, which are read and not run.

    Args:
        root: The project's folder.
        environ: Where `BUCLE_SECTION__KEY` is looked for.
        overrides: `section.key=value` or `STEP.PARAM=value`, values in TOML's syntax or bare text.

    Raises:
        CharterError: The charter cannot be used; the message names file and line, variable or
            option (bucle-103 to 105, 110 to 119).
        UnknownNameError: A file it names has no such function or class.
    """
    path = root / CHARTER_FILE
    layers = _merge(_decode(_read(path)), environ, overrides)
    loaded = _assemble(layers, overrides)
    _check_files(root, loaded.charter, layers)
    return loaded


def read_charter(
    text: str, *, environ: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
) -> Loaded:
    r"""Read and check a charter's text alone: nothing on disk is looked at.

    Raises:
        CharterError: The charter cannot be used.

    Example:
        >>> read_charter('[project]\nname = "shop"\n').charter.gates.holdout
        0.2
    """
    return _assemble(_merge(text, environ or {}, overrides), overrides)


# ---- bytes ------------------------------------------------------------------


def _read(path: Path) -> bytes:
    try:
        # Not blocking: opening a named pipe would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:  # noqa: PTH123  (a descriptor, not a path)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable("it is not a regular file", "bucle-115")
            content = stream.read(_LARGEST + 1)
    except FileNotFoundError as error:
        missing = _unreadable(f"looked in {path.parent.resolve()}", "bucle-113")
        missing.attempt = "bucle new shop --template consignment"
        raise missing from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _unreadable(f"the machine says: {reason}", "bucle-115") from error
    if len(content) > _LARGEST:
        raise _unreadable(f"it is larger than {_LARGEST:,} bytes", "bucle-115")
    return content


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable("it is UTF-16; save it as UTF-8", "bucle-115")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CharterError(
            f"Cannot read {CHARTER_FILE} as UTF-8",
            cause=f"byte {error.start} is 0x{content[error.start]:02x}, as in Latin-1",
            where=f"{CHARTER_FILE}:{line}",
            attempt="save it as UTF-8",
            code="bucle-115",
        ) from error
    # TOML knows no bare carriage return; an old editor's line ends should not hide the rest.
    return text.replace("\r\n", "\n")


def _unreadable(cause: str, code: str) -> CharterError:
    return CharterError(f"Cannot read {CHARTER_FILE}", cause=cause, code=code)


# ---- values -----------------------------------------------------------------

_Layers = dict[tuple[str, ...], Given]


def _merge(text: str, environ: Mapping[str, str], overrides: Sequence[str]) -> _Layers:
    layers: _Layers = file_layer(text, name=CHARTER_FILE)
    layers |= environment_layer(environ, below=layers)
    layers |= override_layer(overrides, below=layers)
    return layers


def _assemble(layers: _Layers, overrides: Sequence[str]) -> Loaded:
    document: dict[str, Any] = {}
    for path, given in layers.items():
        _check_type(path, given)
        table = document
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = given.value
    document.setdefault("project", {})
    if "name" not in document["project"]:
        raise CharterError(
            "The charter has no project.name",
            cause="it is the one key that has no default",
            where=CHARTER_FILE,
            attempt='[project] with name = "shop"',
            code="bucle-112",
        )
    charter = msgspec.convert(document, Charter)
    given_keys = frozenset(".".join(path) for path in layers)
    for problem in find_problems(charter, given=given_keys):
        raise _contradiction(problem, layers)
    return Loaded(
        charter=charter,
        settings=tuple(_settings(charter, layers)),
        overrides=tuple(overrides),
    )


def _check_type(path: tuple[str, ...], given: Given) -> None:
    try:
        msgspec.convert(given.value, given.key.type)
    except msgspec.ValidationError as error:
        options = _options(given.key.type)
        inner = str(error).rpartition(" - at `$")
        at = f", at {inner[2].rstrip('`')}" if inner[1] else ""
        expected = describe_type(given.key.type)
        raise CharterError(
            f"Cannot use {'.'.join(path)} = {_shown(given.value)}",
            cause=f"it must be {expected}{at and f' ({str(error)[0].lower()}{inner[0][1:]}{at})'}",
            where=given.where,
            did_you_mean=nearest(str(given.value), options),
            code="bucle-112",
        ) from error


def _options(hint: Any) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return tuple(str(option) for option in get_args(hint))
    return tuple(one for inner in get_args(hint) for one in _options(inner))


def _contradiction(problem: Problem, layers: _Layers) -> CharterError:
    where = CHARTER_FILE
    for path, given in layers.items():
        name = ".".join(path)
        if problem.key == name or problem.key.startswith(f"{name}."):
            where = given.items.get(problem.key.removeprefix(f"{name}."), given.where)
            break
        if name.startswith(f"{problem.key}."):
            where = given.where
            break
    hidden = tuple(problem.key.split(".")) == _WEBHOOK
    value = webhook_place(problem.value) if hidden else problem.value
    return CharterError(
        f"Cannot use {problem.key} = {_shown(value)}",
        cause=problem.cause,
        where=where,
        did_you_mean=problem.did_you_mean,
        attempt=problem.attempt,
        code=problem.code,
    )


def _settings(charter: Charter, layers: _Layers) -> Iterator[Setting]:
    builtins = msgspec.to_builtins(charter)
    for path, value in _values(builtins, charter_tree(), ()):
        given = layers.get(path)
        yield Setting(
            key=".".join(path),
            value=webhook_place(value) if value and path == _WEBHOOK else _without_password(value),
            source=given.source if given else "default",
        )


def _values(
    values: Mapping[str, Any], branch: Branch, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        child = branch.get(name, branch.get(FREE))
        if isinstance(child, Key):
            yield (*path, name), value
        elif child is not None:
            yield from _values(value, child, (*path, name))


# ---- files ------------------------------------------------------------------


def _check_files(root: Path, charter: Charter, layers: _Layers) -> None:
    """Look for every file, function and class that the charter names."""
    for key, text, kind in _named_files(charter):
        given = layers.get(key)
        if given is None:
            continue
        try:
            if kind == "reference":
                check_name(root, text)
            else:
                path = resolve_inside(root, text)
                if kind == "code" and not path.is_file():
                    check_name(root, f"{text}:_")
        except (CharterError, UnknownNameError) as error:
            own = type(error)(
                f"Cannot use {'.'.join(key)} = {_shown(text)}",
                cause=f"{error.what[0].lower()}{error.what[1:]}: {error.cause}",
                where=given.where,
                did_you_mean=error.did_you_mean,
                attempt=error.attempt,
                code=error.code,
            )
            raise own from error


def _named_files(charter: Charter) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if ":" in charter.charter.money.error:
        yield ("charter", "money", "error"), charter.charter.money.error, "reference"
    for name, dataset in charter.data.items():
        for source in listed(dataset.source):
            if source.startswith(_SERVERS):
                continue
            path = sqlite_path(source) if source.startswith("sqlite://") else source
            yield ("data", name, "source"), path, "path"
        for field, reference in (("contract", dataset.contract), ("prepare", dataset.prepare)):
            if reference is not None:
                yield ("data", name, field), reference, "reference"
    if charter.replay.world:
        yield ("replay", "world"), charter.replay.world, "reference"
    yield ("pipeline", "file"), charter.pipeline.file, "code"


# ---- words ------------------------------------------------------------------


def _shown(value: Any) -> str:
    text = repr(_without_password(value))
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _without_password(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_password(one) for one in value]
    return hide_passwords(value) if isinstance(value, str) else value
