"""Every command that a message or a page tells to type is one that the command line takes."""

import ast
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest
from sources import PACKAGE, REPOSITORY

from bucle.cli.command_line import COMMANDS

NAMES = {command.name: command for command in COMMANDS}
GROUPS = {name.split()[0] for name in NAMES}
PAGES = [*sorted(REPOSITORY.glob("README*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
BEGIN = re.compile(
    rf"(?:(\w+) )?(?<![\w./-])bucle (?={'|'.join(map(re.escape, sorted(GROUPS)))})\b"
)
# A command ends where words go on about it, or where the next one begins.
END = re.compile(
    r"[,;:] |[,;:.]?$|[`\n)]| && | > | \| | {2,}|[ .,](?:and|or) "
    r"| (?:alone|for|has|in another|leave|shows|tells)\b"
)
MENTIONED = {"by", "first", "for", "of", "that"}
"""Words before the name of a command that is spoken of and not to be typed."""
PLACES = {"--{name}": "--rows", "bucle replay {option}": "bucle replay --from"}
"""What stands for an option that a message takes from elsewhere."""


class Parser(ArgumentParser):
    """Takes words as the command line does, and says what is wrong with them."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        self.add_argument("--json", action="store_true")
        self.add_argument("--help", action="store_true")

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def why_not(call: str) -> str:
    """Say what is wrong with a call; empty where it can be typed."""
    words = shlex.split(call)[1:]
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in NAMES), "")
    if not name:
        return "there is no such command"
    command, parser = NAMES[name], Parser()
    getattr(import_module(command.module), command.handler).arguments(parser)
    try:
        parser.parse_args(words[len(name.split()) :])
    except ValueError as error:
        return str(error)
    return ""


def calls_in(text: str) -> Iterator[str]:
    """Return the commands that a text tells to type."""
    for found in BEGIN.finditer(text):
        begin = found.start() + text[found.start() :].index("bucle ")
        if found[1] not in MENTIONED:
            end = END.search(_without_quoted(text), begin)
            yield text[begin : end.start() if end else None]


def _without_quoted(text: str) -> str:
    """Return a text of the same length in which nothing quoted looks like the end of a command."""
    return re.sub(r"\"[^\"\n]*\"|'[^'\n]*'", lambda one: "x" * len(one[0]), text)


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Return the texts of a module that are no documentation, with 1 for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(part)
        for node in ast.walk(tree)
        for part in ([node.value] if isinstance(node, ast.Expr) else _inside(node))
    }
    for node in ast.walk(tree):
        if id(node) not in skipped and isinstance(node, ast.JoinedStr | ast.Constant):
            text = _shown(node)
            for place, filled in PLACES.items():
                text = text.replace(place, filled)
            yield node.lineno, re.sub(r"\{\w[^{}\n]*\}", "1", text)


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr):
        for value in node.values:
            # What is filled in may hold texts of its own, which are told as parts of this one.
            yield value
            if isinstance(value, ast.FormattedValue):
                yield from ast.walk(value.value)


def _shown(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"{{{_name(part)}}}"
        for part in node.values
    )


def _name(part: ast.expr) -> str:
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return value.id if isinstance(value, ast.Name) else "filled"


PRINTED = sorted(
    {
        (f"{path.relative_to(PACKAGE)}:{line}", call)
        for path in PACKAGE.rglob("*.py")
        for line, text in texts_of(path)
        for call in calls_in(text)
    }
)
TOLD = sorted(
    {
        (str(page.relative_to(REPOSITORY)), call)
        for page in PAGES
        for block in re.findall(
            r"^```(?:console|sh)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
        )
        for line in block.replace("\\\n", " ").splitlines()
        if re.match(r"(\$ )?bucle ", line)
        for call in calls_in(line.partition(" #")[0])
    }
)


@pytest.mark.parametrize(("where", "call"), PRINTED)
def test_a_command_that_is_printed_can_be_typed(where: str, call: str) -> None:
    assert why_not(call) == "", f"{where} prints {call!r}"


@pytest.mark.parametrize(("where", "call"), TOLD)
def test_a_command_of_the_documentation_can_be_typed(where: str, call: str) -> None:
    assert why_not(call) == "", f"{where} tells to type {call!r}"


def test_commands_are_found_where_they_stand() -> None:
    assert len(PRINTED) > 100
    assert len(TOLD) > 50
    text = (
        "it waits for it: bucle approve m-1 --as it; see bucle status, and bucle run or bucle up."
    )
    assert list(calls_in(text)) == [
        "bucle approve m-1 --as it",
        "bucle status",
        "bucle run",
        "bucle up",
    ]
    assert list(calls_in("a folder that bucle backup has written")) == []
    assert list(calls_in('bucle rollback --because "odd, so odd"')) == [
        'bucle rollback --because "odd, so odd"'
    ]


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("bucle approve m-1 --as business", "--because"),
        ("bucle promote m-1 --becaus x", "unrecognized"),
        ("bucle data", "no such command"),
    ],
)
def test_a_command_that_cannot_be_typed_is_found(call: str, wrong: str) -> None:
    assert wrong in why_not(call)
