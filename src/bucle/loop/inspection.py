"""Looking at datasets: lists, descriptions, differences, quarantine, leaks. Changes nothing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from bucle.errors import RequestError, UnknownNameError, nearest
from bucle.loop.datasets import dataset_settings, lost_table
from bucle.loop.state import DatasetRecord, VersionRecord
from bucle.loop.workspace import Workspace
from bucle.store.files import write_whole
from bucle.types import DataVersion

if TYPE_CHECKING:
    import polars as pl

    from bucle.charter.settings import DatasetSettings
    from bucle.data.diff import Difference
    from bucle.data.leaks import Suspect

__all__ = [
    "DescribedColumn",
    "DescribedDataset",
    "DescribedVersion",
    "HeldRow",
    "ListedDataset",
    "check_dataset",
    "describe_dataset",
    "diff_dataset",
    "export_quarantine",
    "list_datasets",
    "list_quarantine",
]

_EXAMPLES = 3


class ListedDataset(Struct, frozen=True, kw_only=True):
    """A dataset as people list it; version 0 stands for none yet."""

    dataset: str
    version: int
    rows: int
    fingerprint: str
    at: str | None


class DescribedVersion(Struct, frozen=True, kw_only=True):
    """One version of a dataset and where it came from."""

    version: int
    rows: int
    fingerprint: str
    at: str
    by: str
    files: tuple[str, ...]


class DescribedColumn(Struct, frozen=True, kw_only=True):
    """One column: its type, its nulls, its role in the charter and some values."""

    name: str
    type: str
    nulls: int
    role: str
    examples: str


class DescribedDataset(Struct, frozen=True, kw_only=True):
    """A dataset at one version."""

    dataset: str
    version: int
    rows: int
    fingerprint: str
    columns: tuple[DescribedColumn, ...]
    versions: tuple[DescribedVersion, ...]


class HeldRow(Struct, frozen=True, kw_only=True):
    """A row in quarantine: where it came from, why, and its text as it was read."""

    row: str
    origin: str
    reasons: tuple[str, ...]
    raw: str


def list_datasets(workspace: Workspace) -> tuple[ListedDataset, ...]:
    """List the charter's datasets with their current versions."""
    records = workspace.state().datasets
    return tuple(_listed(name, records.get(name)) for name in workspace.charter.data)


def describe_dataset(
    workspace: Workspace, name: str, *, version: int | None = None
) -> DescribedDataset:
    """Describe a version of a dataset, the current one by default.

    Raises:
        UnknownNameError: There is no such dataset or version.
    """
    settings = dataset_settings(workspace, name)
    record = _record(workspace, name)
    chosen = _version(record, record.current.version if version is None else version)
    frame = _read(workspace, chosen.version)
    return DescribedDataset(
        dataset=name,
        version=chosen.fact.data_version,
        rows=chosen.fact.rows,
        fingerprint=chosen.fact.fingerprint,
        columns=tuple(_describe_column(column, settings) for column in frame.iter_columns()),
        versions=tuple(
            DescribedVersion(
                version=made.fact.data_version,
                rows=made.fact.rows,
                fingerprint=made.fact.fingerprint,
                at=made.at,
                by=made.by,
                files=tuple(file.name for file in made.fact.files),
            )
            for made in record.versions
        ),
    )


def diff_dataset(workspace: Workspace, name: str, *, before: int, after: int) -> "Difference":
    """Compare two versions of a dataset, by its key when it has one.

    Raises:
        UnknownNameError: There is no such dataset or version.
    """
    from bucle.data.diff import diff_versions  # noqa: PLC0415  (heavy, used late)

    settings = dataset_settings(workspace, name)
    record = _record(workspace, name)
    old, new = (_read(workspace, _version(record, number).version) for number in (before, after))
    key = (settings.key,) if isinstance(settings.key, str) else settings.key
    return diff_versions(old, new, key=key)


def list_quarantine(workspace: Workspace, name: str) -> tuple[HeldRow, ...]:
    """List the rows of a dataset that are held back, with their reasons."""
    held = _held(workspace, name)
    return tuple(
        HeldRow(
            row=row["row"],
            origin=f"{row['file']}:{row['line']}" if row["line"] else str(row["file"]),
            reasons=tuple(json.loads(row["reasons"])),
            raw=row["raw"],
        )
        for row in held.iter_rows(named=True)
    )


def export_quarantine(workspace: Workspace, name: str, target: Path) -> int:
    """Write the rows held back as CSV, to be corrected and added again; return how many.

    Raises:
        RequestError: The file exists already.
    """
    from bucle.data.quarantine import export_rows  # noqa: PLC0415  (heavy, used late)

    if target.exists():
        raise RequestError(
            f"Cannot write {target}: it exists already",
            cause="a correction under way could be lost",
            attempt="another file name",
            code="bucle-227",
        )
    held = _held(workspace, name)
    write_whole(target, export_rows(held).encode())
    return held.height


