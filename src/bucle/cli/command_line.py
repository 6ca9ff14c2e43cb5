"""The command line: find the command, parse its words, translate errors to exit codes.

Exit codes: 0 done; 1 done, and the answer is no; 2 the request or the configuration is wrong;
3 an outside part failed; 130 stopped by Ctrl-C. Nothing heavy is imported for `--help`.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from typing import NoReturn

import bucle
from bucle.cli.commands import COMMANDS, Command
from bucle.cli.terminal import Terminal, columns
from bucle.errors import BucleError, UsageError, nearest

__all__ = ["COMMANDS", "main"]

_STOPPED = 130
_OUTSIDE_FAILED = 3


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose mistakes are Bucle's errors."""

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002
        # Help names files and figures in words that not every terminal can show.
        Terminal().say(message.rstrip("\n"))

    def error(self, message: str) -> NoReturn:
        known = [option for action in self._actions for option in action.option_strings]
        wrong = message.rpartition("unrecognized arguments: ")[2].split(" ")[0].split("=")[0]
        raise UsageError(
            f"Cannot read the command line: {message}",
            did_you_mean=nearest(wrong, known) if "unrecognized" in message else (),
            attempt=f"{self.prog} --help",
        )


def main(arguments: Sequence[str], *, begin: Callable[[], object] = lambda: None) -> int:
    """Run one command and return its exit code; prints, never raises for a user's mistake.

    Args:
        arguments: The words after `bucle`.
        begin: Called when they are understood and the command begins.
    """
    words = list(arguments)
    terminal = Terminal(json="--json" in words[: words.index("--") if "--" in words else None])
    # What a project's own code prints must not get into the one document.
    with redirect_stdout(sys.stderr) if terminal.json else nullcontext():
        return _answer(words, terminal, begin)


def _answer(words: list[str], terminal: Terminal, begin: Callable[[], object]) -> int:
    try:
        return _dispatch(words, terminal, begin)
    except BucleError as error:
        terminal.answer(error.as_json())
        terminal.warn(error.render())
        return error.exit_code
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        terminal.answer({"error": "stopped by Ctrl-C; what had finished is kept"})
        terminal.warn("Stopped. What had finished is kept.")
        return _STOPPED
    except OSError as error:
        named = f": {error.filename}" if error.filename else ""
        failed = BucleError(
            f"The machine refused: {error.strerror or error}{named}",
            attempt="see that the disk has room and the folder may be written",
            code="bucle-320",
        )
        terminal.answer(failed.as_json())
        terminal.warn(failed.render())
        return _OUTSIDE_FAILED


def _dispatch(words: list[str], terminal: Terminal, begin: Callable[[], object]) -> int:
    first = next((word for word in words if word != "--json"), "--help")
    if first in {"-h", "--help", "help"}:
        terminal.answer([{"command": one.name, "summary": one.summary} for one in COMMANDS])
        terminal.say(_overview())
        return 0
    group = [one for one in COMMANDS if one.name.startswith(f"{first} ")]
    is_command = any(one.name == first for one in COMMANDS)
    if group and not is_command and words[1:] in (["-h"], ["--help"]):
        terminal.say("\n".join(columns([[f"bucle {one.name}", one.summary] for one in group])))
        return 0
    if first in {"-V", "--version"}:
        terminal.answer({"version": bucle.__version__})
        terminal.say(f"bucle {bucle.__version__}")
        return 0
    command, rest = _find(words)
    handler = getattr(import_module(command.module), command.handler)
    parser = _Parser(
        prog=f"bucle {command.name}",
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog=f"example:\n  {handler.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    handler.arguments(parser)
    try:
        options = parser.parse_args(rest)
    except SystemExit:
        return 0
    begin()
    code: int = handler.call(options, terminal)
    return code


def _find(words: list[str]) -> tuple[Command, list[str]]:
    """Return the command that words begin with, and the words that are left for it."""
    by_name = {command.name: command for command in COMMANDS}
    flags = [word for word in words[:2] if word == "--json"]
    named = [word for word in words if word != "--json"] if flags else words
    for length in (2, 1):
        found = by_name.get(" ".join(named[:length]))
        if found and len(named) >= length:
            return found, named[length:] + flags
    group = [command for command in COMMANDS if command.name.startswith(f"{named[0]} ")]
    if group:
        wanted = " ".join(named[:2])
        raise UsageError(
            f"There is no command {wanted!r}"
            if len(named) > 1 and not named[1].startswith("-")
            else f"The command {named[0]!r} needs a second word",
            cause="it has: " + ", ".join(command.name for command in group),
            did_you_mean=nearest(wanted, [command.name for command in group]),
            attempt=f"bucle {group[0].name} --help",
        )
    raise UsageError(
        f"There is no command {named[0]!r}",
        did_you_mean=nearest(named[0], sorted({*by_name, *(name.split()[0] for name in by_name)})),
        attempt="bucle --help",
    )


def _overview() -> str:
    lines = [
        "Bucle: the machine-learning life cycle as one closed loop.",
        "",
        "usage: bucle COMMAND [options]",
        "",
        *columns([["  " + command.name, command.summary] for command in COMMANDS]),
        "",
        "Every command takes --json and --help.",
        "",
        "example:",
        "  bucle new shop --template consignment && cd shop && bucle run",
    ]
    return "\n".join(lines)
