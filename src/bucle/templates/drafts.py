"""The folder in which a project is drafted: beside its place, locked in use, moved there whole.

A draft whose maker was killed has lost its lock, and the next one of that name sweeps it away.
Must not import anything heavy.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bucle.errors import OutsideError

__all__ = ["draft_folder"]


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill beside the wanted one; move it there if all goes well.

    Raises:
        OutsideError: The disk is full or failed (bucle-189); nothing is left.
    """
    draft, lock = None, None
    try:
        _sweep(folder)
        draft, lock = _make_locked(folder)
        yield draft
        draft.rename(folder)
    except OSError as error:
        _remove(draft)
        if isinstance(error, OutsideError):
            raise
        raise OutsideError(
            f"Cannot write the project {str(folder)!r}",
            cause=error.strerror or str(error),
            code="bucle-189",
        ) from error
    except BaseException:
        _remove(draft)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def _make_locked(folder: Path) -> tuple[Path, int]:
    """Make a draft folder of a new name and hold its lock, which ends with this process."""
    while True:
        draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.new")
        draft.mkdir()
        try:
            lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Between its making and its lock somebody may have swept it away.
        if draft.exists():
            return draft, lock
        os.close(lock)


def _sweep(folder: Path) -> None:
    """Remove drafts of this name that nobody holds; those of another user stay."""
    form = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}\.new")
    places: list[Path] = []
    with suppress(OSError):
        places += folder.parent.iterdir()
    for place in places:
        if form.fullmatch(place.name) and not place.is_symlink() and place.is_dir():
            with suppress(OSError):
                lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(place)
                finally:
                    os.close(lock)


def _remove(draft: Path | None) -> None:
    if draft is not None:
        shutil.rmtree(draft, ignore_errors=True)
