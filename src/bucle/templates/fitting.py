"""Whether the files given to a template are the ones that it was written for.

Reads the files and the template's contract, so it is heavy to import.
"""

from collections.abc import Sequence
from pathlib import Path

from bucle.charter.reading import load_charter
from bucle.data.contract import load_contract
from bucle.data.sources import read_source
from bucle.errors import SourceError, nearest

__all__ = ["check_columns"]

_SHOWN = 12


def check_columns(
    draft: Path, *, template: str, copied: Sequence[str], derived: Sequence[str]
) -> None:
    """Refuse files that lack a column of the template's contract.

    Args:
        draft: The project's folder, with its charter, its contract and `data/` in it.
        template: The template's name.
        copied: Names of the files in `data/`.
        derived: Columns of the contract that the template makes itself.

    Raises:
        SourceError: A column is missing (bucle-188), or a file cannot be read.
    """
    charter = load_charter(draft, environ={}).charter
    # Errors name the files alone: the draft's folder goes away.
    folder = draft.absolute() / "data"
    for settings in charter.data.values():
        if settings.contract is None:
            continue
        wanted = load_contract(draft, reference=settings.contract).columns()
        found = read_source([folder / file for file in copied], settings, root=folder).frame.columns
        missing = [name for name in wanted if name not in {*found, *derived}]
        if missing:
            raise SourceError(
                f"Cannot use {', '.join(copied)} for template {template!r}: it lacks "
                f"{len(missing)} of {len(wanted) - len(derived)} columns: {_shown(missing)}",
                cause=f"its columns are {_shown(found)}",
                did_you_mean=nearest(missing[0], found),
                attempt="bucle new NAME --template blank --data FILE --target COLUMN",
                code="bucle-188",
            )


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name[:40]) for name in names[:_SHOWN]) + more
