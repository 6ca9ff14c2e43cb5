"""Whether the records that a server writes to are still those of its project.

Imports nothing heavy.
"""

from pathlib import Path

from bucle.errors import OutsideError

__all__ = ["Footing"]


class Footing:
    """Remembers which file a project's log is, to tell when it was removed, moved or replaced.

    Processes that have the old one open go on writing to it, where nobody finds it again.

    Args:
        log: The file of the log; what is not there yet is remembered as soon as it is.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file: tuple[int, int] | None = None
        self._file = self._look()

    def require(self) -> None:
        """Return while the log is the same file as before.

        Raises:
            OutsideError: It is not there any more, or is another one (bucle-341).
        """
        found = self._look()
        if self._file is None:
            self._file = found
        elif found != self._file:
            how = "is gone" if found is None else "is another file now"
            raise OutsideError(
                f"Cannot go on: '{self._log}' {how}",
                cause="the project's folder, or .bucle in it, was removed, moved or replaced, and "
                "what is answered now would be on no record",
                attempt="put it back as it was, then start again",
                code="bucle-341",
            )

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._log.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            # Nobody can say now; whoever writes will notice.
            return self._file
        return found.st_dev, found.st_ino
