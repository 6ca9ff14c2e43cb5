"""What a command group gives to the entry point: its arguments, its call and an example."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bucle.cli.terminal import Terminal
from bucle.clock import from_iso
from bucle.errors import UsageError

__all__ = ["Handler", "asked_moment", "project_arguments", "project_folder"]


class Handler(NamedTuple):
    """One command: add its arguments, then call it; the call returns the exit code."""

    arguments: Callable[[ArgumentParser], None]
    call: Callable[[Namespace, Terminal], int]
    example: str


def project_arguments(parser: ArgumentParser) -> None:
    """Add what every command on a project takes."""
    parser.add_argument(
        "--project", metavar="DIR", help="the project's folder (default: here or above)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a key of bucle.toml or a step's parameter for this command",
    )


def project_folder(options: Namespace) -> Path | None:
    """Return the folder that was asked for, None to look for it."""
    return Path(options.project) if options.project else None


def asked_moment(text: str | None, *, command: str) -> datetime | None:
    """Return the moment of `--as-of`, None without it; a day means its beginning.

    Raises:
        UsageError: It is none.
    """
    if text is None:
        return None
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"Cannot read the moment {text!r}",
            cause="a moment is written 2026-01-31 or 2026-01-31T12:00+01:00",
            attempt=f"{command} --as-of 2026-01-31",
        ) from error
