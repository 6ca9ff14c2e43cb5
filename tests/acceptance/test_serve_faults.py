"""Nothing is lost, mixed or stopped: swaps, sudden ends and crowds while requests come."""

import os
import random
import shutil
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import polars as pl
import pytest
from calls import bucle
from disks import fill, small_disk
from serving import Server, await_that, serve, table
from shop import write_shop
from traffic import Traffic, answered_ids, assert_on_record

from bucle.loop.events import Promoted, RolledBack
from bucle.loop.workspace import open_workspace
from bucle.models.package import open_package
from bucle.models.registry import champion
from bucle.serve.feedback import join_labels

pytestmark = pytest.mark.thorough


def models(folder: Path) -> list[str]:
    return sorted(one.name for one in (folder / ".bucle" / "packages").glob("m-*"))


def expected(folder: Path, model: str, sizes: list[float]) -> list[float]:
    package = open_package(folder / ".bucle" / "packages", model, project=folder)
    found: list[float] = package.predict(pl.DataFrame({"size": sizes})).tolist()
    return found


def swap(folder: Path, model: str) -> None:
    """Put on record what `bucle promote` or `bucle rollback` would, once they had tried it."""
    workspace = open_workspace(folder)
    state = workspace.state()
    current = champion(state.tenures)
    assert current is not None
    assert current.model != model
    fact = (
        RolledBack(model=model, previous=current.model, because="a test")
        if random.random() < 0.5
        else Promoted(model=model, because="a test", verdict="pass", previous=current.model)
    )
    workspace.record(fact, expected=state.position)


def other(folder: Path) -> str:
    """Return the model that is not the champion."""
    current = champion(open_workspace(folder).state().tenures)
    assert current is not None
    (found,) = set(models(folder)) - {current.model}
    return found


def ready(server: Server) -> bool:
    try:
        with server.client() as client:
            return client.get("/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _disturb(
    shop: Path, *, swaps: int = 0, kills: int = 0, requests: int = 100, seed: int | None = None
) -> Traffic:
    """Swap models and kill processes in random order while requests come; then count."""
    seed = random.randrange(10**9) if seed is None else seed
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    acts = ["swap"] * swaps + ["kill"] * kills
    chance.shuffle(acts)
    trials = shop / ".bucle" / "serve" / "trials"
    with serve(shop, "--workers", "2") as server:
        # The champion before this one is made ready while nobody asks for it.
        await_that(lambda: len(list(trials.glob("*.json"))) == 2, what="both models are tried")
        with Traffic(server, pause_s=0.005 if kills else 0.0, seed=seed) as traffic:
            for number, act in enumerate(acts):
                # A worker looks every 0.2 seconds; some swaps come too fast to be seen.
                time.sleep(chance.uniform(0.0, 0.45))
                if act == "kill":
                    _kill(server, chance)
                elif number % 50 == 0:
                    bucle("rollback", "--to", other(shop), "--because", "a test", at=shop)
                else:
                    swap(shop, other(shop))
            await_that(lambda: len(server.parts("bucle.loop.serving")) == 3, what="all are there")
            seen = max(requests, len(traffic.exchanges) + 50)
            await_that(lambda: len(traffic.exchanges) >= seen, what="all requests")
        await_that(lambda: ready(server), what="it is ready")
        labels = _tell_labels(server, answered_ids(traffic.exchanges))
        assert server.stop() == 0
    joined = join_labels(table(shop, "predictions"), table(shop, "feedback"))
    known = joined.filter(pl.col("labels") > 0)
    columns = ("value", "labels", "corrections")
    assert {row[0]: row[1:] for row in known.select("id", *columns).iter_rows()} == labels
    assert {one.status for one in traffic.exchanges} == {200}
    kept = table(shop, "predictions")
    assert_on_record(traffic.exchanges, kept, expected=partial(expected, shop))
    # A row without an answer is of a request whose connection broke.
    surplus = kept.height - len(answered_ids(traffic.exchanges))
    assert 0 <= surplus <= 40 * len(traffic.broken)
    assert list((shop / ".bucle" / "serve" / "log").glob("w*")) == []
    assert "Traceback" not in (shop / "serve.err").read_text()
    return traffic


