"""The commit files of a Delta table on this machine's disk: which of them count.

Delta makes a version by one file with the version's number. It does not force that file to the
disk, so after a loss of power the newest one may be empty or half. Such a version was never
acknowledged, because a write here waits for its files; it is skipped and moved aside by the next
write. Imports nothing heavy.
"""

import contextlib
import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

from bucle.store.files import TEMPORARY_SUFFIX, sync_folder
from bucle.store.table_digests import forget_digests, record_digests

__all__ = [
    "commit_name",
    "commit_names",
    "has_version",
    "latest_version",
    "marks_of",
    "set_aside_checkpoints",
    "set_aside_torn",
    "settle",
    "sweep_orphans",
]

_COMMIT = re.compile(r"(\d{20})\.json")
_ASIDE = ".torn"


def latest_version(folder: Path) -> int | None:
    """Return the highest version whose commit is whole; None when there is none."""
    for version in sorted(_versions(folder), reverse=True):
        if _actions(_commit_path(folder, version)) is not None:
            return version
    return None


def has_version(folder: Path, version: int) -> bool:
    """Tell whether a version's commit stands on the disk; opens nothing."""
    return _commit_path(folder, version).is_file()


def commit_name(version: int) -> str:
    """Return the name of a version's commit within the table's folder."""
    return f"_delta_log/{version:020}.json"


def commit_names(folder: Path, version: int) -> list[str]:
    """Return the names, within the table's folder, of the commits that make a version."""
    numbers = sorted(number for number in _versions(folder) if number <= version)
    return [commit_name(number) for number in numbers]


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


def set_aside_checkpoints(folder: Path) -> None:
    """Rename checkpoints, which only repeat what the commits say.

    Another program or an older Bucle made them; no digest says whether they are still whole. Where
    an earlier commit is gone they are all that is left of it, and stay.
    """
    if sorted(_versions(folder)) != list(range(len(_versions(folder)))):
        return
    log = folder / "_delta_log"
    for path in (*log.glob("*.checkpoint*.parquet"), *log.glob("_last_checkpoint")):
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(path.name + _ASIDE))


def settle(folder: Path, version: int) -> None:
    """Wait until the disk has a version: its rows, its commit, their names and digests."""
    commit = _commit_path(folder, version)
    names = [*_added(commit), commit_name(version)]
    for name in names:
        descriptor = os.open(folder / name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    for place in (folder, commit.parent, folder.parent):
        sync_folder(place)
    record_digests(folder, version, names=names)


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


def _commit_path(folder: Path, version: int) -> Path:
    """Return where a version's commit stands."""
    return folder / commit_name(version)


def _actions(path: Path) -> list[dict[str, dict[str, str]]] | None:
    """Return what a commit says; None when it is not whole."""
    try:
        actions = [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    except (ValueError, FileNotFoundError):
        return None
    whole = all(isinstance(action, dict) for action in actions)
    return actions if actions and whole else None


def _added(path: Path) -> list[str]:
    """Return the names of the row files that a commit adds."""
    return [unquote(action["add"]["path"]) for action in _actions(path) or () if "add" in action]
