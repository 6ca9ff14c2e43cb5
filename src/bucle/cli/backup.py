"""`bucle backup`: a copy of the whole project, made while it is in use."""

import shlex
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec

from bucle.cli.handler import Handler, project_folder
from bucle.cli.terminal import Terminal
from bucle.grammar import say_count
from bucle.loop.backup import back_up
from bucle.loop.workspace import find_root

__all__ = ["BACKUP"]

_MEGA = 1e6


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", help="where the copy is, or is to be; brought up to date")
    parser.add_argument(
        "--project", metavar="DIR", help="the project's folder (default: here or above)"
    )


def _back_up(options: Namespace, terminal: Terminal) -> int:
    began = time.monotonic()
    done = back_up(find_root(project_folder(options)), Path(options.folder))
    seconds = round(time.monotonic() - began, 3)
    terminal.answer({**msgspec.to_builtins(done), "folder": options.folder, "seconds": seconds})
    terminal.say(
        f"{say_count(done.events, 'event')} verified; {say_count(done.files, 'file')} copied "
        f"({done.bytes / _MEGA:.1f} MB), {done.kept} there already, in {seconds:.1f} s"
    )
    terminal.say(f"to go back: bucle restore {shlex.quote(str(options.folder))} FOLDER")
    return 0


BACKUP = Handler(_arguments, _back_up, "bucle backup ../shop-backup")
