"""Fitted estimators as bytes and back: skops, made deterministic and strict.

The same fitted estimator gives the same bytes in every process. Reading follows an allow-list
of classes, refuses everything that is not exactly this format, and never falls back to another
one. The caller checks the digest first. Imports nothing of the higher floors; skops and
scikit-learn are imported when an estimator is really written or read.
"""

import io
import json
import sys
import sysconfig
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from bucle.charter.project_code import load_name
from bucle.errors import BucleError, PackageError
from bucle.ids import digest_bytes
from bucle.pipeline.estimator_types import ALLOWED, LOADERS, definition, module_file, named_types
from bucle.pipeline.skops_import import import_skops

__all__ = ["MAGIC", "estimator_from_bytes", "estimator_to_bytes"]

MAGIC = b"PK\x03\x04"
"""The first bytes of every stored estimator."""

_LAST, _TAIL = b"PK\x05\x06", 22
_SCHEMA = "schema.json"
_PROTOCOL = 2
_EPOCH = (1980, 1, 1, 0, 0, 0)
# Identity of immutable values is an accident of interning, not part of the estimator.
_VALUES = frozenset(
    {"BytesNode", "DTypeNode", "FunctionNode", "JsonNode", "SliceNode", "TupleNode", "TypeNode"}
)
_RECORDS = b"'descr': [("
_HEADER = 128
_NOTHING = {
    "__class__": "str",
    "__module__": "builtins",
    "__loader__": "JsonNode",
    "content": "null",
    "is_json": True,
}
_BIN_MAPPER = "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper"


def estimator_to_bytes(estimator: object, *, project: Path | None = None) -> bytes:
    """Write a fitted estimator as bytes that depend on nothing but the estimator.

    Object addresses, file names drawn by chance, time stamps, the order of sets and the number
    of processors are taken out, so equal estimators of two processes give equal bytes.

    Args:
        estimator: Fitted, by scikit-learn's conventions; may hold classes and top-level
            functions of the project.
        project: Folder of the project. With it, a name that could not be read back is refused
            now rather than at reading.

    Raises:
        PackageError: The estimator holds something the format cannot keep.
    """
    skops_io = import_skops()

    try:
        raw = skops_io.dumps(estimator)
    except (BucleError, MemoryError):
        raise
    except Exception as error:
        raise PackageError(
            f"Cannot store an estimator of type {type(estimator).__name__}",
            cause=f"{type(error).__name__}: {error}",
            attempt="keep only plain data, scikit-learn objects and your own classes in it",
            code="bucle-163",
        ) from error
    content = _canonical(raw)
    for loader, name in _beyond_skops(content, reading=False):
        if name in ALLOWED.get(loader, frozenset()):
            continue
        if project is None and not _is_installed(name):
            continue
        if project is None or not _is_project(project, loader, name):
            raise _unknown_type(name, reading=False)
    return content


def estimator_from_bytes(content: bytes, *, project: Path | None = None) -> Any:
    """Read an estimator that `estimator_to_bytes` wrote.

    Only named classes are ever made: what skops trusts by itself, a short list of scikit-learn's
    and Bucle's own, and classes and functions that modules inside the project define at their
    top level. Decision trees are checked node by node. There is no second format to fall back to.

    Args:
        content: The bytes; their digest must have been checked before.
        project: Folder whose modules may define classes of the estimator; None means none may.

    Raises:
        PackageError: The bytes are not this format, are damaged, or name something not allowed.
    """
    _check_form(content)
    skops_io = import_skops()

    from bucle.pipeline.estimator_trees import check_trees  # noqa: PLC0415  (imports numpy)

    try:
        beyond = _beyond_skops(content, reading=True)
        for reference in _project_references(beyond, project):
            # Now the names stand in the modules of the project and skops finds those.
            load_name(reference[0], reference[1])
        estimator = skops_io.loads(content, trusted=sorted({name for _, name in beyond}))
        check_trees(estimator)
    except (BucleError, MemoryError):
        raise
    except Exception as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    return estimator


# ---- writing -------------------------------------------------------------------


def _canonical(raw: bytes) -> bytes:
    """Rewrite what skops wrote without anything that differs from process to process."""
    with zipfile.ZipFile(io.BytesIO(raw)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members.pop(_SCHEMA))
    _settle(schema)
    counts: Counter[int] = Counter()
    _count(schema, counts)
    files: dict[str, bytes] = {}
    _renumber(schema, counts, {}, members, files)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(schema, separators=(",", ":"), ensure_ascii=True)
        for name, body in ((_SCHEMA, text.encode()), *files.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), body)
    return target.getvalue()


def _settle(node: Any) -> None:
    """Put sets in order, empty namespaces in one form, take out the number of processors."""
    if isinstance(node, list):
        for item in node:
            _settle(item)
        return
    if not isinstance(node, dict):
        return
    for value in node.values():
        _settle(value)
    if node.get("__loader__") == "PartialNode" and not node["content"]["namespace"]["content"]:
        node["content"]["namespace"] = dict(_NOTHING)
    if node.get("__loader__") == "SetNode":
        node["content"].sort(key=lambda item: json.dumps(_without_ids(item), sort_keys=True))
    if f"{node.get('__module__')}.{node.get('__class__')}" == _BIN_MAPPER:
        node["content"]["content"]["n_threads"]["content"] = "null"


def _without_ids(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_ids(value) for key, value in node.items() if key != "__id__"}
    if isinstance(node, list):
        return [_without_ids(item) for item in node]
    return node