def check_dataset(
    workspace: Workspace, name: str, *, target: str | None = None
) -> "tuple[Suspect, ...]":
    """Look for columns of a dataset that give its label away.

    Raises:
        RequestError: Neither the call nor the charter says what is predicted.
        UnknownNameError: There is no such dataset or column.
    """
    from bucle.data.leaks import find_leaks  # noqa: PLC0415  (heavy, used late)

    settings = dataset_settings(workspace, name)
    current = _record(workspace, name).current
    frame = _read(workspace, current)
    labels = (settings.label,) if isinstance(settings.label, str) else settings.label
    predicted = workspace.charter.pipeline.target
    wanted = target or (predicted if predicted in frame.columns else next(iter(labels), None))
    if wanted is None:
        raise RequestError(
            f"Cannot check {name}: nothing says which column is predicted",
            attempt=f"bucle data check {name} --target COLUMN",
            code="bucle-228",
        )
    if wanted not in frame.columns:
        raise UnknownNameError(
            f"Cannot check {name}: it has no column {wanted!r}",
            did_you_mean=nearest(wanted, frame.columns),
            attempt=f"bucle data check {name} --target COLUMN",
            code="bucle-229",
        )
    return find_leaks(
        frame,
        target=wanted,
        event_time=settings.event_time,
        label_time=settings.label_time,
        known_late=labels,
        features=workspace.charter.pipeline.features or None,
    )


def _held(workspace: Workspace, name: str) -> "pl.DataFrame":
    from bucle.data.quarantine import open_rows  # noqa: PLC0415  (heavy, used late)

    dataset_settings(workspace, name)
    record = workspace.state().datasets.get(name)
    version = record.current.version if record else 0
    if record:
        _require_kept(workspace, record.current)
    return open_rows(workspace.tables, dataset=name, version=version)


def _read(workspace: Workspace, version: DataVersion) -> "pl.DataFrame":
    """Return the rows of a version on record, and of no other: a table may have begun anew."""
    from bucle.data.recorded import read_recorded  # noqa: PLC0415  (heavy, used late)

    _require_kept(workspace, version)
    return read_recorded(workspace.tables, version)


def _require_kept(workspace: Workspace, version: DataVersion) -> None:
    from bucle.data.recorded import is_lost  # noqa: PLC0415  (heavy, used late)

    if version.version and is_lost(workspace.tables, version):
        raise lost_table(workspace, version)


def _record(workspace: Workspace, name: str) -> DatasetRecord:
    record = workspace.state().datasets.get(name)
    if record is None or record.current.version == 0:
        raise UnknownNameError(
            f"Dataset {name!r} has no version yet",
            attempt=f"bucle data add {name} FILE",
            code="bucle-230",
        )
    return record


def _version(record: DatasetRecord, number: int) -> VersionRecord:
    for made in record.versions:
        if made.fact.data_version == number:
            return made
    raise UnknownNameError(
        f"Dataset {record.name!r} has no version {number}",
        cause=f"it has versions 1 to {record.current.version}",
        attempt=f"bucle data show {record.name}",
        code="bucle-236",
    )


def _listed(name: str, record: DatasetRecord | None) -> ListedDataset:
    if record is None:
        return ListedDataset(dataset=name, version=0, rows=0, fingerprint="", at=None)
    current = record.current
    return ListedDataset(
        dataset=name,
        version=current.version,
        rows=current.rows,
        fingerprint=current.fingerprint,
        at=record.versions[-1].at if record.versions else record.additions[-1].at,
    )


def _describe_column(column: "pl.Series", settings: "DatasetSettings") -> DescribedColumn:
    values = column.drop_nulls().unique(maintain_order=True).head(_EXAMPLES)
    return DescribedColumn(
        name=column.name,
        type=_say_type(column.dtype),
        nulls=column.null_count(),
        role=_role(column.name, settings),
        examples=", ".join(str(value)[:40] for value in values),
    )


def _say_type(dtype: "pl.DataType") -> str:
    """Write a type as short as it is read: `Datetime[us, UTC]`."""
    text = str(dtype)
    for long, short in (("time_unit=", ""), ("time_zone=", ""), (", None", ""), ("'", "")):
        text = text.replace(long, short)
    return text.replace("(", "[").replace(")", "]")


def _role(name: str, settings: "DatasetSettings") -> str:
    roles = {
        "key": settings.key,
        "event time": settings.event_time or "",
        "label": settings.label,
        "label time": settings.label_time or "",
    }
    named = [
        role
        for role, columns in roles.items()
        if name in ((columns,) if isinstance(columns, str) else columns)
    ]
    return ", ".join(named)
