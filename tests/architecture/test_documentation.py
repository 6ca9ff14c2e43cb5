"""Documentation is complete: commands, keys, metrics, links, both first pages."""

import re
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from sources import REPOSITORY

from bucle.charter.keys import all_keys
from bucle.charter.metrics import METRICS
from bucle.charter.reading import read_charter
from bucle.cli.command_line import COMMANDS

DOCS = REPOSITORY / "docs"
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
PICTURE = re.compile(r"!\[[^\]\n]*\]\(([^)\s]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_is_documented(name: str) -> None:
    page = (DOCS / "reference" / "commands.md").read_text()
    assert f"## bucle {name}\n" in page


def test_no_command_is_documented_that_does_not_exist() -> None:
    page = (DOCS / "reference" / "commands.md").read_text()
    documented = re.findall(r"^## bucle (.+)$", page, re.MULTILINE)
    assert sorted(documented) == sorted(command.name for command in COMMANDS)


@pytest.mark.parametrize(
    "name",
    [
        name
        for key in all_keys()
        for name in (key.name, *(f"{key.name}.{one}" for one in key.items))
    ],
)
def test_every_key_is_documented(name: str) -> None:
    page = (DOCS / "reference" / "bucle-toml.md").read_text()
    assert f"| `{name}` |" in page


@pytest.mark.parametrize("key", [key for key in all_keys() if key.default not in (None, (), "")])
def test_every_default_is_documented_as_it_is(key) -> None:
    page = (DOCS / "reference" / "bucle-toml.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{key.name}` |"))
    default = re.sub(r"[`\"\[\]]", "", row.split("|")[3]).strip()
    values = key.default if isinstance(key.default, tuple) else (key.default,)
    assert default == ", ".join(map(_as_written, values))


def _as_written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "reference" / "bucle-toml.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, _ = target.partition("#")
        if path and "://" not in path and not (page.parent / path).exists():
            broken.append(target)
    assert broken == []


def test_pictures_are_there_small_and_readable_in_the_dark() -> None:
    pictures = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in PICTURE.findall(page.read_text(encoding="utf-8"))
    }
    assert pictures == set((DOCS / "pictures").resolve().glob("*"))
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        assert ET.fromstring(text).tag.endswith("svg")
        assert len(text) < 60_000
        assert "prefers-color-scheme:dark" in text
        assert "<script" not in text


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(page.name[:4]) for page in (DOCS / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) >= 3


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    missing = [
        str(page.relative_to(DOCS))
        for folder in ("tutorial", "howto", "reference", "why")
        for page in sorted((DOCS / folder).glob("*.md"))
        if f"({page.relative_to(DOCS)})" not in index
    ]
    assert missing == []


def test_both_first_pages_show_the_same_commands() -> None:
    blocks = [
        re.findall(
            r"^```(?:sh|python|toml)\n.*?^```$",
            (REPOSITORY / name).read_text(),
            re.MULTILINE | re.DOTALL,
        )
        for name in ("README.md", "README.es.md")
    ]
    assert blocks[0] == blocks[1]


def test_the_changelog_has_the_version() -> None:
    import bucle

    assert f"## {bucle.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_documented(command) -> None:
    parser = ArgumentParser(add_help=False)
    getattr(import_module(command.module), command.handler).arguments(parser)
    page = (DOCS / "reference" / "commands.md").read_text()
    general, *parts = re.split(r"^## bucle ", page, flags=re.MULTILINE)
    own = next(part for part in parts if part.startswith(f"{command.name}\n"))
    options = [option for action in parser._actions for option in action.option_strings]
    assert [one for one in options if f"`{one}" not in own and f"`{one}" not in general] == []


def test_the_example_of_the_reference_is_a_charter() -> None:
    page = (DOCS / "reference" / "bucle-toml.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [read_charter(text).charter.project.name for text in examples] == ["freight"]
