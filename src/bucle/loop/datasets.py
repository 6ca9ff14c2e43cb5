"""Adding to datasets, and keeping up with the sources that the charter names.

Rows are written first and the event after them; a crash in between leaves a table version that
the log does not name, and the next addition starts again from the one that it does name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.data.places import find_sources
from bucle.errors import OutsideError, UnknownNameError, nearest
from bucle.ids import digest_file, digest_json
from bucle.loop.events import DataAdded, Origin, SourceFile
from bucle.loop.state import DatasetRecord
from bucle.loop.workspace import Workspace
from bucle.store.commits import commit_name, has_version
from bucle.store.locks import exclusive
from bucle.types import DataVersion

if TYPE_CHECKING:
    from bucle.data.ingest import Ingested
    from bucle.data.rows import SourceRows

__all__ = [
    "Addition",
    "add_rows",
    "dataset_settings",
    "lost_table",
    "sync_sources",
    "take_rows",
]


class Addition(Struct, frozen=True, kw_only=True):
    """What an addition did, as it stands in the log; `is_new` says whether it made a version."""

    fact: DataAdded
    is_new: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def add_rows(workspace: Workspace, name: str, files: Sequence[Path] = ()) -> Addition:
    """Add the rows of files, or of the dataset's source, as a new data version.

    Raises:
        UnknownNameError: The charter has no such dataset.
        SourceError: A file cannot be read as asked.
        ContractError: The contract cannot be used.
    """
    settings = dataset_settings(workspace, name)
    if files:
        return _add(workspace, name, _read(workspace, settings, files), origin="files")
    places = find_sources(settings, root=workspace.root)
    return _add(workspace, name, _read(workspace, settings, places), origin="source")


def take_rows(workspace: Workspace, name: str, file: str = "") -> Addition | None:
    """Add what came in: a file, or without one what the dataset's source holds.

    None, and nothing on record, where the last addition from the source was of the same content by
    the same rules: somebody else has taken it since it was seen to have come.

    Raises:
        RequestError: The rows, the contract or the preparation cannot be used.
        OutsideError: A disk or a database failed.
    """
    if file:
        return add_rows(workspace, name, [Path(file)])
    settings = dataset_settings(workspace, name)
    raw = _read(workspace, settings, find_sources(settings, root=workspace.root))
    record = workspace.state().datasets.get(name)
    if _is_current(workspace, name, {file.digest for file in raw.files}, record):
        return None
    return _add(workspace, name, raw, origin="source")


def sync_sources(workspace: Workspace) -> tuple[Addition, ...]:
    """Add what has changed in the sources that the charter names; reads nothing else.

    Files count as changed by their content, not by their time; a changed contract, preparation
    or setting counts as well. A query is asked anew each time, and nothing is put on record where
    it gives the rows that it gave before.

    Raises:
        OutsideError: The table of a version on record is not on the disk.
    """
    datasets = workspace.state().datasets
    for name in workspace.charter.data:
        current = datasets[name].current if name in datasets else None
        if current and current.version and not _is_there(workspace, current):
            raise lost_table(workspace, current)
    additions = []
    for name, settings in workspace.charter.data.items():
        if not settings.source:
            continue
        places = find_sources(settings, root=workspace.root)
        record = datasets.get(name)
        digests = {digest_file(place) for place in places if isinstance(place, Path)}
        is_asked = any(isinstance(place, str) for place in places)
        if not is_asked and _is_current(workspace, name, digests, record):
            continue
        raw = _read(workspace, settings, places)
        digests = {file.digest for file in raw.files}
        if not (is_asked and _is_current(workspace, name, digests, record)):
            additions.append(_add(workspace, name, raw, origin="source"))
    return tuple(additions)


def lost_table(workspace: Workspace, version: DataVersion) -> OutsideError:
    """Build the error for a version on record whose table is not on the disk."""
    folder = workspace.home / "tables" / version.dataset
    name, place, there = version.dataset, folder.relative_to(workspace.root), folder.is_dir()
    return OutsideError(
        f"Cannot read dataset {name!r}: the table of version {version.version} is gone",
        cause=f"the log records version {version.version} with {version.rows:,} rows, but {place}"
        + (f"/{commit_name(version.table_version)} is damaged or not" if there else " is not")
        + " there",
        attempt=f"restore {place} from a copy, or {'move it away and ' if there else ''}"
        f"bucle data add {name}: it makes a new version of what is added then",
        code="bucle-213",
    )


def dataset_settings(workspace: Workspace, name: str) -> DatasetSettings:
    """Return `[data.NAME]`; raise UnknownNameError when the charter has none."""
    known = workspace.charter.data
    if name not in known:
        raise UnknownNameError(
            f"There is no dataset {name!r}",
            cause="bucle.toml has " + (", ".join(known) or "no [data.NAME] section"),
            did_you_mean=nearest(name, list(known)),
            code="bucle-226",
        )
    return known[name]


def _is_there(workspace: Workspace, version: DataVersion) -> bool:
    """Tell whether a version's table is on the disk; one look, nothing is opened."""
    return has_version(workspace.home / "tables" / version.dataset, version.table_version)


