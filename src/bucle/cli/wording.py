"""Values in plain words, where several commands say the same."""

import re

from bucle.cli.terminal import Terminal
from bucle.grammar import say_count
from bucle.types import Coercion

__all__ = ["tell_coercion", "tell_policy"]

# A `/` before a digit is a step of a cron expression and joins no two triggers.
_BETWEEN = re.compile(r"(?<=/)(?!\d)|(?<= )")


def tell_coercion(coercion: Coercion) -> str:
    """Say what was turned into what, with examples.

    Example:
        >>> tell_coercion(Coercion(column="price", count=2, examples=("N/A",)))
        "price: 2 values became null, such as 'N/A'"
    """
    shown = ", ".join(repr(example) for example in coercion.examples[:3])
    values = say_count(coercion.count, "value")
    return f"{coercion.column}: {values} became {coercion.became}, such as {shown}"


def tell_policy(terminal: Terminal, name: str, *, indent: str) -> None:
    """Say which policy is followed, folded between its triggers where it is long."""
    line = ""
    for part in _BETWEEN.split(name):
        if line and len(indent + line + part.rstrip()) > terminal.width:
            terminal.say((indent + line).rstrip())
            indent, line = " " * len(indent), ""
        line += part
    terminal.say(indent + line)
