"""What `bucle up` tells goes on when the disk under its output has had no room for a while."""

import errno
import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bucle.cli.terminal import Terminal
from bucle.cli.up import _Teller
from bucle.clock import SystemClock
from bucle.loop.events import draft_fact
from bucle.loop.fact import Fact
from bucle.loop.orders import Paused
from bucle.store.memory_log import MemoryLog


class Disk(io.RawIOBase):
    """A file that takes nothing while something is wrong with it."""

    def __init__(self) -> None:
        self.wrong, self.taken = 0, b""

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        if self.wrong:
            raise OSError(self.wrong, "not now")
        self.taken += bytes(content)
        return len(content)


class Told:
    """A log, and a teller of it that writes to a disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disk, self.log = Disk(), MemoryLog()
        stream = io.TextIOWrapper(io.BufferedWriter(self.disk), encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", stream)
        workspace: Any = SimpleNamespace(log=self.log)
        self.teller = _Teller(workspace, Terminal())

    def happens(self, fact: Fact) -> None:
        self.log.append([draft_fact(fact, clock=SystemClock(), actor="ana")])
        self.teller.tell()


def test_a_full_disk_holds_up_nothing_and_is_told_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told(monkeypatch)
    told.disk.wrong = errno.ENOSPC
    told.happens(Paused(because="one"))
    told.happens(Paused(because="two"))
    assert told.disk.taken == b""
    told.disk.wrong = 0
    told.happens(Paused(because="three"))
    lines = told.disk.taken.decode().splitlines()
    assert [line.split(": ")[-1] for line in lines] == ["one", "two", "three"]


def test_a_reader_that_has_gone_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch)
    told.disk.wrong = errno.EPIPE
    with pytest.raises(BrokenPipeError):
        told.happens(Paused(because="one"))
    told.disk.wrong = 0
