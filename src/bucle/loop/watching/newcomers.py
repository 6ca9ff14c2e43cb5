"""What has come to the prediction log since one looked last. Imports polars."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl
from msgspec import Struct

from bucle.loop.workspace import Workspace
from bucle.serve.compactor import read_log_after, read_log_counted

__all__ = ["Mark", "OtherTablesError", "read_newcomers"]


class Mark(Struct, frozen=True, kw_only=True):
    """How far a table was read: its rows, and the id of the last of them."""

    rows: int = 0
    last: str = ""


class OtherTablesError(Exception):
    """What is kept does not fit the tables that are there."""


def read_newcomers(
    workspace: Workspace,
    name: str,
    *,
    columns: Sequence[str],
    since: datetime,
    known: Mark | None,
) -> tuple[pl.DataFrame, Mark]:
    """Return the rows that came after a mark, and the next one.

    What is still in files is returned at every look, until it stands in the table.

    Args:
        workspace: The project.
        name: `predictions` or `feedback`.
        columns: Which columns; `id` is one of them.
        since: Without a mark, only what came at this moment or later.
        known: Where one has read to; None the first time.

    Raises:
        OtherTablesError: The table is not the one that was read.
    """
    log, tables = workspace.home / "serve" / "log", workspace.tables
    if known is None:
        found, count = read_log_counted(log, tables, name=name, columns=columns, since=since)
        last = tables.read(name, columns=["id"], after=count - 1)["id"][0] if count else ""
        return found, Mark(rows=count, last=last)
    before = max(0, known.rows - 1)
    frame, rest = read_log_after(log, tables, name=name, columns=columns, rows=before)
    if known.rows and (not frame.height or frame["id"][0] != known.last):
        raise OtherTablesError
    last = frame["id"][-1] if frame.height else known.last
    whole = pl.concat([frame.slice(1 if known.rows else 0), rest])
    return whole, Mark(rows=before + frame.height, last=last)