def _tell_labels(server: Server, ids: list[str]) -> dict[str, tuple[float, int, int]]:
    """Label answers old and new, once, twice the same and twice otherwise; return what counts."""
    once, again, otherwise = ids[0], ids[len(ids) // 2], ids[-1]
    told = [(once, 1), (again, 2), (otherwise, 3), ("p-" + "0" * 32, 4), (again, 2)]
    with server.client() as client:
        for name, label in told:
            answer = client.post("/feedback", json={"id": name, "label": label})
            assert answer.status_code == 202
        both = [{"id": otherwise, "label": 5}, {"id": otherwise, "label": 6.5}]
        assert client.post("/feedback", json=both).status_code == 202
    return {once: (1.0, 1, 0), again: (2.0, 2, 0), otherwise: (6.5, 3, 2)}


def _kill(server: Server, chance: random.Random) -> None:
    """Kill a worker or the compactor, whichever is there."""
    await_that(lambda: bool(server.parts("bucle.loop.serving")), what="a process")
    with suppress(ProcessLookupError, IndexError):
        os.kill(chance.choice(server.parts("bucle.loop.serving")), signal.SIGKILL)


def test_swaps_and_sudden_ends_lose_double_and_mix_nothing(shop: Path) -> None:
    _disturb(shop, swaps=5, kills=5)


_RIDGE = '''\
"""A model that has a compiled form."""

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline


def examples(sales: pl.DataFrame) -> pl.DataFrame:
    return sales.sort("sold_at", "id")


def model(examples: pl.DataFrame, alpha: float = 5000.0):
    known = examples.drop_nulls("price")
    columns = ColumnTransformer([("numbers", "passthrough", ["size"])])
    pipeline = Pipeline([("columns", columns), ("line", Ridge(alpha=alpha))])
    return pipeline.fit(known.select("size"), known["price"].to_numpy())
'''


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """Return a shop of this test's own, with two champions that have a compiled form."""
    shop = write_shop(tmp_path / "compiled")
    (shop / "pipeline.py").write_text(_RIDGE)
    bucle("run", at=shop)
    bucle("run", "--set", "model.alpha=1.0", at=shop)
    for model in models(shop):
        package = open_package(shop / ".bucle" / "packages", model, project=shop)
        assert package.engine.name == "compiled"
    return shop


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shop", "compiled"])
def test_a_hundred_swaps_under_load_break_mix_and_lose_nothing(
    request: pytest.FixtureRequest, kind: str
) -> None:
    folder: Path = request.getfixturevalue(kind)
    traffic = _disturb(folder, swaps=100, requests=10_000)
    assert traffic.broken == []
    assert {row["model"] for one in traffic.exchanges for row in one.rows} == set(models(folder))


@pytest.mark.slow
def test_a_hundred_sudden_ends_lose_and_double_nothing(compiled: Path) -> None:
    _disturb(compiled, kills=100)


# ---- crowds -----------------------------------------------------------------


def _crowd(shop: Path, *, connections: int, requests: int) -> None:
    with serve(shop, "--workers", "2") as server:
        idle = {part: memory_kb(part, "VmRSS") for part in server.parts("serving.worker")}
        with Traffic(
            server, connections=connections, rows=(1, 1, 1, 10, 100), most=requests
        ) as traffic:
            for _ in range(3):
                time.sleep(0.5)
                swap(shop, other(shop))
            traffic.finish()
        most = {part: memory_kb(part, "VmHWM") for part in idle}
        assert server.stop() == 0
    assert traffic.broken == []
    refused = [one for one in traffic.exchanges if one.status != 200]
    assert {one.status for one in refused} <= {503}
    assert all(int(one.retry_after) > 0 for one in refused)
    assert len(traffic.exchanges) == requests
    assert_on_record(
        traffic.exchanges, table(shop, "predictions"), expected=partial(expected, shop)
    )
    for part, before in idle.items():
        assert most[part] <= 2 * before, f"{most[part]:,} KB, idle {before:,}"


def memory_kb(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


@pytest.mark.slow
def test_ten_thousand_requests_of_a_thousand_connections_are_answered(shop: Path) -> None:
    _crowd(shop, connections=1000, requests=10_000)


# ---- a full disk ------------------------------------------------------------


def gauge(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"bucle_{name}"))


def _ask_until_refused(client: httpx.Client, *, rows: int) -> tuple[list[str], httpx.Response]:
    """Return the ids that were answered, and the refusal after them."""
    body = [{"size": float(size)} for size in range(rows)]
    ids: list[str] = []
    for _ in range(2000):
        answer = client.post("/predict", json=body)
        if answer.status_code != 200:
            return ids, answer
        ids += [row["id"] for row in answer.json()]
    raise AssertionError("it was never refused")


def _goes_on(client: httpx.Client, ids: list[str]) -> bool:
    answer = client.post("/predict", json=[{"size": 1.0}] * 1000)
    if answer.status_code == 200:
        ids += [row["id"] for row in answer.json()]
    return answer.status_code == 200


def _fill_while_it_serves(shop: Path, disk: Path) -> None:
    with serve(shop) as server, server.client() as client:
        parts = server.parts("bucle.loop.serving")
        ids = [row["id"] for row in client.post("/predict", json=[{"size": 1.0}] * 5000).json()]
        # The compactor meets the full disk with a finished file before it.
        (compactor,) = server.parts("serving.compaction")
        os.kill(compactor, signal.SIGSTOP)
        ids += [row["id"] for row in client.post("/predict", json=[{"size": 1.0}] * 5000).json()]
        log = shop / ".bucle" / "serve" / "log"
        await_that(lambda: list(log.glob("*.done")) != [], what="a file is finished")
        ballast = fill(disk)
        os.kill(compactor, signal.SIGCONT)
        while not gauge(client, "journal_backlog_records"):
            fill(disk)
            ids.append(client.post("/predict", json={"size": 1.0}).json()["id"])
        in_memory, refusal = _ask_until_refused(client, rows=1000)
        assert refusal.status_code == 503
        assert int(refusal.headers["retry-after"]) > 0
        assert refusal.json()["code"] == "bucle-321"
        assert 90_000 < len(in_memory) <= 100_000
        assert client.get("/readyz").status_code == 200
        ids += in_memory
        freed = time.monotonic()
        ballast.unlink()
        await_that(lambda: _goes_on(client, ids), what="answers go on")
        assert time.monotonic() - freed < 10
        await_that(
            lambda: gauge(client, "journal_backlog_records") == 0, what="the backlog is written"
        )
        assert server.parts("bucle.loop.serving") == parts
        assert server.stop() == 0
    kept = table(shop, "predictions")["id"].to_list()
    assert sorted(kept) == sorted(ids)
    assert len(set(kept)) == len(kept)
    # What processes say has no room either, and that ends none of them.
    assert "Traceback" not in (shop / "serve.err").read_text()


def test_on_a_full_disk_answers_go_on_for_a_while_and_none_is_lost(
    champions: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        shop = Path(shutil.copytree(champions, disk / "shop", symlinks=True))
        _fill_while_it_serves(shop, disk)
