"""A champion's answers with their labels, each day joined once: looks read again what is new.

A day is kept under its package, and joined anew when an answer or a label of it comes. What is kept
can be lost, damaged or of other tables: then everything is read again. Imports polars.
"""

import contextlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import cast

import msgspec
import polars as pl
from msgspec import Struct

from bucle.errors import BucleError
from bucle.ids import canonical_json, digest_json
from bucle.loop.statements import watch_folder
from bucle.loop.watching.newcomers import Mark, OtherTablesError, read_newcomers
from bucle.loop.watching.sightings import labelled_since
from bucle.loop.workspace import Workspace
from bucle.models.signature import Signature
from bucle.serve.compactor import FEEDBACK, PREDICTIONS
from bucle.store.files import write_whole
from bucle.store.locks import exclusive

__all__ = ["labelled_rows"]

_FORM = 1
_FILE = "labels.json"
_COLUMNS = ("id", "at")
_NEAR = timedelta(hours=1)
_MS = 1000
_ORDER = ("at", "id")


class _Notes(Struct, frozen=True, kw_only=True):
    """What is kept: how far the tables were read, when, and the digest of each day's file.

    `unripe` days have answers or labels that are dated later than the look, until when.
    """

    form: int
    since: str
    at: str
    predictions: Mark
    feedback: Mark
    days: dict[str, str]
    unripe: dict[str, str]


class _Kept(Struct, frozen=True, kw_only=True):
    digest: str
    notes: _Notes


def labelled_rows(
    workspace: Workspace, since: date, *, model: str, signature: Signature, now: datetime
) -> pl.DataFrame:
    """Return what `labelled_since` does at a moment, in the order of time.

    Reads what has come since the last look, and joins the days anew that it belongs to. Where
    nothing can be kept, or the last look was a later one, everything is read.

    Raises:
        DigestMismatchError: The prediction log is not what was written.
    """
    folder = watch_folder(workspace, model) / "labels"
    ledger = _Ledger(workspace, folder, since=since, model=model, signature=signature)
    held = contextlib.ExitStack()
    with held:
        try:
            held.enter_context(exclusive(folder / ".lock"))
        except (BucleError, OSError):
            return ledger.read(since, now)
        for _ in range(2):
            with contextlib.suppress(OtherTablesError):
                return ledger.look(now)
            ledger.forget()
        return ledger.read(since, now)


