"""The commit files of a Delta table on this machine's disk: which of them count.

Delta makes a version by one file with the version's number. It does not force that file to the
disk, so after a loss of power the newest one may be empty or half. Such a version was never
acknowledged, because a write here waits for its files; it is skipped and moved aside by the next
write. A *base* is a version with a checkpoint whose digest is on record and whose commit repeats
all that still counts: what lies before it need not be read. Imports nothing heavy.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bucle.store.files import TEMPORARY_SUFFIX, sync_folder
from bucle.store.table_digests import forget_digests, read_digests, record_digests, refuse_changed

__all__ = [
    "actions_of",
    "base_of",
    "checkpoint_name",
    "commit_name",
    "commit_names",
    "forget_before",
    "has_version",
    "is_kept",
    "known_digests",
    "latest_version",
    "log_names",
    "marks_of",
    "set_aside_checkpoints",
    "set_aside_torn",
    "set_aside_unsettled",
    "settle",
    "sweep_orphans",
]

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_ASIDE = ".torn"


def latest_version(folder: Path) -> int | None:
    """Return the highest version whose commit is whole; None when there is none.

    Raises:
        DigestMismatchError: The newest commit is not, and all before it was forgotten for it.
    """
    for version in sorted(_versions(folder), reverse=True):
        if actions_of(_commit_path(folder, version)) is not None:
            return version
        if _is_base(folder, version):
            own = read_digests(folder, version, first=version)
            refuse_changed(folder, [commit_name(version)], digests=own)
    return None


def has_version(folder: Path, version: int) -> bool:
    """Tell whether a version's commit stands on the disk; opens nothing."""
    return _commit_path(folder, version).is_file()


def commit_name(version: int) -> str:
    """Return the name of a version's commit within the table's folder."""
    return f"_delta_log/{version:020}.json"


def checkpoint_name(version: int) -> str:
    """Return the name of a version's checkpoint within the table's folder."""
    return f"_delta_log/{version:020}.checkpoint.parquet"


def commit_names(folder: Path, version: int) -> list[str]:
    """Return the names, within the table's folder, of the commits that make a version."""
    first = base_of(folder, version)
    numbers = sorted(number for number in _versions(folder) if first <= number <= version)
    return [commit_name(number) for number in numbers]


def log_names(folder: Path, version: int) -> list[str]:
    """Return the names of everything that a reader of a version reads before its rows."""
    base = base_of(folder, version)
    own = [checkpoint_name(base)] if _is_base(folder, base) else []
    return [*own, *commit_names(folder, version)]


def base_of(folder: Path, version: int) -> int:
    """Return the version that reading another one begins at: the nearest base, else 0."""
    earlier = (base for base in _checkpoints(folder) if base <= version)
    return next((base for base in sorted(earlier, reverse=True) if _is_base(folder, base)), 0)


def is_kept(folder: Path, version: int) -> bool:
    """Tell whether what makes a version has not been forgotten."""
    bases = _bases(folder)
    return not bases or bases[0] <= version or has_version(folder, 0)


def known_digests(folder: Path, version: int) -> dict[str, str]:
    """Return the digests of all files that count at a version."""
    return read_digests(folder, version, first=base_of(folder, version))


def forget_before(folder: Path, *, seconds: float) -> None:
    """Remove all that counted only in versions that a base replaced so long ago.

    The caller holds the table's lock. May be killed anywhere: what is left is taken the next time.
    """
    moment = time.time() - seconds
    old = [
        base
        for base in _bases(folder)
        if (folder / checkpoint_name(base)).stat().st_mtime <= moment
    ]
    if not old:
        return
    # Checkpoints first: a version without one, whose first commits are gone, counts as forgotten.
    for base in old[:-1]:
        (folder / checkpoint_name(base)).unlink(missing_ok=True)
    for version in sorted(_versions(folder)):
        if version < old[-1]:
            _commit_path(folder, version).unlink(missing_ok=True)
            forget_digests(folder, version)
    sweep_orphans(folder)


def marks_of(folder: Path, version: int) -> dict[str, int]:
    """Return how far each source had been delivered when a version was made.

    Delta calls them transactions of applications; each commit says only what it changed.
    """
    marks: dict[str, int] = {}
    for name in commit_names(folder, version):
        for line in (folder / name).read_bytes().splitlines():
            # Most lines are no marks and need not be parsed.
            if b'"txn"' in line and (delivered := json.loads(line).get("txn")):
                marks[delivered["appId"]] = delivered["version"]
    return marks


