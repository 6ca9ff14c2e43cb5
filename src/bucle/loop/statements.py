"""What days were judged at, kept beside the project's state, so that a change of it can be seen.

What is kept here can be lost: days are then judged as if for the first time. Imports nothing heavy.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from bucle.errors import BucleError
from bucle.ids import canonical_json, digest_json
from bucle.loop.workspace import Workspace
from bucle.store.files import write_whole
from bucle.store.locks import exclusive
from bucle.watch.restatement import Restatement, Statement, restate, state_again

__all__ = ["restated_days", "watch_folder"]

_FILE = "judged.json"


class _Kept(Struct, frozen=True, kw_only=True):
    digest: str
    days: dict[str, tuple[Statement, ...]]


def watch_folder(workspace: Workspace, model: str) -> Path:
    """Return where is kept what was seen of a model."""
    return workspace.home / "watch" / model


def restated_days(
    workspace: Workspace, model: str, days: Mapping[str, Statement]
) -> tuple[Restatement, ...]:
    """Keep what days are judged at now, and return those that were judged otherwise before.

    Where nothing can be kept, on a full disk or one that may only be read, nothing is restated.
    """
    path = watch_folder(workspace, model) / _FILE
    known = _read(path)
    if not days and not known:
        return ()
    said = state_again(known, days)
    if said != known:
        try:
            with exclusive(path.with_name(".judged.lock")):
                # Another look may have kept something meanwhile.
                said = state_again(_read(path), days)
                write_whole(path, _bytes(said))
        except (BucleError, OSError):
            pass
    return restate(said)


def _read(path: Path) -> dict[str, tuple[Statement, ...]]:
    """Return what was kept; nothing where it is missing or not what was written."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    if digest_json(msgspec.to_builtins(kept.days)) != kept.digest:
        return {}
    return {day: tuple(said) for day, said in kept.days.items()}


def _bytes(days: dict[str, tuple[Statement, ...]]) -> bytes:
    plain = msgspec.to_builtins(days)
    return canonical_json({"digest": digest_json(plain), "days": plain})