def _count(node: Any, counts: Counter[int]) -> None:
    if isinstance(node, list):
        for item in node:
            _count(item, counts)
    elif isinstance(node, dict):
        if node.get("__loader__") in _VALUES:
            node.pop("__id__", None)
        if "__id__" in node:
            counts[node["__id__"]] += 1
        for value in node.values():
            _count(value, counts)


def _renumber(
    node: Any,
    counts: Counter[int],
    numbers: dict[int, int],
    members: dict[str, bytes],
    files: dict[str, bytes],
) -> None:
    """Number shared objects and name files in the order in which they appear."""
    if isinstance(node, list):
        for item in node:
            _renumber(item, counts, numbers, members, files)
        return
    if not isinstance(node, dict):
        return
    old = node.pop("__id__", None) if "__loader__" in node else None
    if old is not None and counts[old] > 1:
        node["__id__"] = numbers.setdefault(old, len(numbers) + 1)
    if "__loader__" in node and isinstance(node.get("file"), str):
        body = _without_padding(members[node["file"]])
        node["file"] = f"{digest_bytes(body)[:32]}{Path(node['file']).suffix}"
        files[node["file"]] = body
    for value in node.values():
        _renumber(value, counts, numbers, members, files)


def _without_padding(body: bytes) -> bytes:
    """Put zeros between the fields of stored records, where chance memory was."""
    if _RECORDS not in body[:_HEADER]:
        return body
    import numpy as np  # noqa: PLC0415  (imported with skops already)

    array = np.load(io.BytesIO(body), allow_pickle=False)
    clean = np.zeros(array.shape, array.dtype)  # zeros_like would keep what is between the fields
    for field in array.dtype.names or ():
        clean[field] = array[field]
    target = io.BytesIO()
    np.save(target, clean, allow_pickle=False)
    return target.getvalue()


# ---- reading -------------------------------------------------------------------


def _check_form(content: bytes) -> None:
    """Refuse bytes that are not an archive of stored members, each there once."""
    if not content.startswith(MAGIC):
        raise _damaged("the file does not begin as a stored estimator does")
    if content[-_TAIL:][: len(_LAST)] != _LAST:
        raise _damaged("the file does not end as a stored estimator does")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            reason = _odd_form(archive, len(content))
    except Exception as error:  # a damaged archive makes zipfile raise nearly anything
        raise _damaged(f"{type(error).__name__}: {error}") from error
    if reason:
        raise _damaged(reason)


def _odd_form(archive: zipfile.ZipFile, size: int) -> str:
    """Return why an archive is not of our form, empty when it is."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        return "a part is there twice"
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        return "a part is compressed"
    if sum(member.file_size for member in members) > size:
        return "the parts are larger than the whole"
    if (broken := archive.testzip()) is not None:
        return f"part {broken!r} has a wrong checksum"
    return "" if _SCHEMA in names else f"{_SCHEMA} is missing"


def _beyond_skops(content: bytes, *, reading: bool) -> list[tuple[str, str]]:
    """Return role and name of everything in a file that skops does not trust by itself."""
    skops_io = import_skops()

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
    if schema.get("protocol") != _PROTOCOL:
        raise _damaged(f"protocol {schema.get('protocol')!r} instead of {_PROTOCOL}")
    found = set(named_types(schema))
    for loader, name in sorted(found):
        if loader not in LOADERS:
            raise _unknown_type(f"{name} ({loader})", reading=reading)
    untrusted = set(skops_io.get_untrusted_types(data=content))
    left = {(loader, name) for loader, name in found if name in untrusted}
    if untrusted - {name for _, name in left}:
        raise _unknown_type(min(untrusted - {name for _, name in left}), reading=reading)
    return sorted(left)


def _project_references(
    beyond: list[tuple[str, str]], project: Path | None
) -> list[tuple[Path, str]]:
    """Check every name and return the project's own as folder and `file.py:Name`."""
    found = []
    for loader, name in beyond:
        if name in ALLOWED.get(loader, frozenset()):
            continue
        if project is None or not _is_project(project, loader, name):
            raise _unknown_type(name, reading=True)
        module, _, last = name.rpartition(".")
        file = module_file(project, module)
        if file is not None:
            root = project.resolve()
            found.append((root, f"{file.relative_to(root).as_posix()}:{last}"))
    return found


def _is_project(project: Path, loader: str, name: str) -> bool:
    module, _, last = name.rpartition(".")
    file = module_file(project, module)
    if file is None:
        return False
    role = definition(file, last)
    return role == loader or (role == "ObjectNode" and loader == "TypeNode")


def _is_installed(name: str) -> bool:
    """Tell whether a name belongs to Python, to an installed library or to no file at all."""
    module = sys.modules.get(name.rpartition(".")[0])
    file = getattr(module, "__file__", None)
    if file is None or name.rpartition(".")[2] == "<lambda>":
        return True
    paths = sysconfig.get_paths()
    installed = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(Path(file).is_relative_to(folder) for folder in installed)


def _damaged(cause: str) -> PackageError:
    return PackageError(
        "Cannot load an estimator: the file is damaged or of another kind",
        cause=cause,
        attempt="bucle run",
        code="bucle-164",
    )


def _unknown_type(name: str, *, reading: bool) -> PackageError:
    if reading:
        return PackageError(
            f"Cannot load an estimator: it holds {name}, which is not on the list",
            cause="only known types are made from a file, because a file may come from anywhere",
            attempt="define the class in a module of the project and run again",
            code="bucle-165",
        )
    return PackageError(
        f"Cannot store an estimator: it holds {name}, which could not be read back",
        cause="lambdas, nested and foreign functions and classes cannot be kept safely",
        attempt="write it as a top-level function or class in a module of the project",
        code="bucle-163",
    )
