"""What the server describes of itself, tried by schemathesis with what no client would send.

It lives in an environment of its own (`make .env-fuzz/.ready`); `make fuzz` sends ten times as
much. The seed is new in every run, and printed: FUZZ_SEED takes one again.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, serve

pytestmark = pytest.mark.thorough

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))
SEED = int(os.environ.get("FUZZ_SEED", secrets.randbits(32)))


@pytest.fixture(scope="module")
def fuzzer(repository: Path) -> Path:
    program = repository / ".env-fuzz" / "bin" / "schemathesis"
    if not program.is_file():
        pytest.skip("schemathesis is not installed (make .env-fuzz/.ready)")
    return program


@pytest.fixture(scope="module", params=["champions", "demo"])
def server(
    request: pytest.FixtureRequest, fuzzer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fuzzed") / "project"
    shutil.copytree(request.getfixturevalue(request.param), folder, symlinks=True)
    with serve(folder) as found:
        yield found


def test_the_server_is_as_it_describes_itself(server: Server, fuzzer: Path, tmp_path: Path) -> None:
    words = [
        *(
            "run",
            f"{server.address}/openapi.json",
            "--header",
            f"Authorization: Bearer {server.token}",
        ),
        *("--seed", str(SEED), "--max-examples", str(EXAMPLES), "--workers", "1", "--no-color"),
        *("--continue-on-failure", "--suppress-health-check", "all", "--output-sanitize", "true"),
        # A model may refuse a row that its contract takes, and no schema says that a truth is
        # not told of the day after tomorrow.
        *("--exclude-checks", "positive_data_acceptance"),
        # A page for people is no JSON.
        *("--warnings", "off"),
    ]
    done = subprocess.run(
        [fuzzer, *words],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        timeout=120 + EXAMPLES * 10,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout.decode(errors="replace")
    sys.stdout.write("\n".join(line for line in said.splitlines() if line.strip()) + "\n")
    assert done.returncode == 0, f"FUZZ_SEED={SEED}\n{said[-6000:]}{done.stderr.decode()}"
    with server.client() as client:
        assert client.get("/readyz").status_code == 200
        assert 'event="failure"' not in client.get("/metrics").text
    assert (server.folder / "serve.err").read_text() == ""
