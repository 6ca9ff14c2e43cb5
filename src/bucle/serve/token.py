"""The token of a project's server: made by chance at the first start, readable by its owner alone.

Imports nothing heavy.
"""

import os
import secrets
import stat
from pathlib import Path

from bucle.errors import RequestError
from bucle.store.files import translated_errors

__all__ = ["open_token"]

_BYTES = 32
_LEAST = 20
_MODE = 0o600


def open_token(path: Path) -> tuple[str, bool]:
    """Return a server's token, and whether it was made just now.

    Raises:
        RequestError: The file can be read by others, or holds no token.
        OutsideError: It cannot be read or written.
    """
    with translated_errors("use", path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
        except FileExistsError:
            return _read(path), False
        token = secrets.token_urlsafe(_BYTES)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            os.fchmod(stream.fileno(), _MODE)
            stream.write(token + "\n")
    return token, True


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        token = stream.read(1000).strip()
    if mode & 0o077:
        raise RequestError(
            "Cannot use the token: others may read it",
            where=str(path),
            attempt=f"chmod 600 {path}",
            code="bucle-340",
        )
    if len(token) < _LEAST or not token.isascii() or not token.isprintable() or " " in token:
        raise RequestError(
            "Cannot use the token: it is too short, or no plain text",
            where=str(path),
            attempt=f"rm {path}, and the next start makes a new one",
            code="bucle-340",
        )
    return token
