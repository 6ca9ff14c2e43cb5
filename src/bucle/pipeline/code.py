"""The code of a task as the cache sees it: what it reaches, the libraries, the files it names.

Must not import anything heavy, and nothing of the project.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bucle.ids import digest_file, digest_json
from bucle.pipeline.libraries import Libraries
from bucle.pipeline.modules import Modules
from bucle.pipeline.reach import Reached, reach
from bucle.pipeline.tasks import Code

__all__ = ["CodeReader"]

_WILD = ("*", "?", "[")
_OWN = Path(__file__).parents[1]


class CodeReader:
    """Reads the code of tasks; each file and library is looked at once in its lifetime.

    Args:
        modules: The project's modules.
        libraries: Versions of what is installed.
    """

    def __init__(self, modules: Modules, *, libraries: Libraries | None = None) -> None:
        self.modules = modules
        self.libraries = libraries or Libraries()
        self._files: dict[Path, str] = {}
        self._reached: dict[str, Reached] = {}
        self._codes: dict[tuple[str, frozenset[str]], Code] = {}
        self._own: dict[tuple[str, ...], str] = {}

    def of_project(self, call: str, *, parameters: Mapping[str, Any] | None = None) -> Code:
        """Return the code of `file.py:name` with everything of the project it reaches.

        Files of the project that the code or its parameters name are part of it.

        Args:
            call: A function, class or constant of the project.
            parameters: Values the function will be called with.

        Raises:
            PipelineError: A file on the way cannot be read as Python.
            KeyError: The module has no such name; `read_graph` and `check_name` say so politely.
        """
        texts = frozenset(_texts(parameters or {}))
        if (call, texts) not in self._codes:
            self._codes[call, texts] = self._read(call, texts)
        return self._codes[call, texts]

    def of_builtin(
        self, call: str, *, libraries: Sequence[str] = (), folders: Sequence[str] = ()
    ) -> Code:
        """Return the code of one of Bucle's own functions: its version, and those of libraries.

        Args:
            call: The function.
            libraries: Which libraries its result depends on.
            folders: Those of Bucle's own whose sources it depends on too: in a checkout that is
                edited the version says nothing.
        """
        own = self._digest_of_own(tuple(folders)) if folders else ""
        return Code(parts={call: own}, libraries=self._versions({"bucle", *libraries}))

    def _read(self, call: str, texts: frozenset[str]) -> Code:
        file, _, name = call.rpartition(":")
        module = self.modules.of_file(file)
        if call not in self._reached:
            self._reached[call] = reach(self.modules, module=module, name=name)
        found = self._reached[call]
        parts = dict(found.parts)
        for path in self._named_files(found, texts):
            relative = path.relative_to(self.modules.root).as_posix()
            if relative not in found.files:
                parts[f"file {relative}"] = self._digest(path)
        return Code(parts=parts, libraries=self._versions(found.libraries), sources=found.files)

    def _versions(self, names: set[str] | frozenset[str]) -> dict[str, str]:
        versions = {name: self.libraries.version(name) for name in sorted(names)}
        found = {name: version for name, version in versions.items() if version}
        found["python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
        return found

    def _digest_of_own(self, folders: tuple[str, ...]) -> str:
        if folders not in self._own:
            sources = [path for one in folders for path in sorted((_OWN / one).glob("*.py"))]
            digests = [[str(path.relative_to(_OWN)), self._digest(path)] for path in sources]
            self._own[folders] = digest_json(digests)
        return self._own[folders]

    def _digest(self, path: Path) -> str:
        if path not in self._files:
            self._files[path] = digest_file(path)
        return self._files[path]

    def _named_files(self, found: Reached, given: frozenset[str]) -> list[Path]:
        texts = found.strings | {("", text) for text in given}
        paths: set[Path] = set()
        folders: set[Path] = set()
        for module, text in texts:
            for place in self._places(module):
                for path in self._look_up(place, text):
                    (folders if path.is_dir() else paths).add(path)
        # A folder and a file in it may be named apart, as in `DATA / "prices.csv"`.
        for folder in folders:
            for _, text in texts:
                paths.update(path for path in self._look_up(folder, text) if path.is_file())
            if found.lists_folders:
                paths.update(path for path in folder.rglob("*") if path.is_file())
        return sorted(path for path in paths if self._counts(path))

    def _places(self, module: str) -> set[Path]:
        """Return where a relative path in a module may start: the project, the module's folder."""
        known = self.modules.find(module) if module else None
        beside = (self.modules.root / known.file).parent if known and known.file else None
        return {self.modules.root} | ({beside} if beside else set())

    def _look_up(self, place: Path, text: str) -> Iterator[Path]:
        relative = text.lstrip("/") if place != self.modules.root else text
        if not relative or ".." in relative.split("/") or relative.startswith("~"):
            return
        if any(sign in relative for sign in _WILD):
            yield from self._matches(place, relative)
            return
        path = place / relative
        try:
            if path.exists() and self._counts(path):
                yield path
        except (OSError, ValueError):
            return

    def _matches(self, place: Path, pattern: str) -> Iterator[Path]:
        # `*` alone belongs to a folder that is named elsewhere.
        if pattern.startswith("/") or not any(letter.isalnum() for letter in pattern):
            return
        fixed = pattern
        for sign in _WILD:
            fixed = fixed.partition(sign)[0]
        start = place / fixed.rpartition("/")[0]
        if not start.is_dir() or not start.is_relative_to(self.modules.root):
            return
        try:
            yield from (path for path in place.glob(pattern) if path.is_file())
        except (ValueError, NotImplementedError, OSError):
            return

    def _counts(self, path: Path) -> bool:
        """Tell whether a path is inside the project and outside its hidden folders."""
        root = self.modules.root
        if path == root or not path.is_relative_to(root):
            return False
        folders = path.relative_to(root).parts[: None if path.is_dir() else -1]
        hidden = any(part.startswith(".") for part in folders)
        return not hidden and path.resolve().is_relative_to(root)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if 0 < len(value) <= 512 and "\n" not in value and "\0" not in value:  # noqa: PLR2004
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
