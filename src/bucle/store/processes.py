"""Whether a process lives, for what the dead have left. Imports nothing heavy."""

import os

__all__ = ["is_alive"]


def is_alive(process: int) -> bool:
    """Tell whether a process of this machine lives; one that may not be asked does.

    Example:
        >>> is_alive(os.getpid()), is_alive(2**80)
        (True, False)
    """
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
