"""How far a query's rows go: a mark that is cheap to ask for and moves when rows come in.

Asked of the database itself, read only. Imports polars.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bucle.charter.checks import listed
from bucle.charter.settings import DatasetSettings
from bucle.data.sql import read_query
from bucle.errors import SourceError

__all__ = ["query_digest", "query_mark"]

_COUNT = "count(*)"


def query_mark(url: str, *, settings: DatasetSettings, root: Path) -> str:
    """Return how many rows the query has, its newest times and largest keys, how many labels.

    A row that is changed without any of these moving is not noticed. Where the query lacks a
    column that the settings name, since a preparation makes it, rows alone are counted.

    Raises:
        SourceError: The query is refused.
        OutsideError: The database cannot be reached.
    """
    times = [one for one in (settings.event_time, settings.label_time) if one is not None]
    columns = dict.fromkeys([*times, *listed(settings.key)])
    asked = [f"max({_quoted(column)})" for column in columns]
    asked += [f"count({_quoted(column)})" for column in listed(settings.label)]
    if asked:
        try:
            return _ask(url, [_COUNT, *asked], settings, root)
        except SourceError:
            # A column that is not there, or that has no order: the count is left.
            pass
    return _ask(url, [_COUNT], settings, root)


def query_digest(url: str, *, settings: DatasetSettings, root: Path) -> str:
    """Return the digest that an addition of the query's rows, as they are now, would record.

    Raises:
        SourceError: The query is refused.
        OutsideError: The database cannot be reached.
    """
    return read_query(url, settings=settings, root=root).files[0].digest


def _ask(url: str, asked: Sequence[str], settings: DatasetSettings, root: Path) -> str:
    inner = (settings.query or "").strip().rstrip(";").rstrip()
    named = ", ".join(f"{one} AS m{number}" for number, one in enumerate(asked))
    # On lines of its own: the query may end in a comment.
    query = f"SELECT {named} FROM (\n{inner}\n) AS bucle_rows"  # noqa: S608  (the user's own)
    rows = read_query(url, settings=msgspec.structs.replace(settings, query=query), root=root)
    return "; ".join(str(value) for value in rows.frame.row(0))


def _quoted(column: str) -> str:
    doubled = column.replace('"', '""')
    return f'"{doubled}"'
