"""`bucle restore`: a project made of its backup, every digest compared on the way."""

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec

from bucle.cli.handler import Handler
from bucle.cli.terminal import Terminal
from bucle.grammar import say_count
from bucle.loop.restore import restore

__all__ = ["RESTORE"]

_MEGA = 1e6
_SHOWN = 10


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("backup", help="a folder that bucle backup has written")
    parser.add_argument("folder", help="where the project is to be; nothing may stand there")


def _restore(options: Namespace, terminal: Terminal) -> int:
    began = time.monotonic()
    done = restore(Path(options.backup), Path(options.folder))
    seconds = round(time.monotonic() - began, 3)
    terminal.answer({**msgspec.to_builtins(done), "folder": options.folder, "seconds": seconds})
    terminal.say(
        f"{say_count(done.events, 'event')} verified; {say_count(done.files, 'file')} put back "
        f"({done.bytes / _MEGA:.1f} MB), {done.checked:,} of them compared with their digests, "
        f"in {seconds:.1f} s"
    )
    for name in done.damaged[:_SHOWN]:
        terminal.say(f"damaged in the backup: {name}")
    if len(done.damaged) > _SHOWN:
        terminal.say(f"… and {len(done.damaged) - _SHOWN:,} more (--json names them all)")
    if done.damaged:
        terminal.say("whatever needs a damaged file will refuse it and say so")
    return 1 if done.damaged else 0


RESTORE = Handler(_arguments, _restore, "bucle restore ../shop-backup ../shop")