class _Ledger:
    """The days that are kept of one champion."""

    def __init__(
        self,
        workspace: Workspace,
        folder: Path,
        *,
        since: date,
        model: str,
        signature: Signature,
    ) -> None:
        self._workspace = workspace
        self._folder = folder
        self._since = since
        self._model = model
        self._signature = signature

    def read(self, first: date, now: datetime) -> pl.DataFrame:
        """Return the rows from a day on, from the tables."""
        return labelled_since(
            self._workspace, first, model=self._model, signature=self._signature, until=now
        ).sort(_ORDER)

    def forget(self) -> None:
        """Let the next look read everything."""
        with contextlib.suppress(OSError):
            (self._folder / _FILE).unlink(missing_ok=True)

    def look(self, now: datetime) -> pl.DataFrame:
        """Join the days that something is new of, and return all of them."""
        now, notes = now.astimezone(UTC), self._notes()
        if notes is not None and now < datetime.fromisoformat(notes.at):
            return self.read(self._since, now)
        came, said = self._newcomers(PREDICTIONS, notes.predictions if notes else None)
        told, heard = self._newcomers(FEEDBACK, notes.feedback if notes else None)
        days = {**self._unripe(came, told, now), **_later(notes, now)}
        touched = {str(day) for day in (*_days_of(came["at"]), *_answered(told["id"]))}
        if notes is not None:
            touched |= set(notes.unripe)
        frames = {} if notes is None else self._frames(notes, without=touched)
        wanted = sorted(day for day in touched if str(self._since) <= day <= str(now.date()))
        fresh = self._join(wanted, now)
        digests = {} if notes is None else {day: notes.days[day] for day in frames}
        for day, rows in fresh.items():
            if day not in days:
                digests[day] = self._write(day, rows)
        self._keep(
            _Notes(
                form=_FORM,
                since=str(self._since),
                at=now.isoformat(),
                predictions=said,
                feedback=heard,
                days={day: digest for day, digest in digests.items() if digest},
                unripe=days | {day: now.isoformat() for day, known in digests.items() if not known},
            ),
            before=notes,
        )
        whole = frames | fresh
        ordered = [whole[day] for day in sorted(whole)]
        return pl.concat(ordered) if ordered else self.read(now.date(), now).clear()

    def _newcomers(self, name: str, known: Mark | None) -> tuple[pl.DataFrame, Mark]:
        return read_newcomers(
            self._workspace, name, columns=_COLUMNS, since=_midnight(self._since), known=known
        )

    def _unripe(self, came: pl.DataFrame, told: pl.DataFrame, now: datetime) -> dict[str, str]:
        """Return the days with something that is dated later than now, and until when."""
        found: dict[str, str] = {}
        for rows, is_label in ((came, False), (told, True)):
            ahead = rows.filter(pl.col("at") > now)
            if not ahead.height:
                continue
            until = cast("datetime", ahead["at"].max())
            days = _answered(ahead["id"]) if is_label else _days_of(ahead["at"])
            found |= {str(day): max(until.isoformat(), found.get(str(day), "")) for day in days}
        return found

    def _frames(self, notes: _Notes, *, without: set[str]) -> dict[str, pl.DataFrame]:
        """Return the days that are kept.

        Raises:
            OtherTablesError: One of them is lost or damaged.
        """
        found = {}
        for day, digest in notes.days.items():
            if day in without:
                continue
            try:
                content = self._path(day).read_bytes()
            except OSError as error:
                raise OtherTablesError from error
            if sha256(content).hexdigest() != digest:
                raise OtherTablesError
            found[day] = pl.read_ipc(BytesIO(content))
        return found

    def _join(self, days: list[str], now: datetime) -> dict[str, pl.DataFrame]:
        """Return days from the tables; those without an answer have no rows."""
        if not days:
            return {}
        rows = self.read(date.fromisoformat(days[0]), now)
        parts = rows.partition_by("day", as_dict=True)
        found = {str(day): part for (day,), part in parts.items()}
        return {day: found.get(day, rows.clear()) for day in days}

    def _write(self, day: str, rows: pl.DataFrame) -> str:
        """Keep a day and return its digest; nothing where the disk refuses."""
        content = BytesIO()
        rows.write_ipc(content, compression="zstd")
        try:
            write_whole(self._path(day), content.getvalue())
        except (BucleError, OSError):
            return ""
        return sha256(content.getvalue()).hexdigest()

    def _path(self, day: str) -> Path:
        return self._folder / f"{day}.arrow"

    def _notes(self) -> _Notes | None:
        """Return what is kept; None where it is missing, damaged, or of another reign."""
        try:
            kept = msgspec.json.decode((self._folder / _FILE).read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        plain = msgspec.to_builtins(kept.notes)
        if digest_json(plain) != kept.digest:
            return None
        notes = kept.notes
        return notes if (notes.form, notes.since) == (_FORM, str(self._since)) else None

    def _keep(self, notes: _Notes, *, before: _Notes | None) -> None:
        """Write down what is kept, and remove the rest."""
        plain = msgspec.to_builtins(notes)
        with contextlib.suppress(BucleError, OSError):
            content = canonical_json({"notes": plain, "digest": digest_json(plain)})
            write_whole(self._folder / _FILE, content)
            if before is None:
                for path in self._folder.glob("*.arrow"):
                    if path.stem not in notes.days:
                        path.unlink(missing_ok=True)


def _later(notes: _Notes | None, now: datetime) -> dict[str, str]:
    """Return the days that are still unripe of those that were."""
    if notes is None:
        return {}
    return {day: at for day, at in notes.unripe.items() if datetime.fromisoformat(at) > now}


def _days_of(times: pl.Series) -> list[date]:
    return times.dt.date().unique().to_list()


def _answered(ids: pl.Series) -> Iterable[date]:
    """Return the days on which rows may stand whose answers have these ids.

    An id says when it was made; a row is written soon after, a shadow's a little later.
    """
    made = ids.str.slice(2, 12).str.to_integer(base=16, strict=False)
    # Moments that no server has: such a label belongs to no row.
    made = made.filter(made.is_between(0, 253_402_214_400 * _MS))
    near = round(_NEAR.total_seconds() * _MS)
    moments = pl.concat([made - near, made, made + near])
    return _days_of(pl.from_epoch(moments, time_unit="ms"))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
