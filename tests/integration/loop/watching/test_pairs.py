"""What is kept of pairs says what reading all of them says, whatever came in which order."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bucle.charter.reading import read_charter
from bucle.clock import FixedClock
from bucle.loop.beside import _kept, _slower, _whole
from bucle.loop.workspace import Workspace
from bucle.models.registry import Deployment
from bucle.models.signature import Signature
from bucle.serve.compactor import compact
from bucle.serve.journal import Journal
from bucle.serve.records import LOAD_REQUEST, Feedback, Prediction

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
CHARTER = """
[project]
name = "shop"

[pipeline]
kind = "{kind}"

[charter]
kpis = [{{ metric = "{metric}" }}]

[data.sales]
event_time = "day"
label = "price"
"""
CLASSES = {"log_loss": ("no", "yes"), "auc": ("no", "yes")}


class World:
    """Two models that answer beside each other, and what becomes of the rows."""

    def __init__(self, folder: Path, *, metric: str, seed: int) -> None:
        self.clock = FixedClock(BEGAN + timedelta(minutes=1))
        kind = "classification" if metric in CLASSES else "regression"
        loaded = read_charter(CHARTER.format(metric=metric, kind=kind))
        self.workspace = Workspace(folder, loaded=loaded, actor="ana", clock=self.clock)
        self.metric, self.chance = metric, random.Random(seed)
        classes = CLASSES.get(metric, ())
        self.signature = Signature(kind=kind, target="price", features=(), classes=classes)
        self.log = self.workspace.home / "serve" / "log"
        self.journal = Journal(self.log, name="w0")
        self.deployed = Deployment(
            model="m-2",
            share=0.0,
            since=BEGAN.isoformat(),
            began=BEGAN.isoformat(),
            by="ana",
            because="so",
        )
        self.rows: list[tuple[str, int]] = []
        self.late: list[Prediction] = []
        self.number = 0

    def pass_time(self, *, requests: int = 12) -> None:
        """Let customers ask, shadows score, and labels come."""
        chance, records = self.chance, list[Prediction | Feedback]()
        records += [one for one in self.late if chance.random() < 0.7]
        self.late = [one for one in self.late if one not in records]
        for _ in range(requests):
            self.clock.advance(chance.choice([1.0, 40.0, 700.0]))
            at = int(self.clock.now().timestamp() * 1_000_000)
            took, model = chance.choice([90, 100, 7000, 9000]), chance.choice(["m-1", "m-1", "m-2"])
            for _ in range(chance.choice([1, 1, 3])):
                records += self._answer(at, model, took)
        records += [self._label() for _ in range(requests) if self.rows]
        self.journal.append_many(records)
        if chance.random() < 0.5:
            self.journal.close()
            self.journal = Journal(self.log, name=f"w{self.number}")
            compact(self.log, self.workspace.tables, merge_after=3)

    def _answer(self, at: int, model: str, took: int) -> list[Prediction]:
        chance = self.chance
        self.number += 1
        name = f"p-{at // 1000:012x}{self.number:020x}"
        fields: dict[str, Any] = {"at": at, "latency_us": took}
        answer = Prediction(
            id=name,
            model=model,
            role="champion" if model == "m-1" else "canary",
            prediction=self._said(),
            request=LOAD_REQUEST if chance.random() < 0.1 else "",
            **fields,
        )
        self.rows.append((name, at))
        if chance.random() < 0.15:
            return [answer]
        other = "m-2" if model == "m-1" else "m-1"
        beside = Prediction(
            id=f"s{name}",
            of=name,
            model=other,
            role="shadow",
            prediction=self._said(),
            **(fields | {"latency_us": took + chance.choice([0, 50])}),
        )
        if chance.random() < 0.3:
            self.late.append(beside)
            return [answer]
        return [answer, beside]

    def _label(self) -> Feedback:
        name, _ = self.chance.choice(self.rows[-60:] if self.chance.random() < 0.8 else self.rows)
        if self.chance.random() < 0.05:
            name = "p-" + "0" * 32
        label = f"{self.chance.gauss(10, 2):.3f}"
        if self.signature.classes:
            label = self.chance.choice(['"yes"', '"no"', "1", "0"])
        if self.chance.random() < 0.03:
            label = '"many"'
        return Feedback(id=name, at=int(self.clock.now().timestamp() * 1_000_000), label=label)

    def _said(self) -> float:
        if self.signature.classes:
            return self.chance.uniform(0.01, 0.99)
        return self.chance.gauss(10, 3)

    def require_same(self) -> int:
        """Compare what was kept with reading all, and return how many labels counted."""
        known = _kept(self.workspace, self.deployed, "m-1", self.signature, self.metric)
        whole = _whole(self.workspace, self.deployed, "m-1", self.signature)
        assert known is not None
        for name in ("pairs", "answers", "champion", "challenger", "answered", "beside"):
            assert getattr(known, name) == getattr(whole, name), name
        assert _slower(known) == _slower(whole)
        assert known.labelled == whole.labelled
        for name in ("estimate", "low", "high") if whole.labelled > 1 else ():
            mine, its = getattr(known.gain, name), getattr(whole.gain, name)
            assert mine == (its if its is None else pytest.approx(its, rel=1e-9, abs=1e-9)), name
        return known.labelled

    @property
    def file(self) -> Path:
        """Where it is kept."""
        (path,) = (self.workspace.home / "watch" / "pairs").glob("*.db")
        return path


MORE = pytest.mark.thorough


@pytest.mark.parametrize(
    "metric",
    ["mae", "auc", *(pytest.param(one, marks=MORE) for one in ("wape", "mdape", "log_loss"))],
)
def test_kept_sums_say_what_all_rows_say(tmp_path: Path, metric: str) -> None:
    world, counted = World(tmp_path, metric=metric, seed=5), 0
    for look in range(6):
        world.pass_time(requests=20)
        if look == 3:
            world.deployed = Deployment(
                model="m-2",
                share=0.5,
                since=world.clock.now().isoformat(),
                began=world.deployed.began,
                by="ana",
                because="so",
            )
        counted = max(counted, world.require_same())
    assert counted > 20
    assert world.require_same() == world.require_same()


def test_nothing_was_asked_yet(tmp_path: Path) -> None:
    assert World(tmp_path, metric="mae", seed=1).require_same() == 0


@pytest.mark.parametrize(
    "how",
    ["lost", *(pytest.param(one, marks=MORE) for one in ("damaged", "empty", "of other tables"))],
)
def test_what_was_kept_is_made_anew(tmp_path: Path, how: str) -> None:
    world = World(tmp_path / "one", metric="mae", seed=2)
    for _ in range(3):
        world.pass_time()
        world.journal.close()
        world.journal = Journal(world.log, name=f"w{world.number}")
        compact(world.log, world.workspace.tables)
        world.require_same()
    match how:
        case "lost":
            world.file.unlink()
        case "damaged":
            content = world.file.read_bytes()
            world.file.write_bytes(content[:100] + bytes(len(content) - 100))
        case "empty":
            world.file.write_bytes(b"")
        case _:
            other = World(tmp_path / "two", metric="mae", seed=3)
            other.pass_time(requests=20)
            other.journal.close()
            compact(other.log, other.workspace.tables)
            other.require_same()
            other.file.write_bytes(world.file.read_bytes())
            world = other
            world.journal = Journal(world.log, name="again")
    world.require_same()
    world.pass_time()
    assert world.require_same() > 0


def test_where_nothing_can_be_kept_all_is_read(tmp_path: Path) -> None:
    world = World(tmp_path, metric="mae", seed=4)
    world.pass_time()
    (world.workspace.home / "watch").write_text("no folder")
    known = _kept(world.workspace, world.deployed, "m-1", world.signature, "mae")
    assert known is None
    assert _whole(world.workspace, world.deployed, "m-1", world.signature).pairs > 0


def test_a_look_reads_what_is_new_alone(tmp_path: Path) -> None:
    world = World(tmp_path, metric="mae", seed=6)
    for _ in range(4):
        world.pass_time()
        world.journal.close()
        world.journal = Journal(world.log, name=f"w{world.number}")
        compact(world.log, world.workspace.tables)
    world.require_same()
    before = world.workspace.tables.rows("predictions")
    world.pass_time()
    world.journal.close()
    compact(world.log, world.workspace.tables)
    # Whoever touches a file that was read before would find it damaged.
    folder = tmp_path / ".bucle" / "tables" / "predictions"
    newest = max(folder.glob("*.parquet"), key=lambda one: one.stat().st_mtime_ns)
    last = min(folder.glob("*.parquet"), key=lambda one: one.stat().st_mtime_ns)
    assert newest != last
    last.write_bytes(b"damaged")
    known = _kept(world.workspace, world.deployed, "m-1", world.signature, "mae")
    assert known is not None
    assert known.pairs > 0
    assert world.workspace.tables.rows("predictions") > before
