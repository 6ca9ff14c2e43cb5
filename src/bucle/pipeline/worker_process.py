"""The main loop of a worker process: calls come in on standard input, answers go out.

It ends at once, with everything it started, when its parent is gone. Imports the standard
library only, so that a worker is there before anything heavy is loaded.
"""

import contextlib
import importlib
import os
import select
import signal
import sys
import threading
import traceback
from typing import BinaryIO

__all__ = ["HEADER", "main"]

HEADER = 8
"""Bytes of the number before each part of a message; a message is a name and its content."""


def main() -> None:
    """Answer calls until standard input ends."""
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # What a step or a library prints must not get between the answers.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    # A thread of its own sees the end of the parent during a step as well.
    threading.Thread(target=_watch, args=(calls.fileno(),), daemon=True).start()
    while True:
        name, content = _part(calls), _part(calls)
        if name is None or content is None:
            _leave()
            return
        try:
            module, _, function = name.decode().rpartition(":")
            answer = getattr(importlib.import_module(module), function)(content)
            state = b"+"
        except BaseException:  # noqa: BLE001  (whatever it is, the parent must hear of it)
            answer, state = traceback.format_exc().encode("utf-8", "replace"), b"!"
        answers.write(state + len(answer).to_bytes(HEADER, "big") + answer)
        answers.flush()


def _watch(descriptor: int) -> None:
    """Wait until the other end of a pipe is closed."""
    waiter = select.poll()
    waiter.register(descriptor, 0)  # asks for nothing but the news that it hung up
    while not waiter.poll():
        pass
    _leave()


def _part(stream: BinaryIO) -> bytes | None:
    head = stream.read(HEADER)
    if len(head) < HEADER:
        return None
    size = int.from_bytes(head, "big")
    content = stream.read(size)
    return content if len(content) == size else None


def _leave() -> None:
    """End this process and what it started; it leads a process group of its own."""
    sys.stderr.flush()
    if os.getpgrp() == os.getpid():
        with contextlib.suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)
