"""Calls of the command line as a user makes them: in a process of its own, by its installed name.

Used by acceptance tests and by the integration tests of the loop.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["BUCLE", "Answer", "bucle", "kill", "obey_permissions", "start", "surroundings"]

BUCLE = Path(sys.executable).parent / "bucle"
_PATIENCE_S = 240
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


class Answer(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def all(self) -> str:
        """Everything that was printed."""
        return self.out + self.err


def surroundings(env: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return this process's environment with changes; None takes a variable away."""
    changed = {**os.environ, "COLUMNS": "100", **(env or {})}
    return {name: value for name, value in changed.items() if value is not None}


def bucle(
    *words: str | Path,
    at: Path,
    code: int | None = 0,
    env: Mapping[str, str | None] | None = None,
    **options: Any,
) -> Answer:
    """Run one command in a folder and return its answer; the exit code must be `code`."""
    done = subprocess.run(
        [BUCLE, *words],
        cwd=at,
        env=surroundings(env),
        check=False,
        capture_output=True,
        timeout=options.pop("timeout", _PATIENCE_S),
        **({"stdin": subprocess.DEVNULL} | options),
    )
    answer = Answer(
        done.returncode,
        done.stdout.decode(errors="surrogateescape"),
        done.stderr.decode(errors="surrogateescape"),
    )
    if code is not None:
        assert answer.code == code, f"{words} left with {answer.code}:\n{answer.all[-3000:]}"
    return answer


def obey_permissions() -> None:
    """Make the command that this process will become obey permissions, even as root.

    For `preexec_fn`. Another user could not even reach an interpreter in root's home.
    """
    if os.geteuid() == 0:
        library = ctypes.CDLL(None, use_errno=True)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def start(*words: str | Path, at: Path, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a command at the head of a process group of its own and return at once."""
    return subprocess.Popen(
        [BUCLE, *words],
        cwd=at,
        env=surroundings(),
        stdin=subprocess.DEVNULL,
        stdout=options.pop("stdout", subprocess.DEVNULL),
        stderr=options.pop("stderr", subprocess.DEVNULL),
        start_new_session=True,
        **options,
    )


def kill(process: "subprocess.Popen[bytes]", how: Sequence[int] = (signal.SIGKILL,)) -> int:
    """Send signals to a command alone, not to its children, and wait for its end."""
    for number in how:
        process.send_signal(number)
    return process.wait(_PATIENCE_S)
