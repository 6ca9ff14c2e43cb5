"""A copy of a whole project, made while it serves and learns; copied back, it goes on from there.

The log is copied before all that its events speak of, and put in place last: whatever an event
speaks of was there before the event, so a copy holds at least all that its log speaks of. Must not
import anything heavy.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bucle.errors import LogDamagedError, RequestError
from bucle.loop.workspace import STATE_FOLDER
from bucle.serve.segments import Segment, segment_path, segments_in
from bucle.store.copies import (
    Copied,
    copy_database,
    copy_file,
    copy_table,
    copy_tree,
    is_database,
    is_same,
)
from bucle.store.files import TEMPORARY_SUFFIX, translated_errors, write_whole
from bucle.store.locks import exclusive
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Head

__all__ = ["BackedUp", "Note", "back_up", "read_note"]

_NOTE = "backup.json"
_SEGMENTS = Path("serve") / "log"
_STAGED = ".staged"
_STATES = ("open", "done", "damaged")
# What is copied in its own way, and what means nothing in another place or time.
_APART = {"blobs", "locks", "packages", "tables"}
_PASSING = ("server-*.json", "counts-*.json", "*.lock", "log.db*", "log.head", _NOTE)
_BESIDE = ("-wal", "-shm", "-journal")
_MOST_LISTINGS = 10


class BackedUp(Struct, frozen=True, kw_only=True):
    """What a backup holds: the log up to `events`, and how much had to be copied for it."""

    events: int
    head: str
    files: int
    bytes: int
    kept: int


class Note(Struct, frozen=True, kw_only=True):
    """What stands in a backup's own file; `complete` once there is something to go back to."""

    complete: bool
    events: int = 0
    head: str = ""


def back_up(root: Path, target: Path, *, durable: bool = True) -> BackedUp:
    """Copy a project to a folder, or bring an earlier copy there up to date.

    Readers and writers of the project go on. Killed anywhere, the folder holds the copy it held
    before. Everything that was acknowledged when this began is in it.

    Args:
        root: The project's folder.
        target: The folder of the copy.
        durable: Wait until the disk has all of it before the new log takes its place.

    Raises:
        RequestError: The folder is within the project, or is not empty and no backup of it.
        LogDamagedError: The project's log is damaged; the copy is left as it was.
        OutsideError: The disk is full or cannot be written.
    """
    root, target = root.resolve(), target.absolute()
    home, copy = root / STATE_FOLDER, target / STATE_FOLDER
    _refuse_folder(root, target)
    with translated_errors("write", copy):
        copy.mkdir(parents=True, exist_ok=True)
    with exclusive(copy / "backup.lock", wait_s=0.0):
        if read_note(copy) is None:
            _write_note(copy, Note(complete=False))
        draft = copy / f".log.{secrets.token_hex(4)}.db"
        staged = copy / _STAGED
        shutil.rmtree(staged, ignore_errors=True)
        try:
            # What says how far the log has been dealt with must not be ahead of the log.
            done = _copied_rest(home, copy, home=home, staged=staged / "rest")
            head = _copied_log(home / "log.db", draft, before=copy / "log.db")
            done += _copied_content(home, copy, staged=staged / "segments")
            done += _copied_rest(root, target, home=home)
            if durable:
                os.sync()
            _put_rest(staged / "rest", copy)
            _put_log(draft, copy / "log.db")
        finally:
            shutil.rmtree(staged, ignore_errors=True)
            for path in copy.glob(f"{draft.stem}*"):
                path.unlink(missing_ok=True)
        _write_note(copy, Note(complete=True, events=head.position, head=head.hash))
    return BackedUp(
        events=head.position,
        head=head.hash,
        files=done.files,
        bytes=done.bytes,
        kept=done.kept,
    )


def _refuse_folder(root: Path, target: Path) -> None:
    """Refuse a folder that must not be written to."""
    inside = target.resolve()
    if inside == root or root in inside.parents or inside in root.parents:
        raise RequestError(
            f"Cannot back up to {str(target)!r}",
            cause="a backup must not lie within the project, nor the project within it",
            attempt=f"bucle backup {str(root.with_name(root.name + '-backup'))!r}",
            code="bucle-413",
        )
    is_empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not is_empty and read_note(target / STATE_FOLDER) is None:
        raise RequestError(
            f"Cannot back up to {str(target)!r}",
            cause="it is there, and it is no backup that this command has made",
            attempt=f"bucle backup {str(target / root.name)!r}",
            code="bucle-413",
        )


def read_note(copy: Path) -> Note | None:
    """Return what a backup's state folder says of it; None for what is no backup."""
    try:
        return msgspec.json.decode((copy / _NOTE).read_bytes(), type=Note)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_note(copy: Path, note: Note) -> None:
    write_whole(copy / _NOTE, msgspec.json.encode(note), durable=True)


def _copied_log(path: Path, draft: Path, *, before: Path) -> Head:
    """Copy the log to a file of its own, check the whole chain, and that it goes on from before."""
    with translated_errors("write", draft):
        SqliteLog(path).copy_to(draft)
    log, older = SqliteLog(draft), SqliteLog(before)
    found = log.verify()
    if not found.intact:
        raise LogDamagedError(position=found.damaged or 1, cause=found.reason, doing="back up")
    last = older.head()
    here = next(iter(log.read(after=last.position - 1)), None) if last.position else None
    if last.position and (here is None or here.hash != last.hash):
        raise RequestError(
            f"Cannot bring the backup {str(before.parents[1])!r} up to date",
            cause=f"its event {last.position} is not event {last.position} of this project",
            attempt="bucle backup FOLDER, with another one",
            code="bucle-414",
        )
    log.close()
    older.close()
    return Head(found.events, found.head)


