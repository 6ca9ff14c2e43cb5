"""What a run stood on: the project's source tree and the environment, kept with the run.

Both are kept as content, so that runs on the same sources share them. Must not import anything
heavy.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bucle.ids import canonical_json
from bucle.pipeline.libraries import Libraries
from bucle.pipeline.modules import Modules
from bucle.types import Blobs

__all__ = ["environment_of", "record_environment", "snapshot_sources", "source_files"]

_SUFFIXES = frozenset(
    {".cfg", ".ini", ".json", ".lock", ".md", ".py", ".sql", ".toml", ".txt", ".yaml", ".yml"}
)
_SKIPPED = frozenset({"__pycache__", "build", "data", "demo", "dist", "node_modules"})
_MAX_FILE = 1_000_000
_MAX_FILES = 2_000


def snapshot_sources(modules: Modules, *, blobs: Blobs) -> str:
    """Keep the project's source files and return the digest of their list.

    The list is a JSON object: path relative to the project → digest of the content. Code and
    text of at most 1 MB a file are kept; data, hidden folders and environments are not.
    """
    root = modules.root
    listed = {
        path.relative_to(root).as_posix(): blobs.put(path.read_bytes())
        for path in source_files(root)
    }
    return blobs.put(canonical_json(listed))


def source_files(root: Path) -> tuple[Path, ...]:
    """Return the source files of a project, in order; at most 2,000."""
    found: list[Path] = []
    for path in _walk(root):
        if len(found) == _MAX_FILES:
            break
        found.append(path)
    return tuple(found)


def record_environment(libraries: Libraries, *, blobs: Blobs) -> str:
    """Keep what is known of the environment as JSON and return its digest."""
    return blobs.put(canonical_json(environment_of(libraries)))


def environment_of(libraries: Libraries) -> dict[str, Any]:
    """Return Python, machine and every installed distribution with its version."""
    system = os.uname()
    return {
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "system": f"{system.sysname} {system.release}",
        "machine": system.machine,
        "processors": os.cpu_count() or 1,
        "libraries": libraries.all(),
    }


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            if entry.name not in _SKIPPED and not (entry / "pyvenv.cfg").exists():
                yield from _walk(entry)
        elif entry.suffix in _SUFFIXES and entry.is_file() and entry.stat().st_size <= _MAX_FILE:
            yield entry
