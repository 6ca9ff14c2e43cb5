"""The entry point of the process: from its first instruction on, Ctrl-C ends it without a word.

As soon as a command has begun, Ctrl-C stops it in order. Imports nothing that Python has not loaded
by itself; all else is loaded when a signal can no more fall into the midst of it.
"""

import os
import sys

try:
    import signal
except KeyboardInterrupt:
    os._exit(130)

__all__ = ["entry_point"]

_STOPPED = 130
_OUTSIDE_FAILED = 3


def entry_point() -> None:
    """Run the command line of this process and leave with its exit code."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_STOPPED))
    from bucle.cli.command_line import main  # noqa: PLC0415  (an interrupt may come meanwhile)

    def begin() -> None:
        if is_default:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    _open_streams()
    try:
        code = main(sys.argv[1:], begin=begin)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): not a failure, and nothing left to say.
        _drop_output()
        code = 0
    except OSError as error:
        _drop_output()
        print(f"Cannot write the answer: {error.strerror or error}.", file=sys.stderr)  # noqa: T201
        code = _OUTSIDE_FAILED
    sys.exit(code)


def _open_streams() -> None:
    """Give a process that was started without standard streams somewhere to write."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that leaving does not fail on it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
