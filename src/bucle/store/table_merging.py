"""Small files of a Delta table made into larger ones, in a version that a reader can begin at.

Delta-rs has a merge of its own, which takes files by their size; here rows keep their order. The
new version's commit repeats all that counts (files, marks, columns), so that nothing before it need
be read or kept. Must not import the tables that call it. Imports polars and deltalake.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable

from bucle.ids import digest_file
from bucle.store.commits import (
    actions_of,
    checkpoint_name,
    commit_name,
    commit_names,
    known_digests,
    log_names,
    marks_of,
    set_aside_unsettled,
    settle,
)
from bucle.store.files import TEMPORARY_SUFFIX, sync_folder
from bucle.store.table_digests import record_digests, refuse_changed

__all__ = ["make_base", "merge_rows"]

_MERGED_BYTES = 64 << 20
# Delta's checkpoints repeat what was removed, for a week unless the table says otherwise.
_TOMBSTONES = {"delta.deletedFileRetentionDuration": "interval 1 hours"}


def merge_rows(folder: Path, version: int) -> int:
    """Merge the newest small files in a new version, and return its number.

    Files are taken from the newest back as long as one is no larger than all after it, so a row is
    written again as often as the table doubles, until its file has 64 MB. The caller holds the
    table's lock, has checked the commits and clears away what a kill leaves.

    Args:
        folder: The table's.
        version: Its latest one.

    Raises:
        DigestMismatchError: A file to be merged has other bytes than were written.
    """
    known = known_digests(folder, version)
    actions = [action for name in commit_names(folder, version) for action in _lines(folder / name)]
    files = _live(actions)
    parts = _newest_small(files)
    now = time.time_ns() // 1_000_000
    lines: list[dict[str, Any]] = [
        {"commitInfo": {"timestamp": now, "operation": "OPTIMIZE", "engineInfo": "bucle"}},
        {"protocol": _last(actions, "protocol")},
        {"metaData": _configured(_last(actions, "metaData"))},
        *(
            {"txn": {"appId": source, "version": number}}
            for source, number in marks_of(folder, version).items()
        ),
    ]
    kept = files[: len(files) - len(parts)]
    if parts:
        names = [unquote(part["path"]) for part in parts]
        refuse_changed(folder, names, digests=known)
        kept = [*kept, _merged(folder, parts, names)]
        lines += [
            {
                "remove": {
                    "path": part["path"],
                    "deletionTimestamp": now,
                    "dataChange": False,
                    "extendedFileMetadata": True,
                    "partitionValues": {},
                    "size": part["size"],
                }
            }
            for part in parts
        ]
    lines += [{"add": {**file, "dataChange": False}} for file in kept]
    _put(folder, version + 1, "".join(json.dumps(line) + "\n" for line in lines).encode())
    try:
        settle(folder, version + 1, known=known)
    except OSError:
        set_aside_unsettled(folder, version + 1)
        raise
    return version + 1


def make_base(folder: Path, version: int, *, scratch: Path) -> None:
    """Give a version that `merge_rows` made the checkpoint that readers begin at.

    Its digest is on record before it is there, so that an unknown one never counts.

    Args:
        folder: The table's.
        version: The version.
        scratch: A folder beside it for what is not ready yet; removed before and afterwards.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "_delta_log").mkdir(parents=True)
    for name in log_names(folder, version):
        shutil.copyfile(folder / name, scratch / name)
    DeltaTable(str(scratch.absolute())).create_checkpoint()
    name = checkpoint_name(version)
    _sync(scratch / name)
    known = {**known_digests(folder, version), name: digest_file(scratch / name)}
    names = [*_added(folder, version), commit_name(version), name]
    record_digests(folder, version, names=names, known=known)
    (scratch / name).replace(folder / name)
    sync_folder((folder / name).parent)
    shutil.rmtree(scratch, ignore_errors=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return what a commit says."""
    return actions_of(path) or []


def _added(folder: Path, version: int) -> list[str]:
    """Return the names of the row files that a version's commit names."""
    adds = (line["add"] for line in _lines(folder / commit_name(version)) if "add" in line)
    return [unquote(add["path"]) for add in adds]


def _last(actions: Sequence[dict[str, Any]], kind: str) -> Any:
    """Return what was said of something the last time."""
    return [action[kind] for action in actions if kind in action][-1]


def _configured(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table's description with the settings that a merged one has."""
    return {**table, "configuration": {**table["configuration"], **_TOMBSTONES}}


def _live(actions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the row files that are left after all actions, in the order they were written."""
    files: dict[str, dict[str, Any]] = {}
    for action in actions:
        if "add" in action:
            files[action["add"]["path"]] = action["add"]
        elif "remove" in action:
            files.pop(action["remove"]["path"], None)
    return sorted(files.values(), key=lambda file: (file["modificationTime"], file["path"]))


def _newest_small(files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest files, as far back as merging them pays; none where there is only one."""
    size, first = 0, len(files)
    for place in range(len(files) - 1, -1, -1):
        own = files[place]["size"]
        if size + own > _MERGED_BYTES:
            break
        if own <= size:
            first = place
        size += own
    return list(files[first:])


def _merged(folder: Path, parts: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Write the rows of some files into one, and return how a commit names it."""
    name = f"merged-{secrets.token_hex(16)}.parquet"
    rows = pl.scan_parquet([folder / part for part in names], glob=False)
    rows.sink_parquet(folder / name, maintain_order=True)
    counted = pl.scan_parquet(folder / name, glob=False).select(pl.len()).collect().item()
    return {
        "path": name,
        "partitionValues": {},
        "size": (folder / name).stat().st_size,
        # Its place is that of the newest of them; whatever came later has a later time.
        "modificationTime": parts[-1]["modificationTime"],
        "stats": json.dumps({"numRecords": counted}),
    }


def _put(folder: Path, version: int, content: bytes) -> None:
    """Write a commit whole, unless another program has made that version meanwhile."""
    path = folder / commit_name(version)
    draft = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    draft.write_bytes(content)
    _sync(draft)
    try:
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until the disk has a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
