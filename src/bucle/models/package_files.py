"""Packages on disk: written whole or not at all, verified whole before anything is parsed.

Knows names, sizes and digests of files and nothing of what is in them. Imports nothing heavy.
"""

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bucle.errors import BucleError, OutsideError, PackageError, UnknownNameError, nearest
from bucle.ids import canonical_json, digest_bytes, digest_json, short_id
from bucle.store.processes import is_alive

__all__ = ["is_whole", "read_files", "write_files"]

_MANIFEST = "manifest.json"
_ALWAYS = frozenset(
    {"card.md", "lineage.json", "metrics.json", "model.skops", "profile.json", "signature.json"}
)
_SOMETIMES = frozenset(
    {
        *("calibration.json", "intervals.json", "rules.json", "scale.skops"),
        *("compiled.json", "compiled.onnx", "compiled-scale.onnx", "explanation.json"),
        *("reference.json", "reference.parquet", "reference-sample.parquet"),
    }
)
_FORMAT = 1
_NAME = re.compile(r"m-[0-9a-f]{12}")
_MAX_MANIFEST = 100_000
_MAX_BYTES = 2_000_000_000


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    size: Annotated[int, Meta(ge=0)]


class _Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    digest: str
    files: dict[str, _Entry]
    format: int


# ---- writing -------------------------------------------------------------------


def _manifest_of(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest: size and digest of each file, and the digest of all that.

    The package's id is the beginning of that last digest, so it stands for every byte.
    """
    inside = {
        "format": _FORMAT,
        "files": {
            name: {"sha256": digest_bytes(content), "size": len(content)}
            for name, content in files.items()
        },
    }
    return canonical_json({**inside, "digest": digest_json(inside)})


def write_files(folder: Path, files: Mapping[str, bytes]) -> str:
    """Write a package's files and return its id; writing the same files again changes nothing.

    The folder appears under its id whole and durable, or not at all. A damaged package of the
    same id is put aside and replaced.

    Raises:
        OutsideError: The disk is full or cannot be written; nothing is left behind.
    """
    manifest = _manifest_of(files)
    model = short_id("m", msgspec.json.decode(manifest)["digest"])
    if is_whole(folder, model):
        return model
    temporary = folder / f".new-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        temporary.mkdir()
        for name, content in (*files.items(), (_MANIFEST, manifest)):
            _write_durably(temporary / name, content)
        _sync_folder(temporary)
        _move_into_place(temporary, folder, model)
        _sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OutsideError(
            f"Cannot write package {model}",
            cause=error.strerror or str(error),
            where=str(folder),
            code="bucle-300",
        ) from error
    return model


def _move_into_place(temporary: Path, folder: Path, model: str) -> None:
    """Give the package its name; what has the name already stays if it is whole."""
    target = folder / model
    try:
        temporary.rename(target)
    except OSError:
        if not (target.is_symlink() or target.exists()):
            raise
        if is_whole(folder, model):
            shutil.rmtree(temporary)
            return
        target.rename(folder / f".damaged-{model}-{secrets.token_hex(4)}")
        temporary.rename(target)


def is_whole(folder: Path, model: str) -> bool:
    """Tell whether a package is there and every byte of it is what its id stands for."""
    try:
        read_files(folder, model)
    except BucleError:
        return False
    return True


def _sweep(folder: Path) -> None:
    """Remove what processes that no longer live left half written."""
    for leftover in folder.glob(".new-*"):
        owner = leftover.name.split("-")[1]
        if owner.isdigit() and not is_alive(int(owner)):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---- reading -------------------------------------------------------------------


def read_files(folder: Path, model: str, *, digest: str | None = None) -> dict[str, bytes]:
    """Return a package's files, the manifest among them, each byte of them verified.

    Args:
        folder: Where packages live.
        model: The package's id.
        digest: The full digest on record, to compare with.

    Raises:
        UnknownNameError: There is no package of that id.
        PackageError: A file is missing, extra, changed, a link or a device, or too large.
    """
    place = folder / model
    if _NAME.fullmatch(model) is None or not place.is_dir():
        known = [entry.name for entry in folder.glob("m-*")] if folder.is_dir() else []
        raise UnknownNameError(
            f"There is no package {model[:40]!r}",
            did_you_mean=nearest(model, sorted(known)),
            attempt="bucle models",
            code="bucle-160",
        )
    if place.is_symlink():
        raise _refused(model, "it is a link")
    manifest_bytes = _read_file(model, place / _MANIFEST, most=_MAX_MANIFEST)
    manifest = _read_manifest(model, manifest_bytes)
    if digest is not None and manifest.digest != digest:
        raise _refused(model, f"its digest is {manifest.digest}, the log says {digest}")
    try:
        present = {entry.name for entry in place.iterdir()}
    except OSError as error:
        raise _refused(model, f"its folder: {error.strerror}") from error
    if odd := sorted(present ^ {*manifest.files, _MANIFEST}):
        raise _refused(model, f"files differ from the manifest: {', '.join(odd)}"[:200])
    files = {_MANIFEST: manifest_bytes}
    for name, entry in manifest.files.items():
        content = _read_file(model, place / name, most=entry.size)
        if len(content) != entry.size or digest_bytes(content) != entry.sha256:
            raise _refused(model, f"{name} is not what the manifest says")
        files[name] = content
    return files


def _read_manifest(model: str, content: bytes) -> _Manifest:
    """Check the manifest against the id before believing what it lists."""
    try:
        manifest = msgspec.json.decode(content, type=_Manifest)
        listed = msgspec.to_builtins(manifest)
        canonical = canonical_json(listed)
    except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError) as error:
        raise _refused(model, f"{_MANIFEST} cannot be read: {error}"[:200]) from error
    if canonical != content:
        raise _refused(model, f"{_MANIFEST} is not in its one form")
    del listed["digest"]
    if manifest.digest != digest_json(listed) or short_id("m", manifest.digest) != model:
        raise _refused(model, f"{_MANIFEST} is of another package")
    if manifest.format != _FORMAT:
        raise _refused(model, f"format {manifest.format} is not known to this Bucle")
    names = set(manifest.files)
    if not names >= _ALWAYS or not names <= _ALWAYS | _SOMETIMES:
        raise _refused(model, f"odd files: {', '.join(sorted(names ^ _ALWAYS))}"[:200])
    if sum(entry.size for entry in manifest.files.values()) > _MAX_BYTES:
        raise _refused(model, f"it is larger than {_MAX_BYTES // 10**6} MB")
    return manifest


def _read_file(model: str, path: Path, *, most: int) -> bytes:
    """Read a plain file, never through a link, never a device, never more than expected."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise _refused(model, f"{path.name}: {why}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(model, f"{path.name} is not a plain file")
        if status.st_size > most:
            raise _refused(model, f"{path.name} is larger than it should be")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(most + 1)
    finally:
        os.close(descriptor)


def _refused(model: str, cause: str) -> PackageError:
    return PackageError(
        f"Cannot use package {model}", cause=cause, attempt="bucle run", code="bucle-160"
    )
