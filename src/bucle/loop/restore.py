"""A backup put back in the place of a project: copied, and each file compared with its digest.

The project appears whole under its name or not at all. Must not import anything heavy.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from bucle.errors import LogDamagedError, RequestError
from bucle.loop.backup import read_note
from bucle.loop.workspace import STATE_FOLDER
from bucle.models.package_files import is_whole
from bucle.store.files import TEMPORARY_SUFFIX, translated_errors
from bucle.store.hashed_copies import copy_hashed
from bucle.store.locks import exclusive
from bucle.store.sqlite_log import SqliteLog
from bucle.store.table_digests import all_digests
from bucle.types import Verification

__all__ = ["Restored", "restore"]

_THREADS = 4
_STAGED = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(TEMPORARY_SUFFIX)}")
# What is of the backup itself, or is made anew by whoever opens a log.
_OWN = ("backup.json", "backup.lock", "log.db-shm")
_OWN_BEGINS = (".log.", ".staged")


class Restored(Struct, frozen=True, kw_only=True):
    """What came back: the log up to `events`, and how many files.

    `checked` counts files that were compared with a digest, `damaged` names those that are not
    what was once written.
    """

    events: int
    head: str
    files: int
    bytes: int
    checked: int
    damaged: tuple[str, ...]


def restore(copy: Path, target: Path, *, durable: bool = True) -> Restored:
    """Make a project of a backup, in a new place; the backup stays as it is.

    Every event is verified, and every file whose digest is known: content, tables, packages. A
    file that is damaged is put back as it is and named: whoever reads it will refuse it.

    Args:
        copy: The folder of the backup.
        target: Where the project is to be; nothing may stand there.
        durable: Wait until the disk has all of it.

    Raises:
        RequestError: The folder holds no backup that came to its end, or the place is taken.
        LogDamagedError: The backup's log is damaged or its end is missing; nothing was written.
        OutsideError: The disk is full, or the backup cannot be read.
    """
    copy, target = copy.resolve(), target.absolute()
    home = copy / STATE_FOLDER
    _refuse(copy, target)
    with _left_alone(home), translated_errors("write", target), _staged(target) as staged:
        done = _copied(copy, staged)
        if durable:
            os.sync()
        staged.rename(target)
    return done


@contextlib.contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Yield a new folder beside a place, locked as long as this process lives.

    What killed processes left beside it, of this or of another place, is taken away.
    """
    folder = target.parent
    staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        # One at a time, so that nobody finds a folder that is not locked yet.
        with _locked(folder, wait=True):
            for left in folder.glob(f".*{TEMPORARY_SUFFIX}"):
                if _STAGED.fullmatch(left.name) and not left.is_symlink() and left.is_dir():
                    _sweep(left)
            staged.mkdir()
            held.enter_context(_locked(staged, wait=True))
        held.callback(shutil.rmtree, staged, ignore_errors=True)
        yield staged


def _sweep(left: Path) -> None:
    """Take a folder away whose process has ended."""
    with contextlib.suppress(OSError), _locked(left, wait=False):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold the kernel's lock on a folder; it ends with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _refuse(copy: Path, target: Path) -> None:
    """Refuse what is no whole backup, and a place where something stands."""
    note = read_note(copy / STATE_FOLDER)
    if note is None or not note.complete:
        raise RequestError(
            f"Cannot go back to {str(copy)!r}",
            cause="it is no folder that bucle backup has written"
            if note is None
            else "the first bucle backup to it has not come to its end",
            attempt="ls -d */.bucle/backup.json",
            code="bucle-418",
        )
    inside = target.resolve()
    if inside == copy or copy in inside.parents or inside in copy.parents:
        cause = "a project must not lie within its backup, nor the backup within it"
    elif target.is_symlink() or (target.exists() and not _is_empty(target)):
        cause = "something stands there, and nothing is replaced"
    else:
        return
    raise RequestError(
        f"Cannot put a project at {str(target)!r}",
        cause=cause,
        attempt=f"mv {target} {target}.broken, once nothing runs in it any more",
        code="bucle-419",
    )


