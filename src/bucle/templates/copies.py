"""Data files given to a new project: checked, then copied into its data folder.

Links are followed to what they mean; anything that is no regular file is refused before it is
opened. Must not import anything heavy.
"""

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from bucle.errors import OutsideError, SourceError

__all__ = ["check_files", "copy_files"]

_GLOB_MARKS = str.maketrans("*?[]", "____")


def check_files(files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the given files with links resolved.

    Raises:
        SourceError: One is missing, is no regular file, is empty or cannot be read, or two have
            the same name (bucle-188).
    """
    checked: list[Path] = []
    names: dict[str, Path] = {}
    for file in files:
        path = _checked(file)
        name = _copy_name(file)
        if name.casefold() in names:
            raise _refused(
                file,
                f"its name is also that of {names[name.casefold()]}",
                attempt="rename one of them",
            )
        names[name.casefold()] = file
        checked.append(path)
    return tuple(checked)


def copy_files(files: Sequence[Path], *, folder: Path) -> tuple[str, ...]:
    """Copy checked files into a folder and return their names there, as they were given.

    Characters that a `source` in bucle.toml would read as a pattern become `_`.

    Raises:
        SourceError: As `check_files`.
        OutsideError: The disk is full or failed (bucle-189).
    """
    sources = check_files(files)
    folder.mkdir(exist_ok=True)
    names = []
    for given, source in zip(files, sources, strict=True):
        name = _copy_name(given)
        try:
            shutil.copyfile(source, folder / name)
        except OSError as error:
            raise OutsideError(
                f"Cannot copy {given} into the project",
                cause=error.strerror or str(error),
                code="bucle-189",
            ) from error
        names.append(name)
    return tuple(names)


def _copy_name(file: Path) -> str:
    return file.name.translate(_GLOB_MARKS)


def _checked(file: Path) -> Path:
    try:
        path = file.resolve(strict=True)
        found = path.stat()
    except FileNotFoundError as error:
        raise _refused(file, "there is no such file", attempt="ls " + str(file.parent)) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise _refused(file, getattr(error, "strerror", None) or str(error)) from error
    if stat.S_ISDIR(found.st_mode):
        raise _refused(file, "it is a folder", attempt=f"{file}/*.csv")
    if not stat.S_ISREG(found.st_mode):
        raise _refused(file, "it is no regular file but a device, a pipe or a socket")
    if not found.st_size:
        raise _refused(file, "it is empty")
    if not os.access(path, os.R_OK):
        raise _refused(file, "you may not read it", attempt=f"chmod +r {file}")
    return path


def _refused(file: Path, cause: str, *, attempt: str = "") -> SourceError:
    return SourceError(
        f"Cannot use the data file {str(file)!r}", cause=cause, attempt=attempt, code="bucle-188"
    )