def _is_current(
    workspace: Workspace, name: str, digests: set[str], record: DatasetRecord | None
) -> bool:
    """Tell whether the last addition from the source was of this content, and by these rules."""
    last = record.last_sync if record else None
    if last is None:
        return False
    return digests == {file.digest for file in last.files} and last.rules == _rules(
        workspace, workspace.charter.data[name]
    )


def _rules(workspace: Workspace, settings: DatasetSettings) -> str:
    """Return the digest of all that decides what becomes of a row."""
    reader = workspace.code_reader
    codes = [
        reader.of_project(call)
        for call in (settings.contract, settings.prepare)
        if call is not None
    ]
    return digest_json(
        [msgspec.to_builtins(settings), [[code.parts, code.libraries] for code in codes]]
    )


def _read(
    workspace: Workspace, settings: DatasetSettings, places: Sequence[Path | str]
) -> "SourceRows":
    from bucle.data.sources import read_source  # noqa: PLC0415  (heavy; not for a no-op)

    return read_source(list(places), settings, root=workspace.root)


def _add(workspace: Workspace, name: str, raw: "SourceRows", *, origin: Origin) -> Addition:
    from bucle.data.ingest import ingest  # noqa: PLC0415  (heavy; not on the path of a no-op)
    from bucle.data.recorded import is_lost  # noqa: PLC0415

    settings = workspace.charter.data[name]
    # One writer at a time for a dataset: rows, then event, without another addition in between.
    with exclusive(workspace.home / "locks" / f"{name}.lock"):
        record = workspace.state().datasets.get(name)
        # Version 0 says that no row was good so far: there is no table of it.
        current = record.current if record and record.current.version else None
        # A table that is gone begins anew; one that has lost its end only must not be cut short.
        is_begun = current is not None and workspace.tables.version(name) is not None
        if current is not None and is_begun and is_lost(workspace.tables, current):
            raise lost_table(workspace, current)
        names = {file.name for file in raw.files}
        done = ingest(
            raw,
            dataset=name,
            settings=settings,
            root=workspace.root,
            tables=workspace.tables,
            current=current,
            mirror=origin == "source" and _mirrors(record, settings, names),
            now=workspace.clock.now(),
        )
        fact = _fact(name, done, origin=origin, rules=_rules(workspace, settings))
        workspace.record(fact)
    return Addition(fact=fact, is_new=done.is_new, notes=done.notes, warnings=done.warnings)


def _fact(name: str, done: "Ingested", *, origin: Origin, rules: str) -> DataAdded:
    version = done.version or DataVersion(
        dataset=name, version=0, table_version=-1, rows=0, fingerprint=""
    )
    return DataAdded(
        dataset=name,
        data_version=version.version,
        table_version=version.table_version,
        rows=version.rows,
        fingerprint=version.fingerprint,
        read=done.read,
        added=done.added,
        changed=done.changed,
        unchanged=done.unchanged + done.repeated,
        removed=done.removed,
        quarantined=done.quarantined,
        corrected=done.corrected,
        coerced=done.coerced,
        files=tuple(
            SourceFile(name=file.name, digest=file.digest, bytes=file.bytes) for file in done.files
        ),
        origin=origin,
        rules=rules,
    )


def _mirrors(record: DatasetRecord | None, settings: DatasetSettings, names: set[str]) -> bool:
    """Tell whether the source is all there is, so that a row it lost is a row that goes.

    Without a key an edited row cannot be told from a new one; so as long as every row came from
    the source, and none of its files has gone, the dataset is what its source is.
    """
    if record is None or settings.key:
        return False
    facts = [addition.fact for addition in record.additions]
    return all(fact.origin == "source" for fact in facts) and all(
        file.name in names for fact in facts for file in fact.files
    )
