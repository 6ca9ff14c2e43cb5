"""The first page runs: its shell blocks, in order, in an empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from calls import bucle, surroundings
from loops import up

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = str(Path(sys.executable).parent)


@pytest.mark.thorough
def test_the_blocks_of_the_first_page_run(repository: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall((repository / "README.md").read_text())
    if not blocks:
        pytest.fail("README.md has no block marked sh")
    done = subprocess.run(
        ["sh", "-eu"],
        input="\n".join(blocks),
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.thorough
@pytest.mark.parametrize("page", ["README.md", "README.es.md"])
def test_what_the_first_page_asks_is_answered_while_the_loop_goes_on(
    repository: Path, tmp_path: Path, page: str
) -> None:
    asked = next(one for one in CONSOLE.findall((repository / page).read_text()) if "$ ask" in one)
    calls = [one.split("\n{")[0] for one in asked.removeprefix("$ ").split("\n$ ")]
    assert len(calls) == 9
    bucle("new", "shop", "--template", "consignment", at=tmp_path)
    shop = tmp_path / "shop"
    bucle("run", at=shop)
    with up(shop, "--set", 'retrain.window="expanding"') as loop:

        def say(call: str) -> str:
            words = calls[0].replace("127.0.0.1:8000", f"127.0.0.1:{loop.port}") + "\n" + call
            done = subprocess.run(
                ["sh", "-eu"],
                input=words,
                cwd=shop,
                env=surroundings({"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}),
                check=False,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        predicted = json.loads(say(calls[1]))
        assert set(predicted) == {"prediction", "id", "model", "interval", "details"}
        assert json.loads(say(calls[2].replace("p-…", predicted["id"]))) == {"kept": 1}
        since = json.loads(say(calls[3]))["event"]
        assert json.loads(say(calls[4]))["model"] == predicted["model"]
        assert "bucle_requests_total" in say(calls[5])
        ended = loop.await_event("run_finished", after=since)
        assert ended.body["state"] == "done"
        for call in calls[6:]:
            assert predicted["model"] in say(call) or "why-not" in call
