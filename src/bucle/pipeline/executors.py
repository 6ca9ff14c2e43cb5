"""Executors for steps, by the standard interface: worker processes, and one that runs in place.

Work is a module-level function from bytes to bytes, so that any other `concurrent.futures`
executor can stand in. Must not import anything heavy.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import bucle
from bucle.pipeline.worker_process import HEADER

__all__ = ["ProcessExecutor", "SerialExecutor", "WorkerLostError"]

# Last on the path: a folder of installed libraries must not come before the standard library.
_PROGRAM = (
    f"import sys; sys.path.append({str(Path(bucle.__file__).parent.parent)!r}); "
    "from bucle.pipeline.worker_process import main; main()"
)
_LOOK_S = 1.0
_WORTH_S = 1.0
_Call = tuple[str, bytes]


class WorkerLostError(Exception):
    """A worker process ended in the middle of a call.

    Args:
        code: Its exit code; minus the signal's number where a signal ended it.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"a worker process ended with {code}")


class SerialExecutor(Executor):
    """Runs each call at once, in this process and thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Call a function and return a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (it belongs to whoever asks for the result)
            future.set_exception(error)
        return future


class ProcessExecutor(Executor):
    """Runs calls in worker processes that start when they are needed and not before.

    The first worker starts with the first call. A further one starts only when calls have waited
    for `patience_s` and would wait a second more, and takes calls once it is prepared, so that it
    never delays one by its own imports. A worker that dies fails the one call it was at. Workers
    end when this process does, however it ends.

    Args:
        workers: How many processes at most.
        folder: The working directory of the workers.
        preparation: Module-level function and content that a further worker is called with first.
        patience_s: Seconds that a call waits before a further worker is started.
    """

    def __init__(
        self,
        workers: int = 2,
        *,
        folder: Path,
        preparation: tuple[Callable[[bytes], bytes], bytes] | None = None,
        patience_s: float = 0.2,
    ) -> None:
        self._most = max(1, workers)
        self._folder = folder
        self._preparation = preparation
        self._patience_s = patience_s
        self._lock = threading.Condition()
        self._waiting: deque[tuple[Future[bytes], _Call]] = deque()
        self._threads: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._idle = 0
        self._answered = 0
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Queue a call of a module-level function with one argument of bytes.

        Raises:
            TypeError: The arguments are others.
            RuntimeError: It was shut down.
        """
        content = args[0] if len(args) == 1 and not kwargs else None
        if not isinstance(content, bytes):
            raise TypeError("a worker takes one argument of bytes")
        future: Future[bytes] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot submit after shutdown")
            self._waiting.append((future, (_address(fn), content)))
            if len(self._waiting) > self._idle and len(self._threads) < self._most:
                first = not self._threads
                thread = threading.Thread(target=self._serve, args=(first,), daemon=True)
                self._threads.append(thread)
                thread.start()
            self._lock.notify_all()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  (the standard's signature)
        """End the workers: after the calls that are queued, or at once with `wait` false."""
        with self._lock:
            self._closed = True
            if cancel_futures or not wait:
                while self._waiting:
                    self._waiting.popleft()[0].cancel()
            self._lock.notify_all()
        if not wait:
            # Its thread does the rest: closing a pipe that is being read would be unsafe.
            for process in tuple(self._processes):
                _kill(process)
            return
        for thread in self._threads:
            thread.join()

    # ---- one thread for each worker -----------------------------------------

    def _serve(self, first: bool) -> None:  # noqa: FBT001  (a thread's argument)
        """Take calls one by one and have a process answer them."""
        process: subprocess.Popen[bytes] | None = None
        try:
            if not first:
                if not self._is_wanted():
                    return
                process = self._start()
                if self._preparation:
                    function, content = self._preparation
                    try:
                        _ask(process, (_address(function), content))
                    except WorkerLostError:
                        self._end(process)
                        process = None
            while (taken := self._take()) is not None:
                future, call = taken
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    process = process or self._start()
                    answer = _ask(process, call)
                    self._answered += 1
                    future.set_result(answer)
                except Exception as error:  # noqa: BLE001  (for whoever asks for the result)
                    if isinstance(error, WorkerLostError) and process is not None:
                        # At once: its number may soon be that of another process.
                        self._end(process)
                        process = None
                    future.set_exception(error)
        finally:
            with self._lock:
                self._threads.remove(threading.current_thread())
            if process is not None:
                self._end(process)

    def _is_wanted(self) -> bool:
        """Tell, after a while, whether calls are waiting that another worker could save time on."""
        with self._lock:
            while True:
                answered = self._answered
                self._lock.wait_for(lambda: self._closed, timeout=self._patience_s)
                if self._closed or not self._waiting:
                    return False
                quick = self._answered - answered
                # Many small calls that are nearly through need no help; a long one does.
                if quick * _WORTH_S < len(self._waiting) * self._patience_s:
                    return True

    def _take(self) -> tuple["Future[bytes]", _Call] | None:
        with self._lock:
            self._idle += 1
            self._lock.wait_for(lambda: self._waiting or self._closed)
            self._idle -= 1
            return self._waiting.popleft() if self._waiting else None

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End a worker, close its pipes and take its exit code."""
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.wait()
        self._processes.discard(process)

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-P", "-X", "faulthandler", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder,
            env=_environment(self._most),
            # Ctrl-C is for the parent, which then ends the worker and all that it started.
            start_new_session=True,
        )
        self._processes.add(process)
        return process


def _ask(process: "subprocess.Popen[bytes]", call: _Call) -> bytes:
    """Send a call and wait for its answer.

    Raises:
        WorkerLostError: The process ended before it answered.
    """
    name, content = call[0].encode(), call[1]
    assert process.stdin is not None  # noqa: S101  (it was started with pipes)
    try:
        process.stdin.write(len(name).to_bytes(HEADER, "big") + name)
        process.stdin.write(len(content).to_bytes(HEADER, "big") + content)
        process.stdin.flush()
    except OSError as error:
        raise WorkerLostError(process.wait()) from error
    head = _read(process, 1 + HEADER)
    answer = _read(process, int.from_bytes(head[1:], "big"))
    if head[:1] != b"+":
        raise RuntimeError(answer.decode("utf-8", "replace"))
    return answer


def _read(process: "subprocess.Popen[bytes]", size: int) -> bytes:
    """Read so many bytes; a child of the worker may hold the pipe open after its death."""
    assert process.stdout is not None  # noqa: S101  (as above)
    descriptor = process.stdout.fileno()
    waiter = select.poll()
    waiter.register(descriptor, select.POLLIN)
    parts: list[bytes] = []
    while size:
        ready = waiter.poll(_LOOK_S * 1000)
        if not ready and process.poll() is None:
            continue
        part = os.read(descriptor, min(size, 1 << 20)) if ready else b""
        if not part:
            raise WorkerLostError(process.wait())
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a worker and whatever it started, at once."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(workers: int) -> dict[str, str]:
    """Return the environment of a worker: ours, valid in another folder, with hashing settled.

    Workers share the processors: threads of OpenMP that wait by spinning made a fit of 0.8 s last
    2.6 s (and 42 s with four such processes on two cores). What the user has set stays.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    shared = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    settled = {**shared, **os.environ, "PYTHONHASHSEED": "0"}
    path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if path:
        settled["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in path)
    return settled


def _address(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"
