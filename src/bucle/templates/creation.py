"""Creation of a project from a template: written whole beside its place, then moved there.

What is heavy (reading a table, simulating a store) is imported when a template needs it.
"""

import os
import re
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct, field

from bucle.charter.project_code import load_name
from bucle.charter.settings import DatasetSettings
from bucle.errors import UnknownNameError, UsageError, nearest
from bucle.templates.copies import check_files, copy_files
from bucle.templates.drafts import draft_folder
from bucle.templates.naming import check_folder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TEMPLATES", "Created", "Template", "TemplateOptions", "create_project"]

_SKIPPED = frozenset({"__pycache__", "__init__.py"})
_NAME_LINE = re.compile(r'(?m)^(\[project\]\s*\nname = )".*"$')
_SOURCE_LINE = re.compile(r"(?m)^source = .*$")
_VARIANT = re.compile(r"bucle\.(\w+)\.toml")


class Template(Struct, frozen=True, kw_only=True):
    """One kind of project: whether it needs a table, and the tasks it can be set to.

    `derived` are the columns of its contract that it makes itself.
    """

    name: str
    summary: str
    needs_data: bool = False
    takes_data: bool = True
    tasks: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


class TemplateOptions(Struct, frozen=True, kw_only=True):
    """What `bucle new` was asked for beside the name.

    `data` are files to copy in. `target`, `event_time`, `label_time`, `key` and `late` (known only
    with the label) are columns for `blank`, which reads the files as `reading` says. `task` chooses
    among a template's tasks and `seed` draws the simulated store.
    """

    data: tuple[Path, ...] = ()
    target: str | None = None
    event_time: str | None = None
    label_time: str | None = None
    key: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    task: str | None = None
    seed: int = 0
    reading: DatasetSettings = field(default_factory=DatasetSettings)


class Created(Struct, frozen=True, kw_only=True):
    """What was written: paths relative to the folder, and what its owner should know."""

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template(
            name="blank",
            summary="a project from any table: contract, baseline pipeline, charter",
            needs_data=True,
        ),
        Template(
            name="consignment",
            summary="the demo: a simulated consignment store whose best prices are known",
            takes_data=False,
        ),
        Template(
            name="scms",
            summary="freight cost and pack price from the SCMS consignment file",
            needs_data=True,
            tasks=("freight", "price"),
            derived=("event_time", "label_time", "dated_by"),
        ),
    )
}


def create_project(folder: Path, *, template: str, options: TemplateOptions) -> Created:
    """Write a new project, whole or not at all.

    Args:
        folder: Where; it must not exist or be empty. Its name becomes the project's.
        template: One of `TEMPLATES`.
        options: What the template is to be made from.

    Raises:
        UnknownNameError: There is no such template, task or column.
        UsageError: The folder cannot be one, holds something, or the options do not fit.
        SourceError: A data file cannot be used.
        OutsideError: The disk failed.
    """
    if folder == Path():
        raise UsageError(
            "Cannot make a project in the folder that you are in",
            cause="a project is moved to its place whole, and would pull the folder from under you",
            attempt=f"cd .. && bucle new {Path.cwd().name}, with the same options",
            code="bucle-186",
        )
    check_folder(folder)
    chosen = _find_template(template)
    _check_options(chosen, options)
    _check_place(folder)
    check_files(options.data)
    with draft_folder(folder) as draft:
        notes = _WRITERS[chosen.name](draft, folder.name, chosen, options)
        written = sorted(
            path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file()
        )
    return Created(folder=folder, files=tuple(written), notes=tuple(notes))


# ---- what is asked for ------------------------------------------------------


def _find_template(name: str) -> Template:
    if name not in TEMPLATES:
        raise UnknownNameError(
            f"There is no template {name!r}",
            cause="templates are " + ", ".join(TEMPLATES),
            did_you_mean=nearest(name, list(TEMPLATES)),
            code="bucle-187",
        )
    return TEMPLATES[name]


