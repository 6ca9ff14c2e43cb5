"""Clients that others made get the same numbers: MLflow's, KServe's, Triton's, and Arrow's.

Each runs in the environment of its own that `make clients` sets up.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from calls import bucle
from serving import Server, serve

from bucle.models.package import open_package
from bucle.models.signature import dtypes_of
from bucle.serve.tensors import datatype_of

REPOSITORY = Path(__file__).resolve().parents[2]
CLIENTS = REPOSITORY / ".env-clients" / "bin" / "python"
STREAM = "application/vnd.apache.arrow.stream"
ROWS = 50

_GIVEN = "import os\ntoken = os.environ['TOKEN']\n"
PANDAS = _GIVEN + "import pandas\nframe = pandas.read_json(os.environ['ROWS'])\n"
POLARS = (
    _GIVEN
    + "import polars\nframe = polars.read_json(os.environ['ROWS'])\n"
    + "frame = frame.with_columns(polars.col('arrived').str.to_date())\n"
)

needs_clients = pytest.mark.skipif(
    not CLIENTS.exists(), reason="the clients are not installed (make clients)"
)
pytestmark = [pytest.mark.clients, pytest.mark.thorough]


class Asked:
    """A server of the demo's champion, rows to ask it for, and what the estimator says of them."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        with server.client() as client:
            told = client.get("/model").json()
        self.model = told["model"]
        self.name = tomllib.loads((folder / "bucle.toml").read_text())["project"]["name"]
        package = open_package(folder / ".bucle" / "packages", self.model, project=folder)
        self.dtypes = {one.name: one.dtype for one in package.signature.features}
        raw = pl.read_csv(folder / "data" / "items.csv", infer_schema=False).head(ROWS)
        kinds = dtypes_of(package.signature)
        self.frame = raw.select(_typed(name, kind) for name, kind in kinds.items())
        self.expected: list[float] = package.predict(self.frame).tolist()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as JSON holds them."""
        found: list[dict[str, Any]] = json.loads(self.frame.write_json())
        return found

    @property
    def question(self) -> dict[str, Any]:
        """What a client's program has to know."""
        rows = self.rows
        columns = {
            name: [datatype_of(dtype), [row[name] for row in rows]]
            for name, dtype in self.dtypes.items()
        }
        return {
            "port": self.server.port,
            "token": self.server.token,
            "name": self.name,
            "model": self.model,
            "rows": rows,
            "columns": columns,
            "dates": [name for name, dtype in self.dtypes.items() if dtype == "Date"],
        }


def _typed(name: str, kind: pl.DataType) -> pl.Expr:
    return pl.col(name).str.to_date() if kind == pl.Date else pl.col(name).cast(kind)


@pytest.fixture(scope="module")
def asked(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("asked") / "demo"
    shutil.copytree(demo, folder, symlinks=True)
    with serve(folder) as server:
        yield Asked(server, folder)


def run(program: str, asked: Asked, **surroundings: str) -> Any:
    """Run a client's program and return what it tells."""
    done = subprocess.run(
        [CLIENTS, REPOSITORY / "tests" / "clients" / f"{program}.py"],
        input=json.dumps(asked.question).encode(),
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **surroundings},
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)


def require_same(found: dict[str, list[float]], asked: Asked) -> None:
    for form, predictions in found.items():
        assert predictions == pytest.approx(asked.expected, rel=1e-9), form


def test_predict_says_what_the_estimator_says(asked: Asked) -> None:
    with asked.server.client() as client:
        answers = client.post("/predict", json=asked.rows).json()
    require_same({"predict": [one["prediction"] for one in answers]}, asked)
    assert len(set(asked.expected)) > ROWS / 2


def test_bucle_predict_says_the_same(asked: Asked) -> None:
    folder = asked.server.folder
    (folder / "asked.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in asked.rows))
    bucle("predict", "asked.jsonl", "--no-log", "--output", "told.jsonl", at=folder)
    told = [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]
    require_same({"bucle predict": [one["prediction"] for one in told]}, asked)


@needs_clients
def test_the_client_of_mlflow_gets_the_same_numbers(asked: Asked, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login bucle password {asked.server.token}\n")
    told = run("ask_mlflow", asked, NETRC=str(netrc))
    assert set(told["found"]) == {"frame", "records", "text"}
    require_same(told["found"], asked)
    assert told["version"].startswith("bucle ")


@needs_clients
def test_the_client_of_kserve_gets_the_same_numbers(asked: Asked) -> None:
    told = run("ask_kserve", asked)
    assert set(told["found"]) == {"json", "binary"}
    require_same(told["found"], asked)
    assert told["ready"] == [True, True, True]


@needs_clients
def test_the_client_of_triton_gets_the_same_numbers(asked: Asked) -> None:
    told = run("ask_triton", asked)
    assert set(told["found"]) == {"binary", "by version"}
    require_same(told["found"], asked)
    assert told["ready"] == [True] * 4
    assert len(set(told["ids"])) == ROWS
    assert "Cannot predict" in told["refused"]
    assert {one["name"] for one in told["metadata"]["inputs"]} == set(asked.dtypes)


def test_streams_of_pyarrow_get_the_same_numbers(asked: Asked) -> None:
    table = asked.frame.to_arrow()
    content = io.BytesIO()
    with pa.ipc.new_stream(content, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=7):
            writer.write_batch(batch)
    with asked.server.client() as client:
        answer = client.post(
            "/predict", content=content.getvalue(), headers={"content-type": STREAM}
        )
    assert answer.headers["content-type"] == STREAM
    found = pa.ipc.open_stream(answer.content).read_all()
    require_same({"arrow": found["prediction"].to_pylist()}, asked)


def test_json_is_answered_in_arrow_where_that_is_asked_for(asked: Asked) -> None:
    with asked.server.client() as client:
        answer = client.post("/predict", json=asked.rows, headers={"accept": STREAM})
    found = pa.ipc.open_stream(answer.content).read_all()
    require_same({"arrow": found["prediction"].to_pylist()}, asked)


def examples(kind: str) -> list[str]:
    """Return the examples that the guide gives for the clients of others."""
    guide = (REPOSITORY / "docs" / "howto" / "serve.md").read_text()
    section = guide.partition("## Ask with a client you have")[2].partition("\n## ")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@needs_clients
@pytest.mark.slow
def test_the_examples_of_the_guide_work(asked: Asked, tmp_path: Path) -> None:
    home = {**os.environ, "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"}
    commands, programs = examples("console"), examples("python")
    assert (len(commands), len(programs)) == (2, 3)
    (tmp_path / "rows.json").write_text(json.dumps(asked.rows))
    told: list[str] = []
    for number, text in enumerate([*commands, *programs]):
        example = text.replace("8000", str(asked.server.port)).replace('"demo"', f'"{asked.name}"')
        if number < len(commands):
            words: list[str | Path] = ["sh", "-ec", example.replace("$ ", "")]
        elif "polars" in example:
            words = [sys.executable, "-c", POLARS + example]
        else:
            words = [CLIENTS, "-c", PANDAS + example]
        home |= {"TOKEN": asked.server.token, "ROWS": str(tmp_path / "rows.json")}
        done = subprocess.run(
            words, cwd=asked.server.folder, env=home, check=False, capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        told.append(done.stdout.decode())
    first = f"{asked.expected[0]:.6f}"[:5]
    assert '"predictions":[' in told[0]
    assert told[1] == ""
    assert [first in words for words in told[2:]] == [True] * 3
