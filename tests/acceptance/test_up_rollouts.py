"""`bucle up` brings models into service and takes them away, while customers ask all the time."""

import os
import sys
import time
from pathlib import Path

import httpx
import pytest
from calls import bucle
from loops import (
    QUICK,
    Customers,
    Loop,
    await_that,
    came_in,
    candidate,
    champion,
    events,
    kinds,
    right,
    up,
    wrong,
)
from shop import rows, write_rows

pytestmark = pytest.mark.thorough

CANARY = (*QUICK, "--set", "deploy.bake_minutes=600")
"""A candidate that stays at half of the keys."""

SHADOW = (*QUICK, "--set", "deploy.pairs=1000000")
"""A candidate that stays a shadow."""

TECHNICAL_S = 30.0
"""Within this long a candidate that fails is taken away."""

MOODY = """

import os
import time
from pathlib import Path


class Line(Line):
    def predict(self, X):
        found = super().predict(X)
        place = os.environ.get("SHOP_MOOD")
        mood = Path(place).read_text() if place else ""
        if mood:
            time.sleep(0.01)
        if self.bend == 1.0:
            match mood:
                case "raises":
                    raise RuntimeError("not today")
                case "hangs":
                    time.sleep(1000)
                case "takes three times as long":
                    time.sleep(0.02)
                case "leaves":
                    os._exit(3)
        return found
"""


# ---- the whole way ---------------------------------------------------------------


def require_whole_way(loop: Loop, customers: Customers, *, after: int) -> None:
    """Wait until a retrain has led to a new champion, with the former one as a shadow."""
    former = champion(loop.folder)
    run = loop.await_event("run_finished", after=after)
    assert run.body["state"] == "done", run.body
    verdict = loop.await_event("verdict_given", after=after)
    assert verdict.body["verdict"]["outcome"] == "pass"
    promoted = loop.await_event("promoted", after=after)
    kept = loop.await_event("deployed", after=promoted.position)
    assert (kept.body["model"], kept.body["is_former"]) == (former, True)
    way = [one for one in events(loop.folder, "deployed") if after < one.position < kept.position]
    assert [one.body["share"] for one in way] == [0.0, 0.5]
    new = promoted.body["model"]
    await_that(
        lambda: list(customers.answered.values())[-1]["model"] == new,
        what=lambda: f"{new} answers; it said:\n{loop.told}",
    )
    loop.await_event("withdrawn", after=kept.position)
    customers.stop()
    assert customers.broken == []
    assert set(customers.models) == {former, new}
    assert champion(loop.folder) == new
    assert bucle("log", "verify", "--json", at=loop.folder).json["intact"]


def test_a_person_asks_and_a_better_model_comes_into_service(passed: Path) -> None:
    renew(passed)
    chosen = (*QUICK, "--set", "deploy.probation_hours=0.005")
    with up(passed, *chosen) as loop, Customers(loop, worth=right) as customers:
        after = came_in(passed)
        bucle("retrain", "--because", "the line is bent", at=passed)
        require_whole_way(loop, customers, after=after)


@pytest.mark.parametrize("way", ["a file in a folder", "bucle data add"])
def test_new_data_leads_to_a_new_champion(passed: Path, way: str) -> None:
    renew(passed)
    inbox = passed / "inbox"
    inbox.mkdir()
    chosen = (
        *QUICK,
        *("--set", 'retrain.policy="data:+20%"'),
        *("--set", 'retrain.cooldown="0d"'),
        *("--set", "deploy.probation_hours=0.005"),
        *("--watch-source", f"sales={inbox}/*.csv"),
    )
    with up(passed, *chosen) as loop, Customers(loop, worth=right) as customers:
        after = came_in(passed)
        if way == "bucle data add":
            write_rows(passed / "more.csv", rows(200, first=600))
            bucle("data", "add", "sales", "more.csv", at=passed)
        else:
            write_rows(inbox / "more.csv", rows(200, first=600))
        added = loop.await_event("data_added", after=after)
        assert (added.body["added"], added.body["rows"]) == (200, 800)
        require_whole_way(loop, customers, after=after)
        assert "data grew by 33% since the last retrain" in loop.told
    assert len(events(passed, "data_added")) == 2


def renew(folder: Path) -> None:
    """Let the model that passed be of the past: the next one is another."""
    code = folder / "pipeline.py"
    code.write_text(code.read_text().replace("bend: float = 1.0", "bend: float = 0.99"))
    bucle("promote", candidate(folder), "--because", "for a test", at=folder)
    bucle("rollback", at=folder)


# ---- candidates that are no good ------------------------------------------------------


