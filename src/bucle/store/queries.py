"""SQL by name, kept in .sql files beside this module.

A query stands under a line `-- name --` and one line of comment. Imports nothing heavy: the file
is read through the package's own loader, because importlib.resources costs 5 ms at start.
"""

import pkgutil
import re
from functools import lru_cache

__all__ = ["load_queries"]

_HEADING = re.compile(r"^-- ([a-z_]+) --\n", re.MULTILINE)


@lru_cache
def load_queries(name: str) -> dict[str, str]:
    """Return the queries of `sql/NAME.sql` by their names.

    Example:
        >>> load_queries("log")["begin"]
        'BEGIN IMMEDIATE;'
    """
    text = (pkgutil.get_data("bucle.store", f"sql/{name}.sql") or b"").decode()
    parts = _HEADING.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
        for name, body in zip(names, bodies, strict=True)
    }