def _put_log(draft: Path, path: Path) -> None:
    """Put a checked log in the place of an older one."""
    with translated_errors("write", path):
        # A write-ahead file of the old one would be played into the new one.
        for suffix in _BESIDE:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for suffix in (".db", ".head"):
            with contextlib.suppress(FileNotFoundError):
                draft.with_suffix(suffix).replace(path.with_suffix(suffix))


def _copied_content(home: Path, copy: Path, *, staged: Path) -> Copied:
    """Copy what events speak of, in the order in which one speaks of another."""
    # A file of the prediction log is removed once its rows are in a table, so files are copied
    # first, and put in place last: a row that is in both is known by the marks of the table.
    done = _copied_segments(home / _SEGMENTS, copy / _SEGMENTS, staged=staged)
    # What the copy has and the project no longer had before its tables were copied is in them.
    copied = segments_in(copy / _SEGMENTS)
    delivered = [one for one in copied if not _stands(home / _SEGMENTS, one)]
    tables = home / "tables"
    for folder in sorted(tables.iterdir()) if tables.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith("."):
            done += copy_table(folder, copy / "tables" / folder.name)
    _put_segments(staged, copy / _SEGMENTS, delivered=delivered)
    for name in ("blobs", "packages"):
        done += copy_tree(home / name, copy / name)
    return done


def _copied_rest(folder: Path, target: Path, *, home: Path, staged: Path | None = None) -> Copied:
    """Copy what has no way of copying of its own, to its place or to a place apart."""
    done = Copied()
    for path in _rest(folder, home):
        name = path.relative_to(folder)
        place = (staged or target) / name
        with contextlib.suppress(FileNotFoundError):
            if not path.is_symlink() and is_database(path):
                done += copy_database(path, place)
            elif path.name.endswith(_BESIDE) and is_database(_owner(path)):
                continue
            elif is_same(path, target / name):
                done += Copied(kept=1)
            else:
                done += copy_file(path, place)
    return done


def _put_rest(staged: Path, target: Path) -> None:
    """Put in place what was copied to a place apart."""
    for path in sorted(staged.rglob("*")):
        if path.is_symlink() or path.is_file():
            place = target / path.relative_to(staged)
            with translated_errors("write", place):
                place.parent.mkdir(parents=True, exist_ok=True)
                for suffix in _BESIDE:
                    place.with_name(place.name + suffix).unlink(missing_ok=True)
                path.replace(place)


def _copied_segments(folder: Path, target: Path, *, staged: Path) -> Copied:
    """Copy the files of the prediction log to a place apart, whatever is begun meanwhile."""
    done, seen = Copied(), set[Segment]()
    # A file that is renamed while a folder is listed may be in neither list.
    for _ in range(_MOST_LISTINGS):
        fresh = set(segments_in(folder)) - seen
        if seen and not fresh:
            break
        for segment in sorted(fresh):
            path = segment_path(folder, segment)
            with contextlib.suppress(FileNotFoundError):
                if is_same(path, segment_path(target, segment)):
                    done += Copied(kept=1)
                else:
                    done += copy_file(path, segment_path(staged, segment))
        seen |= fresh
    return done


def _put_segments(staged: Path, target: Path, *, delivered: Sequence[Segment]) -> None:
    """Put copied files of the prediction log in place, and remove those that are in a table now."""
    with translated_errors("write", target):
        target.mkdir(parents=True, exist_ok=True)
        # In order of their numbers: whatever is not in place yet comes after what is.
        listed = segments_in(staged)
        ended = {segment.stem for segment in listed if segment.state != "open"}
        for segment in listed:
            if segment.state == "open" and segment.stem in ended:
                continue  # It was finished between two listings.
            segment_path(staged, segment).replace(segment_path(target, segment))
            if segment.state != "open":
                begun = msgspec.structs.replace(segment, state="open")
                segment_path(target, begun).unlink(missing_ok=True)
        for segment in delivered:
            segment_path(target, segment).unlink(missing_ok=True)


def _stands(folder: Path, segment: Segment) -> bool:
    """Tell whether a segment is still there, whatever its state; asks in the order of renaming."""
    states = (msgspec.structs.replace(segment, state=state) for state in _STATES)
    return any(segment_path(folder, one).exists() for one in states)


def _rest(folder: Path, home: Path) -> Iterator[Path]:
    """Yield files of the project but its state, or of its state, as the folder is."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if here == home.parent:
            folders[:] = [name for name in folders if name != home.name]
        if here == home:
            folders[:] = [name for name in folders if name not in _APART]
        if here == home / _SEGMENTS.parent:
            folders[:] = [name for name in folders if name != _SEGMENTS.name]
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not _is_made(here / name))
        is_state = home in {here, *here.parents}
        for name in sorted([*names, *links]):
            passing = is_state and any(Path(name).match(pattern) for pattern in _PASSING)
            is_plain = (here / name).is_symlink() or (here / name).is_file()
            if is_plain and not passing and not name.endswith(TEMPORARY_SUFFIX):
                yield here / name


def _is_made(folder: Path) -> bool:
    """Tell what is made anew wherever the project is: compiled code and environments."""
    return folder.name == "__pycache__" or (folder / "pyvenv.cfg").exists()


def _owner(path: Path) -> Path:
    """Return the file that a file of SQLite stands beside."""
    return path.with_name(path.name.rpartition("-")[0])
