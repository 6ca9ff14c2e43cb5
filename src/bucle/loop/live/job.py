"""What runs in the process of a job: it does one thing for a project and answers.

`python -m bucle.loop.live.job` is started by `jobs` and by nobody else.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from select import select

import msgspec

from bucle.loop.live.deeds import carry_out
from bucle.loop.live.orders import Order

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Do what standard input asks for.

    Args:
        arguments: Numbers of two open files: one that ends when the parent does, one for the
            answer.
    """
    lifeline, answer = (int(text) for text in arguments)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.write(answer, msgspec.json.encode(carry_out(order)))
    return 0


def _end_with_parent(lifeline: int) -> None:
    """End this process, and what it has started, when nobody waits for it any more."""
    select([lifeline], [], [])
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
