"""`bucle up` from outside: it serves, tells, obeys what people say beside it, and ends clean."""

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from calls import BUCLE, bucle, surroundings
from loops import Loop, await_that, events, free_port, up
from shop import write_shop

LOOP = "bucle.loop.live.controlling"


def asked(loop: Loop, *words: str, code: int = 0) -> str:
    return bucle(*words, at=loop.folder, code=code).all


def require_end(loop: Loop, how: int) -> None:
    """Require that a signal ends all of it and leaves nothing to say."""
    assert loop.processes()
    assert loop.stop(how) == 0
    assert loop.processes() == []
    assert "Traceback" not in loop.told
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{loop.port}/healthz")
    assert not list((loop.folder / ".bucle" / "serve").glob("server-*.json"))


def test_it_answers_tells_and_obeys_until_ctrl_c(shop: Path) -> None:
    with up(shop) as loop:
        with loop.client() as client:
            answer = client.post("/predict", json={"size": 3.5})
        assert answer.status_code == 200
        asked(loop, "pause", "--because", "stocktaking")
        asked(loop, "retrain", "--because", "new prices")
        loop.await_word("the loop was paused: stocktaking")
        loop.await_word("a retrain was asked for: new prices")
        loop.await_word("loop: leading")
        told = asked(loop, "status")
        assert f"http://127.0.0.1:{loop.port} with 1 worker" in told
        assert "led by" in told
        assert "UTC: stocktaking" in told
        assert "nothing: it is paused" in told
        assert not events(shop, "run_started")[2:]
        require_end(loop, signal.SIGINT)
    told = bucle("status", at=shop).out
    assert "nobody leads it" in told


@pytest.mark.thorough
def test_people_are_heard_beside_it(shop: Path) -> None:
    with up(shop, "--set", 'gates.approval=["business"]') as loop:
        asked(loop, "pause", "--because", "a look first")
        told = asked(loop, "pause", "--because", "again", code=2)
        assert "paused already" in told
        assert "it is paused" in asked(loop, "why-not")
        before = len(events(shop, "run_started"))
        told = asked(loop, "retrain", "--because", "new prices")
        assert "it waits: the loop is paused since" in told
        asked(loop, "resume", "--because", "seen")
        assert "not paused" in asked(loop, "resume", code=2)
        loop.await_event("run_started", after=events(shop, "retrain_asked")[0].position)
        finished = loop.await_event("run_finished", after=events(shop, "retrain_asked")[0].position)
        assert finished.body["state"] == "done"
        assert len(events(shop, "run_started")) == before + 1
        (champion,) = (one for one in bucle("models", "--json", at=shop).json if one["champion"])
        chosen = ("--set", 'gates.approval=["business"]')
        word = ("--as", "business", "--because", "yes", *chosen)
        told = asked(loop, "approve", champion["model"], *word, code=2)
        assert "nothing waits for it any more" in told
        assert "is champion since" in told
        told = asked(loop, "approve", champion["model"], "--as", "boss", "--because", "x", code=2)
        assert "Traceback" not in told
        assert not events(shop, "approved")
        for line in ("the loop was paused", "the loop was resumed", "a retrain was asked for"):
            assert loop.told.count(line) == 1
        require_end(loop, signal.SIGTERM)


