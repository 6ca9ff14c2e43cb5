"""Data that has come in: what a source holds and no addition on record has taken.

Nothing is kept on the disk: the log says what was taken, so that after a restart nothing is lost
and nothing is taken twice. Databases are asked through modules that are heavy; files are not.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bucle.charter.reading import CHARTER_FILE
from bucle.charter.settings import DatasetSettings
from bucle.data.places import expand_glob, find_sources
from bucle.errors import BucleError, RequestError, SourceError, UsageError
from bucle.ids import digest_json
from bucle.loop.chronicle import DatasetRecord
from bucle.loop.datasets import Addition, dataset_settings, take_rows
from bucle.loop.observations import DataRefused
from bucle.loop.queries import Queries
from bucle.loop.state import State
from bucle.loop.stillness import Stillness
from bucle.loop.workspace import Workspace
from bucle.types import Clock

__all__ = ["Arrival", "Arrivals", "Look", "WatchedSource", "parse_watched"]

_GLOB = re.compile(r"[*?\[]")
_DATABASE_S = 60.0


class WatchedSource(Struct, frozen=True, kw_only=True):
    """A place to watch beside those of the charter: files that fit a pattern, for a dataset."""

    dataset: str
    pattern: str


class Arrival(Struct, frozen=True, kw_only=True):
    """Something to take: a file that came in, or without one the dataset's own source.

    `mark` stands for its content: the same arrival, offered again, has the same one.
    """

    dataset: str
    mark: str
    file: str = ""


class Look(Struct, frozen=True, kw_only=True):
    """What one look found.

    `waiting` names what is still being written; `troubles` are places that cannot be looked at,
    each said once until it is over. `refusals` are to be put on record: what was refused, or is no
    more, and is not on record as such.
    """

    arrivals: tuple[Arrival, ...] = ()
    waiting: tuple[str, ...] = ()
    troubles: tuple[BucleError, ...] = ()
    refusals: tuple[DataRefused, ...] = ()


def parse_watched(text: str, *, datasets: Mapping[str, DatasetSettings]) -> WatchedSource:
    """Read `NAME=GLOB`; a relative path starts in the current folder.

    Raises:
        UsageError: It is of another form, or there is no such dataset (bucle-400).

    Example:
        >>> parse_watched("sales=/srv/inbox/*.csv", datasets={"sales": DatasetSettings()}).pattern
        '/srv/inbox/*.csv'
    """
    name, equals, pattern = text.partition("=")
    if not equals or not pattern or name not in datasets:
        raise UsageError(
            f"Cannot watch {text!r}",
            cause="it takes the name of a dataset, an equals sign and a path; bucle.toml has "
            + (", ".join(datasets) or "no [data.NAME] section"),
            attempt=f"--watch-source '{next(iter(datasets), 'NAME')}=inbox/*.csv'",
            code="bucle-400",
        )
    return WatchedSource(dataset=name, pattern=str(Path(pattern).absolute()))


class Arrivals:
    """Looks at every source from time to time and tells what has come in.

    Args:
        workspace: The project, whose charter names sources.
        watched: More places.
        clock: For the time between looks; the project's by default.
        quiet_s: A file must have stood still for this long, from one look to a later one.
        database_s: A database is asked no more often than this.
    """

    def __init__(
        self,
        workspace: Workspace,
        watched: Sequence[WatchedSource] = (),
        *,
        clock: Clock | None = None,
        quiet_s: float = 1.0,
        database_s: float = _DATABASE_S,
    ) -> None:
        self._workspace = workspace
        self._watched = tuple(watched)
        for one in self._watched:
            dataset_settings(workspace, one.dataset)
        self._clock = clock or workspace.clock
        self._still = Stillness(self._clock, quiet_s=quiet_s)
        self._queries = Queries(self._clock, root=workspace.root, every_s=database_s)
        self._refused: dict[tuple[str, str], _Refused] = {}
        self._rules: tuple[str, ...] = ()
        self._said: dict[str, str] = {}

    def look(self, state: State) -> Look:
        """Return what is there and not on record.

        An arrival is offered at each look until an addition on record, in the state, has taken it
        or it was refused; so the state must be one from after the last addition.
        """
        # Of before the offer: rules that are mended while it is tried are other ones afterwards.
        self._rules = _rules(self._workspace)
        found = [*self._charter(state), *self._folders(state)]
        self._still.forget_but({path for place in found for path in place.paths})
        troubles = {place.name: place.trouble for place in found if place.trouble is not None}
        news = [
            trouble
            for name, trouble in troubles.items()
            if self._said.get(name) != trouble.render()
        ]
        self._said = {name: trouble.render() for name, trouble in troubles.items()}
        return Look(
            arrivals=tuple(
                one for place in found for one in place.arrivals if self._refusal(one) is None
            ),
            waiting=tuple(name for place in found for name in place.waiting),
            troubles=tuple(news),
            refusals=(*self._over(state, found), *self._new(state, found)),
        )

    def take(self, arrival: Arrival) -> Addition | None:
        """Add an arrival's rows to its dataset; what cannot be used is refused.

        None where the dataset's source holds what was taken from it already.

        Raises:
            RequestError: The rows, the contract or the preparation cannot be used.
            OutsideError: A disk or a database failed; it is offered again.
        """
        try:
            taken = take_rows(self._workspace, arrival.dataset, arrival.file)
        except RequestError as error:
            self.refuse(arrival, error.render())
            raise
        if taken is None:
            self.settle(arrival)
        return taken

    def refuse(self, arrival: Arrival, error: str) -> None:
        """Offer an arrival no more while it, and what it is judged by, are what they are.

        Judged is it by bucle.toml and the project's code: what these were wrong about is good
        once they are mended.
        """
        self._refused[arrival.dataset, arrival.file] = _Refused(
            mark=arrival.mark, rules=self._rules, error=error
        )

    def settle(self, arrival: Arrival) -> None:
        """Take note that an arrival was read and nothing came on record, as it held nothing new."""
        if not arrival.file:
            self._queries.settle(arrival.dataset)

    def _refusal(self, arrival: Arrival) -> "_Refused | None":
        """Return how an arrival was refused as it is; None where it is to be offered."""
        known = self._refused.get((arrival.dataset, arrival.file))
        if known is None or (known.mark, known.rules) != (arrival.mark, self._rules):
            return None
        return known

    def _new(self, state: State, found: Sequence["_Place"]) -> Iterator[DataRefused]:
        """Return what is refused and not on record as it is."""
        for one in (one for place in found for one in place.arrivals):
            refusal = self._refusal(one)
            if refusal is None:
                continue
            file = self._on_record(Path(one.file)) if one.file else ""
            fact = DataRefused(dataset=one.dataset, file=file, digest=one.mark, error=refusal.error)
            known = state.refused.get(one.dataset, {}).get(file)
            if known is None or known.fact != fact:
                yield fact

    def _over(self, state: State, found: Sequence["_Place"]) -> Iterator[DataRefused]:
        """Return what is on record as refused and is there as such no more."""
        for dataset, files in state.refused.items():
            places = [place for place in found if place.dataset == dataset]
            if any(place.trouble is not None and not place.paths for place in places):
                # Nobody knows what is there.
                continue
            here = {one.file for place in places for one in place.arrivals}
            here |= {name for place in places for name in place.waiting}
            here |= {place.name for place in places if place.trouble is not None}
            paths = {str(path) for place in places for path in place.paths}
            for name, known in files.items():
                path = str(self._workspace.root / name) if name else ""
                is_waiting = not name and any(place.waiting for place in places)
                if path in here or is_waiting:
                    continue
                over = _why_over(path, is_watched=path in paths or not name)
                yield msgspec.structs.replace(known.fact, over=over)

    def _charter(self, state: State) -> Iterator["_Place"]:
        for name, settings in self._workspace.charter.data.items():
            if not settings.source:
                continue
            record = state.datasets.get(name)
            try:
                places = find_sources(settings, root=self._workspace.root)
                url = next((place for place in places if isinstance(place, str)), None)
                paths = tuple(place for place in places if isinstance(place, Path))
                yield (
                    self._source(name, paths, record)
                    if url is None
                    else self._query(name, url, settings, record)
                )
            except BucleError as error:
                yield _Place(name=f"data.{name}", dataset=name, trouble=error)

    def _query(
        self, name: str, url: str, settings: DatasetSettings, record: DatasetRecord | None
    ) -> "_Place":
        mark = self._queries.look(name, url, settings, record)
        place = _Place(name=f"data.{name}", dataset=name)
        return place if mark is None else place.with_arrivals([Arrival(dataset=name, mark=mark)])

    def _source(self, name: str, paths: tuple[Path, ...], record: DatasetRecord | None) -> "_Place":
        """Look at the files of the charter, which are read together."""
        digests: dict[Path, str | None] = {}
        trouble: SourceError | None = None
        for path in paths:
            try:
                digests[path] = self._still.digest(path)
            except SourceError as error:
                digests[path], trouble = None, trouble or error
        waiting = tuple(str(path) for path, digest in digests.items() if digest is None)
        content = {digest for digest in digests.values() if digest is not None}
        last = record.last_sync if record else None
        place = _Place(
            name=f"data.{name}", dataset=name, paths=paths, waiting=waiting, trouble=trouble
        )
        if waiting or (last is not None and content == {file.digest for file in last.files}):
            return place
        return place.with_arrivals([Arrival(dataset=name, mark=digest_json(sorted(content)))])

    def _folders(self, state: State) -> Iterator["_Place"]:
        for one in self._watched:
            name = f"--watch-source {one.dataset}={one.pattern}"
            try:
                paths = _fitting(one.pattern)
                yield from self._folder(name, one.dataset, paths, state.datasets.get(one.dataset))
            except BucleError as error:
                yield _Place(name=name, dataset=one.dataset, trouble=error)

    def _folder(
        self, name: str, dataset: str, paths: tuple[Path, ...], record: DatasetRecord | None
    ) -> Iterator["_Place"]:
        """Look at files that are taken one by one, the oldest first."""
        taken = {
            file.name: file.digest
            for addition in (record.additions if record else ())
            for file in addition.fact.files
        }
        arrivals, waiting = [], []
        for path in paths:
            try:
                digest = self._still.digest(path)
            except SourceError as error:
                yield _Place(name=str(path), dataset=dataset, paths=(path,), trouble=error)
                continue
            if digest is None:
                waiting.append(str(path))
            elif taken.get(self._on_record(path)) != digest:
                arrivals.append(Arrival(dataset=dataset, mark=digest, file=str(path)))
        place = _Place(name=name, dataset=dataset, paths=paths, waiting=tuple(waiting))
        yield place.with_arrivals(arrivals)

    def _on_record(self, path: Path) -> str:
        """Return how an addition names a file."""
        return str(path).removeprefix(f"{self._workspace.root}/")


class _Place(Struct, frozen=True, kw_only=True):
    """One place as a look found it."""

    name: str
    dataset: str
    arrivals: tuple[Arrival, ...] = ()
    paths: tuple[Path, ...] = ()
    waiting: tuple[str, ...] = ()
    trouble: BucleError | None = None

    def with_arrivals(self, arrivals: Sequence[Arrival]) -> "_Place":
        return msgspec.structs.replace(self, arrivals=tuple(arrivals))


class _Refused(Struct, frozen=True, kw_only=True):
    """What was refused, by its mark, by which rules, and why."""

    mark: str
    rules: tuple[str, ...]
    error: str


def _why_over(path: str, *, is_watched: bool) -> str:
    if path and not Path(path).exists():
        return "it is gone"
    return "it is what was taken before" if is_watched else "nobody watches it any more"


def _rules(workspace: Workspace) -> tuple[str, ...]:
    """Return what tells whether bucle.toml or a file of code has changed."""
    settings = workspace.charter.data.values()
    code = {
        str(one).partition(":")[0] for each in settings for one in (each.contract, each.prepare)
    }
    folders = {(workspace.root / one).parent for one in code} | {workspace.root}
    files = {path for folder in folders for path in folder.glob("*.py")}
    return tuple(_print(path) for path in sorted(files | {workspace.root / CHARTER_FILE}))


def _print(path: Path) -> str:
    """Return name, size and times of a file; its name alone where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return str(path)
    return f"{path} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _fitting(pattern: str) -> tuple[Path, ...]:
    """Return the files that fit, the oldest first; none is no trouble, a missing folder is."""
    path = Path(pattern)
    fixed = [part for part in path.parts if _GLOB.search(part)]
    folder = path.parent if not fixed else Path(*path.parts[: path.parts.index(fixed[0])])
    if not folder.is_dir():
        raise SourceError(
            f"Cannot watch '{pattern}': there is no folder '{folder}'",
            attempt=f"mkdir -p '{folder}'",
            code="bucle-401",
        )
    if not fixed and path.is_dir():
        raise SourceError(
            f"Cannot watch '{pattern}': it is a folder",
            attempt=f"--watch-source 'NAME={path}/*.csv'",
            code="bucle-401",
        )
    try:
        found = expand_glob(pattern, base=Path("/"))
    except SourceError:
        return ()
    # Names with a dot in front are those under which programs write what is not done yet.
    shown = [path for path in found if not path.name.startswith(".")]
    ages = {path: age for path in shown if (age := _age(path)) is not None}
    return tuple(sorted(ages, key=lambda path: (ages[path], str(path))))


def _age(path: Path) -> int | None:
    """Return when a file was written; None for what is no file, or not any more."""
    try:
        found = os.stat(path)  # noqa: PTH116  (of thousands of files at each look: twice as fast)
    except OSError:
        return None
    return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else None
