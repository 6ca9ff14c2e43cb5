"""What a server's process tells the people who run it: lines on standard error.

Nobody to hear them, or a full disk under them, ends no process. Imports nothing heavy.
"""

import contextlib
import os

__all__ = ["tell"]

_STANDARD_ERROR = 2


def tell(who: str, words: str) -> bool:
    """Write a line; False where it was not taken."""
    # Not through a buffer, which would keep what was refused and fail again with it.
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, f"{who}: {words}\n".encode(errors="backslashreplace"))
        return True
    return False