def _check_options(template: Template, options: TemplateOptions) -> None:
    if template.needs_data and not options.data:
        raise UsageError(
            f"Template {template.name!r} needs a table",
            attempt=f"bucle new NAME --template {template.name} --data FILE"
            + (" --target COLUMN" if template.name == "blank" else ""),
            code="bucle-187",
        )
    if options.data and not template.takes_data:
        raise UsageError(
            f"Template {template.name!r} makes its own data and takes no file",
            attempt="bucle new NAME --template blank --data FILE --target COLUMN",
            code="bucle-187",
        )
    if options.seed < 0:
        raise UsageError(
            f"Cannot simulate a store with seed {options.seed}: seeds count from 0",
            attempt="bucle new NAME --template consignment --seed 1",
            code="bucle-187",
        )
    columns = {
        "--target": options.target,
        "--event-time": options.event_time,
        "--label-time": options.label_time,
        "--key": options.key,
        "--late": options.late,
    }
    given = [option for option, value in columns.items() if value]
    if given and template.name != "blank":
        raise UsageError(
            f"Template {template.name!r} knows its columns: {given[0]} is for 'blank'",
            attempt="bucle new NAME --template blank --data FILE --target COLUMN",
            code="bucle-187",
        )
    if template.name == "blank" and not options.target:
        raise UsageError(
            "Template 'blank' needs to know which column to predict",
            attempt="bucle new NAME --template blank --data FILE --target COLUMN",
            code="bucle-187",
        )
    if options.task is not None and options.task not in template.tasks:
        raise UnknownNameError(
            f"Template {template.name!r} has no task {options.task!r}",
            cause=f"tasks are {', '.join(template.tasks)}" if template.tasks else "it has one only",
            did_you_mean=nearest(options.task, template.tasks),
            code="bucle-187",
        )


def _check_place(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()) and not folder.is_symlink():
        return
    if os.path.lexists(folder):
        held = "it is not empty" if folder.is_dir() else "it is no folder"
        raise UsageError(
            f"Cannot make a project in {str(folder)!r}: {held}",
            attempt="another name, or remove what is there",
            code="bucle-186",
        )
    if not folder.parent.is_dir():
        raise UsageError(
            f"Cannot make a project in {str(folder)!r}: its parent folder is not there",
            attempt=f"mkdir -p {folder.parent}",
            code="bucle-186",
        )


# ---- writing ----------------------------------------------------------------


def _write_template(draft: Path, name: str, template: Template, options: TemplateOptions) -> None:
    """Copy a template's files, name the project and choose its task."""
    _copy_tree(files("bucle.templates") / template.name, draft)
    task = options.task or next(iter(template.tasks), None)
    for variant in draft.glob("bucle.*.toml"):
        found = _VARIANT.fullmatch(variant.name)
        if found and found[1] == task:
            variant.replace(draft / "bucle.toml")
        else:
            variant.unlink()
    charter = draft / "bucle.toml"
    text = charter.read_text(encoding="utf-8")
    charter.write_text(
        _NAME_LINE.sub(lambda found: f'{found[1]}"{name}"', text, count=1), encoding="utf-8"
    )


def _copy_tree(source: Traversable, target: Path) -> None:
    for entry in sorted(source.iterdir(), key=lambda entry: entry.name):
        if entry.name in _SKIPPED:
            continue
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy_tree(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())


def _write_consignment(
    draft: Path, name: str, template: Template, options: TemplateOptions
) -> list[str]:
    _write_template(draft, name, template, options)
    write = cast("Callable[..., Any]", load_name(draft, "history.py:write_history"))
    write(draft, seed=options.seed)
    return [
        f"simulated 144 weeks of a store with seed {options.seed}; its truth is in truth/",
        "about 2 % of the lines have a slip of the pen, for the contract to find",
    ]


def _write_from_file(
    draft: Path, name: str, template: Template, options: TemplateOptions
) -> list[str]:
    from bucle.templates.fitting import check_columns  # noqa: PLC0415  (reads tables: heavy)

    _write_template(draft, name, template, options)
    copied = copy_files(options.data, folder=draft / "data")
    charter = draft / "bucle.toml"
    sources = ", ".join(f'"data/{file}"' for file in copied)
    text = _SOURCE_LINE.sub(
        lambda _: f"source = [{sources}]", charter.read_text(encoding="utf-8"), count=1
    )
    charter.write_text(text, encoding="utf-8")
    check_columns(draft, template=template.name, copied=copied, derived=template.derived)
    return [f"copied {file} to data/" for file in copied]


def _write_blank(draft: Path, name: str, template: Template, options: TemplateOptions) -> list[str]:
    from bucle.templates.drafting import write_draft  # noqa: PLC0415  (reads tables: heavy)

    _copy_tree(files("bucle.templates") / template.name, draft)
    copied = copy_files(options.data, folder=draft / "data")
    return write_draft(draft, name=name, options=options, copied=copied)


_WRITERS = {
    "blank": _write_blank,
    "consignment": _write_consignment,
    "scms": _write_from_file,
}