@pytest.mark.thorough
def test_a_loop_that_waits_for_its_first_champion_is_told_whole(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    write_shop(folder)
    chosen = ("--set", 'gates.approval=["business"]')
    assert "champion    none yet. Try: bucle run" in bucle("status", at=folder).out
    (said,) = re.findall(r"bucle approve .*", bucle("run", *chosen, at=folder).out)
    with up(folder, *chosen) as loop:
        loop.await_word("loop: leading")
        asked(loop, "pause", "--because", "a look first")
        told = asked(loop, "status", *chosen)
        assert told.startswith("champion    none yet\nserver      http://127.0.0.1:")
        assert "led by" in told
        assert "UTC: a look first" in told
        assert f"approval business is asked: {said}" in " ".join(told.split())
        asked(loop, *shlex.split(said)[1:], *chosen)
        asked(loop, "resume")
        loop.await_event("promoted")
        asked(loop, "retrain", "--because", "new prices")
        loop.await_word(": the same model as before: there is nothing to judge")
        assert "approval" not in asked(loop, "status", *chosen)
        require_end(loop, signal.SIGTERM)


@pytest.mark.thorough
def test_who_dies_while_files_are_being_written_comes_back_as_it_was(shop: Path) -> None:
    with up(shop) as loop:
        loop.await_word("loop: leading")
        kept = {name: (shop / name).read_text() for name in ("bucle.toml", "contract.py")}
        for name, text in kept.items():
            (shop / name).write_text(text + "\n[half a li")
        for module in ("bucle.loop.serving.worker", LOOP):
            (one,) = loop.processes(module)
            os.kill(one, signal.SIGKILL)
        loop.await_word("it starts again in", times=2)
        with loop.client() as client:
            assert client.post("/predict", json={"size": 3.5}).status_code == 200
        loop.await_word("loop: leading", times=2)
        loop.process.send_signal(signal.SIGHUP)
        loop.await_word("cannot reload, everything goes on as it was")
        for name, text in kept.items():
            (shop / name).write_text(text)
        loop.process.send_signal(signal.SIGHUP)
        loop.await_word("server: reloaded")
        require_end(loop, signal.SIGINT)


@pytest.mark.thorough
def test_it_ends_when_its_records_are_gone(shop: Path) -> None:
    with up(shop) as loop:
        loop.await_word("loop: leading")
        (shop / ".bucle").rename(shop / "away")
        assert loop.process.wait(60) == 3
        assert loop.processes() == []
        assert "bucle-341" in loop.told
        assert "Traceback" not in loop.told


@pytest.mark.thorough
def test_as_json_it_tells_a_line_each(shop: Path) -> None:
    with up(shop, "--json") as loop:
        asked(loop, "pause", "--because", "for a test")
        await_that(lambda: '"paused"' in loop.out.read_text(), what=lambda: loop.told)
        require_end(loop, signal.SIGTERM)
        first, *others = [json.loads(line) for line in loop.out.read_text().splitlines()]
    assert first == {"serving": f"http://127.0.0.1:{loop.port}", "workers": 1}
    assert [one["position"] for one in others] == sorted(one["position"] for one in others)
    assert "paused" in {one["kind"] for one in others}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--port", "70000"), "between 0 and 65535"),
        (("--workers", "0"), "between 1 and 256"),
        (("--host", "0.0.0.0"), "--public"),
        (("--watch-source", "nowhere"), "bucle-400"),
        (("--watch-source", "seals=*.csv"), "bucle-400"),
        (("--set", 'retrain.policy="whenever"'), "bucle-119"),
        (("--set", "deploy.steps=[0.5,0.1]"), "deploy.steps"),
        (("--set", "deploy.stairs=[0.5]"), "bucle-111"),
        (("--set", 'watch.every="soon"'), "watch.every"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_a_wrong_word_is_told_and_starts_nothing(
    champions: Path, words: tuple[str, ...], told: str
) -> None:
    answer = bucle("up", *words, at=champions, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.all
    assert not list((champions / ".bucle" / "serve").glob("server-*.json"))


@pytest.mark.thorough
def test_an_address_of_somebody_else_is_told(champions: Path) -> None:
    place = free_port()
    with subprocess.Popen(
        ["python3", "-m", "http.server", str(place)], cwd=champions.parent
    ) as web:
        try:
            await_that(lambda: _answers(place), what=lambda: "the web server")
            answer = bucle("up", "--port", str(place), at=champions, code=3)
            assert "bucle-344" in answer.err
            assert "Traceback" not in answer.all
        finally:
            web.kill()


def _answers(place: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{place}/", timeout=1)
    except httpx.HTTPError:
        return False
    return True


@pytest.mark.thorough
def test_nobody_who_listens_is_no_reason_to_leave_processes_behind(shop: Path) -> None:
    mark = "nobody-listens"
    process = subprocess.Popen(
        [BUCLE, "up", "--port", str(free_port())],
        cwd=shop,
        env=surroundings({"LOOP_OF_A_TEST": mark}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    loop = Loop(process, shop, 0, mark, shop / "bucle.toml", shop / "bucle.toml")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(120)
    await_that(lambda: not loop.processes(), what=lambda: f"{loop.processes()} end")
