"""Digests of a table's files, one list a version, checked before a parser sees the files.

A list has the form of `sha256sum`, so that `sha256sum --check` in the table's folder reads it. It
is written once the disk has the version; a version that was cut off before that has none and is
read unchecked. Imports nothing heavy.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from bucle.errors import DigestMismatchError
from bucle.ids import digest_file
from bucle.store.files import write_whole

__all__ = ["all_digests", "forget_digests", "read_digests", "record_digests", "refuse_changed"]

_LISTS = "_digests"


def record_digests(
    folder: Path, version: int, *, names: Iterable[str], known: Mapping[str, str] | None = None
) -> None:
    """Write down the digests of a version's files and wait for the disk.

    Args:
        folder: The table's.
        version: Its number.
        names: The files, within the folder.
        known: Digests that some of them had before; these are not made anew.
    """
    given = known or {}
    lines = [f"{given.get(name) or digest_file(folder / name)}  {name}\n" for name in names]
    content = "".join(lines).encode("utf-8", "surrogateescape")
    write_whole(_list_path(folder, version), content, durable=True)


def read_digests(folder: Path, version: int, *, first: int = 0) -> dict[str, str]:
    """Return the digest of each file that a version or one before it brought, by its name.

    A file that a later version names again keeps the digest it had at first.

    Args:
        folder: The table's.
        version: The last one asked for.
        first: The first one whose list is read.
    """
    digests: dict[str, str] = {}
    for number in range(first, version + 1):
        try:
            text = _list_path(folder, number).read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            continue
        for line in text.split("\n"):
            digest, _, name = line.partition("  ")
            digests.setdefault(name, digest)
    return digests


def all_digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file that any version of a table brought, by its name."""
    numbers = [int(path.stem) for path in (folder / _LISTS).glob("*.sha256")]
    if not numbers:
        return {}
    found = read_digests(folder, max(numbers), first=min(numbers))
    return {name: digest for name, digest in found.items() if name}


def refuse_changed(folder: Path, names: Iterable[str], *, digests: dict[str, str]) -> None:
    """Refuse files that have other bytes than were written.

    Raises:
        DigestMismatchError: One of them has; the message names it.
    """
    for name in names:
        if name in digests and digest_file(folder / name) != digests[name]:
            raise DigestMismatchError(
                f"Cannot use table {folder.name!r}: {name} is not what was written",
                cause=f"its bytes have another digest than the lists in {_LISTS} say",
                where=str(folder),
                attempt="restore the file from a copy",
            )


def forget_digests(folder: Path, version: int) -> None:
    """Remove the list of a version whose number becomes free again."""
    _list_path(folder, version).unlink(missing_ok=True)


def _list_path(folder: Path, version: int) -> Path:
    """Return where a version's list stands."""
    return folder / _LISTS / f"{version:020}.sha256"
