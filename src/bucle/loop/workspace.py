"""A project opened: its charter, its log and where its content lives.

Opening reads one file and one database and imports nothing heavy; tables are opened when asked for.
"""

import os
import pwd
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

from bucle.charter.reading import CHARTER_FILE, Loaded, load_charter
from bucle.charter.settings import Charter
from bucle.clock import machine_clock, to_iso
from bucle.errors import UsageError
from bucle.loop.events import Fact, draft_fact
from bucle.loop.state import Fold, State
from bucle.pipeline.cache import Cache
from bucle.pipeline.code import CodeReader
from bucle.pipeline.engine import Engine, ExecutorMaker
from bucle.pipeline.kept import FileKept
from bucle.pipeline.modules import Modules
from bucle.pipeline.progress import Progress
from bucle.store.file_blobs import FileBlobs
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Clock, Event, Lease, Log, Tables

__all__ = ["STATE_FOLDER", "Workspace", "find_root", "open_log", "open_workspace"]

STATE_FOLDER = ".bucle"


class Workspace:
    """One project on this machine, as commands use it.

    Args:
        root: The folder that holds bucle.toml.
        loaded: The charter with the origin of each value.
        actor: Who acts, as it will stand in the log.
        clock: Where moments come from.
        fence: The lease under which the log is written; None for people, who need none.
        executor: Makes what steps run in; worker processes of each engine's own by default.
    """

    def __init__(
        self,
        root: Path,
        *,
        loaded: Loaded,
        actor: str,
        clock: Clock,
        fence: Lease | None = None,
        executor: ExecutorMaker | None = None,
    ) -> None:
        self.root = root
        self.loaded = loaded
        self.actor = actor
        self.clock = clock
        self.fence = fence
        self._executor = executor
        self.home = root / STATE_FOLDER

    @property
    def overrides(self) -> tuple[str, ...]:
        """What the command line set, as it was written."""
        return self.loaded.overrides

    @property
    def charter(self) -> Charter:
        """The charter in force: file, environment and command line merged."""
        return self.loaded.charter

    @cached_property
    def log(self) -> Log:
        """The project's event log."""
        return SqliteLog(self.home / "log.db", clock=self.clock)

    @cached_property
    def blobs(self) -> FileBlobs:
        """Content by digest: step artifacts and source snapshots."""
        return FileBlobs(self.home / "blobs")

    @cached_property
    def tables(self) -> Tables:
        """Versioned tables; imports delta-rs and polars."""
        from bucle.store.delta_tables import DeltaTables  # noqa: PLC0415  (heavy, used late)

        return DeltaTables(self.home / "tables")

    @cached_property
    def code_reader(self) -> CodeReader:
        """Reads the project's code, each file once."""
        return CodeReader(Modules(self.root, memory=self.home / "cache"))

    @property
    def packages(self) -> Path:
        """The folder of model packages."""
        return self.home / "packages"

    def engine(self, progress: Progress | None = None) -> Engine:
        """Return an engine for the project's pipeline, to be used in a `with` block."""
        return Engine(
            self.code_reader,
            blobs=self.blobs,
            cache=Cache(FileKept(self.home / "cache")),
            folder=self.home / "blobs",
            seed=self.charter.pipeline.seed,
            workers=self.charter.pipeline.workers,
            progress=progress,
            executor=self._executor,
        )

    def state(self) -> State:
        """Fold the log as it is now."""
        return self.fold().state()

    def fold(self, *, until: datetime | None = None) -> Fold:
        """Fold the log as it is now, or was at a moment, ready to take in more."""
        folded, limit = Fold(), None if until is None else to_iso(until)
        for event in self.log.read():
            if limit is not None and event.at > limit:
                break
            folded.apply(event)
        return folded

    def record(
        self, *facts: Fact, expected: int | None = None, cause: str = ""
    ) -> tuple[Event, ...]:
        """Append facts in one durable commit.

        Raises:
            StalePositionError: `expected` is not the position of the log any more.
            FencedError: The lease is another's by now.
        """
        drafts = [
            draft_fact(fact, clock=self.clock, actor=self.actor, cause=cause) for fact in facts
        ]
        return self.log.append(drafts, expected=expected, fence=self.fence)


def open_workspace(
    folder: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    actor: str | None = None,
    fence: Lease | None = None,
    executor: ExecutorMaker | None = None,
    loaded: Loaded | None = None,
) -> Workspace:
    """Open the project in a folder or in the nearest folder above the current one.

    Where a charter is `loaded` already, that one holds for the folder, whatever has become of the
    file since.

    Raises:
        UsageError: There is no bucle.toml there.
        CharterError: The charter cannot be used.
    """
    environment = os.environ if environ is None else environ
    if folder is None or loaded is None:
        root = find_root(folder)
        loaded = loaded or load_charter(root, environ=environment, overrides=overrides)
    else:
        root = folder
    return Workspace(
        root,
        loaded=loaded,
        actor=actor or _actor(environment),
        clock=clock or machine_clock(environment),
        fence=fence,
        executor=executor,
    )


def open_log(folder: Path | None = None) -> Log:
    """Open a project's event log alone; works whatever is wrong with the charter."""
    return SqliteLog(find_root(folder) / STATE_FOLDER / "log.db", clock=machine_clock(os.environ))


def find_root(folder: Path | None = None) -> Path:
    """Return the project's folder: the one given, or the nearest one above with a bucle.toml.

    Raises:
        UsageError: None was found; the message says where it was looked for.
    """
    start = (folder or Path.cwd()).absolute()
    candidates = [start] if folder else [start, *start.parents]
    for candidate in candidates:
        if (candidate / CHARTER_FILE).is_file():
            return candidate
    raise UsageError(
        f"Cannot find a project: no {CHARTER_FILE} in {start}",
        cause="" if folder else "nor in any folder above it",
        attempt="bucle new shop --template consignment",
        code="bucle-106",
    )


def _actor(environ: Mapping[str, str]) -> str:
    named = environ.get("BUCLE_ACTOR") or environ.get("USER") or environ.get("LOGNAME")
    if named:
        return named
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
