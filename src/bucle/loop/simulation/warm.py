"""Worker processes that stay warm from one training to the next.

A live project trains once in a while and starts them anew; a simulated year has no time for that.
Imports nothing heavy.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from bucle.pipeline.executors import ProcessExecutor

__all__ = ["WarmWorkers"]


class WarmWorkers:
    """Lends the same worker processes to every engine that asks; an `ExecutorMaker`."""

    def __init__(self) -> None:
        self._executor: ProcessExecutor | None = None

    def __call__(
        self,
        workers: int,
        *,
        folder: Path,
        preparation: tuple[Callable[[bytes], bytes], bytes],
    ) -> Executor:
        """Return an executor that outlives its shutdown."""
        if self._executor is None:
            self._executor = ProcessExecutor(workers, folder=folder, preparation=preparation)
        return _Lent(self._executor)

    def close(self) -> None:
        """End the processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None


class _Lent(Executor):
    """An executor of somebody else's: shutting it down ends nothing."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Hand a call on."""
        return self._executor.submit(fn, *args, **kwargs)