def set_aside_torn(folder: Path) -> None:
    """Rename commits above the latest whole one, so that their numbers are free again."""
    whole = latest_version(folder)
    for version in _versions(folder):
        if whole is None or version > whole:
            path = _commit_path(folder, version)
            forget_digests(folder, version)
            path.replace(path.with_name(path.name + _ASIDE))


def set_aside_unsettled(folder: Path, version: int) -> None:
    """Rename the commit of a version that the disk failed to keep, so that its number is free.

    Asking the disk again would succeed and mean nothing, and a later version would stand on it.
    """
    path = _commit_path(folder, version)
    with contextlib.suppress(OSError):
        forget_digests(folder, version)
        path.replace(path.with_name(path.name + _ASIDE))


def set_aside_checkpoints(folder: Path) -> None:
    """Rename checkpoints of no base, which only repeat what the commits say.

    Another program or an older Bucle made them; no digest says whether they are still whole. Where
    an earlier commit is gone they are all that is left of it, and stay.
    """
    bases = _bases(folder)
    first = bases[0] if bases else 0
    numbers = sorted(number for number in _versions(folder) if number >= first)
    if numbers != list(range(first, first + len(numbers))):
        return
    log = folder / "_delta_log"
    own = {folder / checkpoint_name(base) for base in bases}
    for path in (*log.glob("*.checkpoint*.parquet"), *log.glob("_last_checkpoint")):
        if path not in own:
            with contextlib.suppress(FileNotFoundError):
                path.replace(path.with_name(path.name + _ASIDE))


def settle(folder: Path, version: int, *, known: Mapping[str, str] | None = None) -> None:
    """Wait until the disk has a version: its rows, its commit, their names and digests.

    Args:
        folder: The table's.
        version: Its number.
        known: Digests of files that the disk has already.
    """
    commit = _commit_path(folder, version)
    names = [*_added(commit), commit_name(version)]
    if _is_base(folder, version):
        names.append(checkpoint_name(version))
    for name in names:
        if known and name in known:
            continue
        descriptor = os.open(folder / name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    for place in (folder, commit.parent, folder.parent):
        sync_folder(place)
    record_digests(folder, version, names=names, known=known)


def sweep_orphans(folder: Path) -> int:
    """Remove row files that no version names; return how many there were.

    The caller holds the table's lock: a file that is just being written looks like an orphan.
    """
    named = {
        name for version in _versions(folder) for name in _added(_commit_path(folder, version))
    }
    orphans = [path for path in folder.glob("*.parquet") if path.name not in named]
    leftovers = [
        path
        for path in (folder / "_delta_log").glob("*")
        if path.name.startswith("_commit_") or "#" in path.name
    ]
    leftovers += folder.glob(f"*/.*{TEMPORARY_SUFFIX}")
    for path in (*orphans, *leftovers):
        path.unlink(missing_ok=True)
    return len(orphans)


def _versions(folder: Path) -> list[int]:
    """Return the numbers of a table's commit files."""
    try:
        names = [path.name for path in (folder / "_delta_log").iterdir()]
    except FileNotFoundError:
        return []
    return [int(match[1]) for name in names if (match := _COMMIT.fullmatch(name))]


def _bases(folder: Path) -> list[int]:
    """Return the versions that reading may begin at, in their order."""
    return [version for version in sorted(_checkpoints(folder)) if _is_base(folder, version)]


def _checkpoints(folder: Path) -> list[int]:
    """Return the versions that have a checkpoint, of whatever origin."""
    try:
        names = [path.name for path in (folder / "_delta_log").iterdir()]
    except FileNotFoundError:
        return []
    return [int(match[1]) for name in names if (match := _CHECKPOINT.fullmatch(name))]


def _is_base(folder: Path, version: int) -> bool:
    """Tell whether a version has a checkpoint of which there is a digest."""
    name = checkpoint_name(version)
    return (folder / name).is_file() and name in read_digests(folder, version, first=version)


def _commit_path(folder: Path, version: int) -> Path:
    """Return where a version's commit stands."""
    return folder / commit_name(version)


def actions_of(path: Path) -> list[dict[str, Any]] | None:
    """Return what a commit says; None when it is not whole."""
    try:
        actions = [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    except (ValueError, FileNotFoundError):
        return None
    whole = all(isinstance(action, dict) for action in actions)
    return actions if actions and whole else None


def _added(path: Path) -> list[str]:
    """Return the names of the row files that a commit adds."""
    return [unquote(action["add"]["path"]) for action in actions_of(path) or () if "add" in action]
