"""Which version of a library an import name stands for, without importing the library.

Versions are read from the names of the metadata folders beside the installed code: one listing of
each folder on the path. Code that is edited in place has no version that can be trusted; its
content is digested instead. Must not import anything heavy.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bucle.ids import digest_parts

__all__ = ["Libraries"]

_METADATA = (".dist-info", ".egg-info")
_NAMES = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "pyyaml", "cv2": "opencv-python"}


class Libraries:
    """The libraries that can be imported in this environment.

    Args:
        path: Folders that Python looks in; `sys.path` by default.
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        folders = sys.path if path is None else path
        self._folders = [Path(entry) for entry in folders if entry and Path(entry).is_dir()]
        self._listed: dict[str, Path] | None = None
        self._known: dict[str, str] = {}

    def version(self, name: str) -> str:
        """Return the version of an import name; empty for the standard library.

        Code edited in place gives `edited-` and a digest of its sources, an import name that
        nothing is installed for gives `missing`.
        """
        if name in sys.stdlib_module_names:
            return ""
        if name not in self._known:
            self._known[name] = self._version(name)
        return self._known[name]

    def all(self) -> dict[str, str]:
        """Return every installed distribution and its version, by name."""
        return {
            name: _split(place)[1]
            for name, place in sorted(self._metadata().items())
            if _split(place)[1]
        }

    def _version(self, name: str) -> str:
        code = self._code(name)
        if code is None:
            return "missing"
        place = self._metadata().get(_plain(_NAMES.get(name, name)))
        if place is None or not (place.parent == code.parent or _provides(place, name)):
            others = (other for _, other in sorted(self._metadata().items()) if other != place)
            place = next((other for other in others if _provides(other, name)), None)
        if place is not None and not _is_edited(place):
            return _split(place)[1]
        return f"edited-{_digest_code(code)[:16]}"

    def _metadata(self) -> dict[str, Path]:
        if self._listed is None:
            self._listed = {}
            for folder in self._folders:
                for entry in sorted(folder.iterdir()):
                    if entry.name.endswith(_METADATA):
                        self._listed.setdefault(_plain(_split(entry)[0]), entry)
        return self._listed

    def _code(self, name: str) -> Path | None:
        for folder in self._folders:
            for candidate in (folder / name, folder / f"{name}.py"):
                if candidate.exists():
                    return candidate
            for compiled in folder.glob(f"{name}.*.so"):
                return compiled
        # Editable installs may be found by a hook of their own; asking it imports nothing.
        from importlib.util import find_spec  # noqa: PLC0415  (rare)

        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
        origin = places[0] if places else spec.origin
        return Path(origin) if origin else None


def _split(place: Path) -> tuple[str, str]:
    name, _, version = place.name.rpartition(".")[0].partition("-")
    return name, version.partition("-py")[0]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _provides(place: Path, name: str) -> bool:
    """Tell whether a distribution installed an import name, by its list of files."""
    try:
        record = (place / "RECORD").read_text("utf-8", "replace")
    except OSError:
        return _plain(_split(place)[0]) == _plain(name)
    lines = record.splitlines()
    starts = (f"{name}/", f"{name}.")
    # An editable install lists no code, only the hook that finds it.
    return any(line.startswith(starts) for line in lines) or (
        _is_edited(place) and _plain(_split(place)[0]) == _plain(name)
    )


def _is_edited(place: Path) -> bool:
    try:
        origin = json.loads((place / "direct_url.json").read_bytes())
    except (OSError, ValueError):
        return False
    return bool(origin.get("dir_info", {}).get("editable"))


def _digest_code(place: Path) -> str:
    if place.is_file():
        return digest_parts([place.read_bytes()])
    parts: list[bytes] = []
    for file in sorted(place.rglob("*.py")):
        parts += [file.relative_to(place).as_posix().encode(), file.read_bytes()]
    return digest_parts(parts)
