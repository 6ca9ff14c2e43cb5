"""Where a report of HTML goes, and how it gets there whole."""

import os
import tempfile
from pathlib import Path

from bucle.errors import OutsideError
from bucle.loop.workspace import Workspace
from bucle.store.files import write_whole

__all__ = ["report_path", "say_path", "write_report"]


def report_path(workspace: Workspace, wanted: str | None, *, name: str, option: str) -> Path:
    """Return where a report goes; refuse a place it cannot go to before any work is done.

    Args:
        workspace: The project, which keeps reports that were not sent elsewhere.
        wanted: A path of the user's; none or an empty one for the usual place.
        name: Of the report, without its ending.
        option: The option by which another place is chosen.

    Raises:
        OutsideError: Nothing can be written there.
    """
    path = Path(wanted) if wanted else workspace.home / "reports" / f"{name}.html"
    above = next((folder for folder in path.absolute().parents if folder.exists()), Path("/"))
    if path.is_dir() or not path.name:
        raise _unwritable(path, "it is a folder", option)
    if not above.is_dir():
        raise _unwritable(path, f"{above} is no folder", option)
    if not os.access(above, os.W_OK | os.X_OK):
        raise _unwritable(path, f"{above} may not be written", option)
    try:
        # Only trying tells of disks that are mounted to be read, and of folders like /proc.
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error), option) from error
    return path


def write_report(path: Path, page: str, *, option: str) -> None:
    """Write a page as a whole.

    Raises:
        OutsideError: It cannot be written.
    """
    try:
        write_whole(path, page.encode("utf-8", "replace"))
    except OutsideError as error:
        raise _unwritable(path, error.cause or error.what, option) from error


def say_path(path: Path) -> str:
    """Return a path as short as it can be written from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _unwritable(path: Path, cause: str, option: str) -> OutsideError:
    return OutsideError(
        f"Cannot write the report to {str(path)!r}",
        cause=cause,
        attempt=f"{option} FILE",
        code="bucle-266",
    )