def _is_empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())


@contextlib.contextmanager
def _left_alone(home: Path) -> Iterator[None]:
    """Keep others from bringing the backup up to date meanwhile."""
    # Where nothing can be written, nobody else writes either.
    if not os.access(home, os.W_OK):
        yield
        return
    with exclusive(home / "backup.lock", wait_s=0.0):
        yield


def _copied(copy: Path, staged: Path) -> Restored:
    """Copy everything in several threads, the largest first, and verify the log beside them."""
    found = sorted(_files(copy), key=lambda path: -path.lstat().st_size)
    for folder in {staged / path.relative_to(copy).parent for path in found}:
        folder.mkdir(parents=True, exist_ok=True)
    plain = [path for path in found if not path.is_symlink()]
    for link in set(found) - set(plain):
        shutil.copyfile(link, staged / link.relative_to(copy), follow_symlinks=False)
    with ThreadPoolExecutor(_THREADS) as threads:
        copies = {
            path.relative_to(copy): threads.submit(
                copy_hashed, path, staged / path.relative_to(copy)
            )
            for path in plain
        }
        try:
            state = Path(STATE_FOLDER)
            for name in (name for name in copies if name.match(f"{state}/log.*")):
                copies[name].result()
            verified = _verified(staged / state / "log.db", copy / state)
            digests = {name: one.result() for name, one in copies.items()}
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    wanted = {name: digest for name, digest in _known(copy).items() if name in digests}
    damaged = {str(name) for name, digest in wanted.items() if digests[name] != digest}
    packages, broken = _packages(staged)
    return Restored(
        events=verified.events,
        head=verified.head,
        files=len(found),
        bytes=sum(path.lstat().st_size for path in plain),
        checked=len(wanted) + packages,
        damaged=tuple(sorted(damaged | broken)),
    )


def _files(copy: Path) -> Iterator[Path]:
    """Yield what a backup holds of its project: plain files and links."""
    home = copy / STATE_FOLDER
    for place, folders, names in os.walk(copy):
        here = Path(place)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if here != home or not _is_own(name)]
        for name in sorted([*names, *links]):
            is_passing = name.endswith(TEMPORARY_SUFFIX) or (here == home and _is_own(name))
            if not is_passing and ((here / name).is_symlink() or (here / name).is_file()):
                yield here / name


def _is_own(name: str) -> bool:
    return name in _OWN or name.startswith(_OWN_BEGINS)


def _verified(path: Path, home: Path) -> Verification:
    """Verify a log, and that it holds what its backup had when it was finished."""
    log, note = SqliteLog(path), read_note(home)
    try:
        found = log.verify()
        if not found.intact:
            raise LogDamagedError(position=found.damaged or 1, cause=found.reason, doing="put back")
        last = next(iter(log.read(after=note.events - 1)), None) if note and note.events else None
    finally:
        log.close()
    if note and note.events and (last is None or last.hash != note.head):
        raise LogDamagedError(
            position=min(found.events + 1, note.events),
            cause=f"the backup was finished with {note.events} events, the last of them another",
            doing="put back",
        )
    return found


def _known(copy: Path) -> dict[Path, str]:
    """Return the digests that files of content and of tables must have."""
    state = Path(STATE_FOLDER)
    known = {
        path.relative_to(copy): path.parent.name + path.name
        for path in (copy / state / "blobs").glob("[0-9a-f][0-9a-f]/*")
    }
    for lists in (copy / state / "tables").glob("*/_digests"):
        table = lists.parent
        for name, digest in all_digests(table).items():
            known[table.relative_to(copy) / name] = digest
    return known


def _packages(staged: Path) -> tuple[int, set[str]]:
    """Return how many files of packages were compared, and the packages that are damaged."""
    folder = staged / STATE_FOLDER / "packages"
    packages = sorted(folder.glob("m-*"))
    broken = {path for path in packages if not is_whole(folder, path.name)}
    checked = sum(len(list(path.iterdir())) for path in packages)
    return checked, {str(path.relative_to(staged)) for path in broken}
