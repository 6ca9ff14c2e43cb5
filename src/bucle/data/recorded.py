"""The rows of a version on record: read from its table, and no others.

Must not import readers or contracts.
"""

import polars as pl

from bucle.data.fingerprint import fingerprint
from bucle.errors import DigestMismatchError
from bucle.types import DataVersion, Tables

__all__ = ["is_lost", "read_recorded"]


def is_lost(tables: Tables, version: DataVersion) -> bool:
    """Tell whether the table of a version on record is not there any more, or was cut short."""
    latest = tables.version(version.dataset)
    return latest is None or latest < version.table_version


def read_recorded(tables: Tables, version: DataVersion) -> pl.DataFrame:
    """Return the rows of a version on record.

    Raises:
        UnknownNameError: Its table is not there.
        DigestMismatchError: The table does not hold what was recorded.
    """
    frame = tables.read(version.dataset, version=version.table_version)
    if fingerprint(frame) != version.fingerprint:
        raise DigestMismatchError(
            f"Cannot use version {version.version} of '{version.dataset}': it is not what was "
            "recorded",
            cause="the content of its table differs from its fingerprint in the log",
            attempt=f"bucle data list, and restore .bucle/tables/{version.dataset} from a backup",
            code="bucle-139",
        )
    return frame
