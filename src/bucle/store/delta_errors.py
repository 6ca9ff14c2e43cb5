"""What delta-rs and polars raise about a table, as errors of ours.

Imports nothing heavy.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from bucle.errors import BucleError, OutsideError
from bucle.store.files import translated_errors

__all__ = ["translated"]

_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")


@contextlib.contextmanager
def translated(verb: str, folder: Path) -> Iterator[None]:
    """Turn whatever delta-rs and polars raise, their panics included, into errors of ours."""
    try:
        yield
    except BucleError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
            raise
        system = _SYSTEM_ERROR.search(str(error))
        if system:
            number = int(system[1])
            with translated_errors(verb, folder):
                raise OSError(number, str(error).splitlines()[0]) from error
        raise OutsideError(
            f"Cannot {verb} table {folder.name!r}",
            cause=(str(error).splitlines() or [type(error).__name__])[0],
            where=str(folder),
            code="bucle-305",
        ) from error
