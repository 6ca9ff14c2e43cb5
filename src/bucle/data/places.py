"""Places that rows come from: the files and database URLs that a dataset's `source` names.

Looks at names only and opens nothing, so that a run can see whether anything changed without
loading a reader. Must not import anything heavy.
"""

import re
from pathlib import Path

from bucle.charter.addresses import sqlite_path
from bucle.charter.settings import DatasetSettings
from bucle.errors import SourceError, nearest

__all__ = ["expand_glob", "find_sources", "is_query_url"]

_SCHEMES = ("sqlite", "postgresql", "postgres")
_GLOB = re.compile(r"[*?\[]")


def is_query_url(text: str) -> bool:
    """Tell whether a source is a database's URL and not a file.

    Raises:
        SourceError: It is a URL of something that cannot be read, such as https.

    Example:
        >>> is_query_url("sqlite:///shop.db"), is_query_url("data/sales.csv")
        (True, False)
    """
    scheme, mark, _ = text.partition("://")
    if not mark:
        return False
    if scheme in _SCHEMES:
        return True
    raise SourceError(
        f"Cannot read from {scheme}://",
        cause="sources are files of this machine, sqlite:///file.db or postgresql://host/name",
        did_you_mean=nearest(scheme, _SCHEMES),
        attempt="fetch the file yourself and add it",
        code="bucle-128",
    )


def find_sources(settings: DatasetSettings, *, root: Path) -> tuple[Path | str, ...]:
    """Return the files, sorted, or the URL that a dataset's `source` names.

    Raises:
        SourceError: It names nothing, a file that is not there, or one outside the project.
    """
    named = (settings.source,) if isinstance(settings.source, str) else settings.source
    found: list[Path | str] = []
    for text in named:
        if is_query_url(text):
            found.append(_inside_url(text, root))
        else:
            found.extend(_inside(text, root))
    if not found:
        raise SourceError(
            "Cannot read the dataset: it has no source",
            attempt='bucle data add NAME FILE, or source = "data/*.csv" in bucle.toml',
            code="bucle-121",
        )
    return tuple(dict.fromkeys(found))


def expand_glob(text: str, *, base: Path) -> list[Path]:
    """Return the files, sorted, that a glob stands for; a path that is none stands for itself.

    A file whose own name looks like a glob is that file.

    Raises:
        SourceError: Nothing fits the glob, or it is none that can be used.
    """
    path = base / text
    if not _GLOB.search(text) or _is_there(path):
        return [path]
    anchor = Path(text).anchor
    try:
        matches = sorted((base / anchor).glob(str(Path(text).relative_to(anchor))))
    except (ValueError, NotImplementedError) as error:
        raise SourceError(f"Cannot use '{text}': {error}", code="bucle-121") from error
    if not matches:
        raise _nothing_fits(text)
    return matches


def _inside(text: str, root: Path) -> list[Path]:
    """Return the files a path or glob of the settings names; all must lie in the project."""
    outside = Path(text).is_absolute() or ".." in Path(text).parts or text.startswith("~")
    base = root.resolve()
    matches = [] if outside else expand_glob(text, base=root)
    if outside or any(not match.resolve().is_relative_to(base) for match in matches):
        raise SourceError(
            f"Cannot read '{text}': it lies outside the project",
            cause="a source of bucle.toml stays within the project's folder",
            attempt=f"bucle data add NAME {text}",
            code="bucle-121",
        )
    if len(matches) == 1 and not _is_there(matches[0]):
        raise _nothing_fits(text)
    return matches


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # No disk can hold a file of that name.
        return False


def _nothing_fits(text: str) -> SourceError:
    return SourceError(f"Cannot find a file that fits '{text}'", code="bucle-121")


def _inside_url(url: str, root: Path) -> str:
    if url.startswith("sqlite:"):
        _inside(sqlite_path(url), root)
    return url