@pytest.fixture
def moody(passed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a shop whose candidate has moods."""
    with (passed / "line.py").open("a") as code:
        code.write(MOODY)
    (tmp_path / "mood").write_text("")
    monkeypatch.setenv("SHOP_MOOD", str(tmp_path / "mood"))
    return passed


def require_fall(
    folder: Path, mood: str, *, told: str, capsys: pytest.CaptureFixture[str]
) -> float:
    """Let a canary be in a mood until it is withdrawn, and return after how many seconds it was."""
    place, new, old = Path(os.environ["SHOP_MOOD"]), candidate(folder), champion(folder)
    with up(folder, *CANARY) as loop, Customers(loop, worth=right, rows=10) as customers:
        await_that(lambda: customers.models[new] > 100, what=lambda: f"a canary:\n{loop.told}")
        after = came_in(folder)
        place.write_text(mood)
        began = time.monotonic()
        fallen = loop.await_event("withdrawn", after=after)
        seconds = time.monotonic() - began
        assert told in fallen.body["because"]
        # Whoever was asked at that moment is answered by the champion from then on.
        answered = customers.models[old]
        await_that(lambda: customers.models[old] > answered + 100, what=lambda: "the champion")
        place.write_text("")
        customers.stop()
        if mood in {"raises", "takes three times as long"}:
            assert customers.broken == []
    assert champion(folder) == old
    assert kinds(folder, after) == ["withdrawn"]
    with capsys.disabled():
        sys.stdout.write(f"\n  a canary that {mood} was withdrawn after {seconds:.1f} s\n")
    return seconds


def test_a_canary_that_raises_is_withdrawn(moody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_fall(moody, "raises", told="failed on", capsys=capsys)


def test_a_canary_that_hangs_is_withdrawn(moody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_fall(moody, "hangs", told="", capsys=capsys)


def test_a_canary_that_ends_its_process_is_withdrawn(
    moody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = require_fall(moody, "leaves", told="workers died with it", capsys=capsys)
    assert seconds < TECHNICAL_S


def test_a_shadow_that_ends_its_process_is_withdrawn(
    moody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, new, old = Path(os.environ["SHOP_MOOD"]), candidate(moody), champion(moody)
    with up(moody, *SHADOW) as loop, Customers(loop, worth=right) as customers:
        await_that(lambda: f'model="{new}",role="shadow"' in metrics(loop), what=lambda: "a shadow")
        after = came_in(moody)
        place.write_text("leaves")
        began = time.monotonic()
        fallen = loop.await_event("withdrawn", after=after)
        seconds = time.monotonic() - began
        assert "workers died with it" in fallen.body["because"]
        place.write_text("")
        answered = customers.models[old]
        await_that(lambda: customers.models[old] > answered + 100, what=lambda: "the champion")
    assert champion(moody) == old
    with capsys.disabled():
        sys.stdout.write(f"\n  a shadow that leaves was withdrawn after {seconds:.1f} s\n")
    assert seconds < TECHNICAL_S


def metrics(loop: Loop) -> str:
    """Return what the server counts; nothing where it does not answer now."""
    with loop.client() as client:
        try:
            return client.get("/metrics").text
        except httpx.HTTPError:
            return ""


def test_a_canary_that_is_slow_is_withdrawn(
    moody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_fall(moody, "takes three times as long", told="times as long", capsys=capsys)


def test_a_canary_that_errs_more_is_withdrawn(passed: Path) -> None:
    new, old = candidate(passed), champion(passed)
    with up(passed, *CANARY) as loop, Customers(loop) as customers:
        await_that(lambda: customers.models[new] > 100, what=lambda: f"a canary:\n{loop.told}")
        after = came_in(passed)
        customers.worth = wrong
        fallen = loop.await_event("withdrawn", after=after)
        assert "errs more" in fallen.body["because"]
        customers.stop()
        assert customers.broken == []
    assert champion(passed) == old
    assert kinds(passed, after) == ["withdrawn"]


def test_a_champion_that_errs_more_than_the_former_goes_by_itself(passed: Path) -> None:
    new, old = candidate(passed), champion(passed)
    with up(passed, *QUICK) as loop, Customers(loop) as customers:
        promoted = loop.await_event("promoted", after=came_in(passed) - 1)
        assert promoted.body["model"] == new
        customers.worth = wrong
        back = loop.await_event("rolled_back", after=promoted.position)
        assert (back.body["model"], back.body["previous"]) == (old, new)
        assert "errs less" in back.body["because"]
        # It has passed, but comes back only when a person says so.
        time.sleep(3)
        customers.stop()
        assert customers.broken == []
        assert "rolled back from before" in bucle("why-not", at=passed).out
    assert kinds(passed, promoted.position) == ["deployed", "rolled_back"]


# ---- people hold it ----------------------------------------------------------------------


def test_a_paused_loop_begins_nothing_and_still_takes_a_bad_canary_away(
    moody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, old = candidate(moody), champion(moody)
    with up(moody, *CANARY) as loop, Customers(loop) as customers:
        await_that(lambda: customers.models[new] > 100, what=lambda: f"a canary:\n{loop.told}")
        bucle("pause", "--because", "nobody is here", at=moody)
        bucle("retrain", "--because", "in vain for now", at=moody)
        after = came_in(moody)
        Path(os.environ["SHOP_MOOD"]).write_text("raises")
        loop.await_event("withdrawn", after=after)
        time.sleep(3)
        assert kinds(moody, after) == ["withdrawn"]
        runs = len(events(moody, "run_started"))
        Path(os.environ["SHOP_MOOD"]).write_text("")
        bucle("resume", "--because", "back again", at=moody)
        loop.await_event("run_started", after=after)
        assert len(events(moody, "run_started")) == runs + 1
    assert champion(moody) == old


def test_a_role_that_is_asked_holds_a_shadow_until_it_has_said_yes(passed: Path) -> None:
    new = candidate(passed)
    asked = ("--set", 'gates.approval=["business"]')
    with up(passed, *QUICK, *asked) as loop, Customers(loop, worth=right) as customers:
        after = came_in(passed) - 1
        loop.await_event("deployed")
        await_that(
            lambda: f"bucle approve {new} --as business" in bucle("why-not", *asked, at=passed).out,
            what=lambda: loop.told,
        )
        told = bucle("status", *asked, at=passed).out
        assert f"bucle approve {new} --as business" in told
        time.sleep(12)
        assert [one for one in kinds(passed, after) if one != "deployed"] == []
        assert set(customers.models) == {champion(passed)}
        words = ("--as", "business", "--because", "agreed")
        bucle("approve", new, *words, *asked, at=passed)
        loop.await_event("promoted", after=after)
        customers.stop()
        assert customers.broken == []
        assert bucle("status", "--json", *asked, at=passed).json["loop"]["approvals"] == []
    assert champion(passed) == new
