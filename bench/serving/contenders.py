"""Who is measured: an app that only answers, ours with both engines, and the peers.

Each has one worker and OpenMP at one thread, and is set up as its own documentation recommends.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import run
from bench.serving.processes import end

__all__ = ["ANY_ROW", "Contender", "Running", "make_contenders", "make_project", "start"]

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
REPOSITORY = HERE.parent.parent
DATA = REPOSITORY.parent / "shared" / "data" / "scms_consignments.csv"
PATIENCE_S = 120.0
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "BENTOML_DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A server: how it is started on a port, and how it is asked for some rows."""

    name: str
    command: Callable[[int], list[str]]
    folder: Path
    path: str
    body: Callable[[Rows], Any]
    headers: Callable[[], dict[str, str]] = field(default=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers, and how long its start took."""

    contender: Contender
    process: "subprocess.Popen[bytes]"
    port: int
    started_s: float

    def wish(self, rows: Rows) -> dict[str, Any]:
        """Return what the load generator needs to ask for rows."""
        wish = self.wish_in_turn([rows])
        (wish["body"],) = wish.pop("bodies")
        return wish

    def wish_in_turn(self, batches: Sequence[Rows]) -> dict[str, Any]:
        """Return what the load generator needs to ask for some rows, then others, and again."""
        return {
            "port": self.port,
            "path": self.contender.path,
            "bodies": [json.dumps(self.contender.body(rows)) for rows in batches],
            "headers": self.contender.headers(),
        }

    def ask(self, rows: Rows) -> bytes:
        """Return the body of one answer."""
        return _ask(self.wish(rows))


def make_contenders(folder: Path) -> tuple[list[Contender], Rows, dict[str, str]]:
    """Return who can be measured here, rows to ask for, and why others cannot."""
    compiled = make_project(folder / "compiled", kind="Pipeline")
    estimator = make_project(folder / "estimator", kind="Uncompiled")
    rows = json.loads(run([sys.executable, str(HERE / "rows.py"), str(compiled)], folder))
    rows_file = compiled / "rows.csv"
    found = [
        Contender(
            name="ok",
            command=lambda port: [*_uvicorn(sys.executable, port), "ok:app"],
            folder=_copied(PEERS / "ok.py", folder / "ok"),
            path="/predict",
            body=_first,
        ),
        _ours("bucle, compiled", compiled),
        _ours("bucle, estimator", estimator),
    ]
    missing: dict[str, str] = {}
    for name, (place, make) in _PEERS.items():
        python = REPOSITORY / place / "bin" / "python"
        if not python.exists():
            missing[name] = f"{place} is not there; try: make bench"
            continue
        own = folder / name.lower()
        shutil.copytree(PEERS, own)
        shutil.copy(HERE / "project" / "learner.py", own)
        run([*_alone(), str(python), "train.py", str(rows_file), str(own), name.lower()], own)
        found.append(make(name, python, own))
    return found, rows, missing


def start(contender: Contender) -> Running:
    """Start a server and wait for its first answer."""
    port = _free_port()
    environment = {**os.environ, **ONE_THREAD, **contender.environment}
    environment["PATH"] = f"{Path(contender.command(port)[0]).parent}:{environment['PATH']}"
    began = time.perf_counter()
    log = contender.folder / "server.log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            contender.command(port),
            cwd=contender.folder,
            env=environment,
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    running = Running(contender=contender, process=process, port=port, started_s=0.0)
    while time.perf_counter() - began < PATIENCE_S and process.poll() is None:
        try:
            running.ask([ANY_ROW])
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
        else:
            taken = time.perf_counter() - began
            return Running(contender=contender, process=process, port=port, started_s=taken)
    end(process)
    sys.exit(f"{contender.name} does not answer:\n{log.read_text()[-2000:]}")


def make_project(folder: Path, *, kind: str) -> Path:
    """Make a project whose pipeline trains the learner, run it, and promote what it gives."""
    bucle = str(Path(sys.executable).parent / "bucle")
    run(
        [bucle, "new", folder.name, "--template", "scms", "--task", "price", "--data", str(DATA)],
        folder.parent,
    )
    for path in (HERE / "project").glob("*.py"):
        shutil.copy(path, folder)
    code = (folder / "price.py").read_text()
    (folder / "price.py").write_text(code.replace("make_learner()", f"make_learner({kind})"))
    charter = (folder / "bucle.toml").read_text()
    for name in ("item", "dosage"):
        charter = charter.replace(f'    "{name}",\n', "")
    (folder / "bucle.toml").write_text(charter)
    told = json.loads(run([*_alone(), bucle, "run", "--json"], folder))
    run([bucle, "promote", told["model"], "--because", "measured"], folder)
    return folder


def _alone() -> list[str]:
    """Return what goes before a command so that it takes one thread."""
    return ["env", *(f"{name}={value}" for name, value in ONE_THREAD.items())]


def _copied(path: Path, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(path, folder)
    return folder


def _ours(name: str, folder: Path) -> Contender:
    token = folder / ".bucle" / "serve" / "token"
    bucle = str(Path(sys.executable).parent / "bucle")
    return Contender(
        name=name,
        command=lambda port: [bucle, "serve", "--port", str(port)],
        folder=folder,
        path="/predict",
        body=lambda rows: rows[0] if len(rows) == 1 else list(rows),
        headers=lambda: {
            "authorization": f"Bearer {token.read_text().strip() if token.exists() else ''}"
        },
    )


def _fastapi(name: str, python: Path, folder: Path) -> Contender:
    return Contender(
        name=name,
        command=lambda port: [*_uvicorn(str(python), port), "fastapi_app:app"],
        folder=folder,
        path="/predict",
        body=lambda rows: rows[0] if len(rows) == 1 else list(rows),
    )


def _mlflow(name: str, python: Path, folder: Path) -> Contender:
    return Contender(
        name=name,
        command=lambda port: [
            *(str(python.parent / "mlflow"), "models", "serve", "-m", "mlflow"),
            *("--env-manager", "local", "-h", "127.0.0.1", "-p", str(port), "--workers", "1"),
        ],
        folder=folder,
        path="/invocations",
        body=lambda rows: {
            "dataframe_split": {
                "columns": list(rows[0]),
                "data": [list(row.values()) for row in rows],
            }
        },
    )


def _bentoml(name: str, python: Path, folder: Path) -> Contender:
    return Contender(
        name=name,
        command=lambda port: [
            *(str(python.parent / "bentoml"), "serve", "bento_app:Pricer"),
            *("--host", "127.0.0.1", "--port", str(port), "--api-workers", "1"),
        ],
        folder=folder,
        path="/predict",
        body=lambda rows: {"quotes": list(rows)},
        environment={"BENTOML_HOME": str(folder / "home")},
    )


def _litserve(name: str, python: Path, folder: Path) -> Contender:
    return Contender(
        name=name,
        command=lambda port: [str(python), "lit_app.py", str(port)],
        folder=folder,
        path="/predict",
        body=lambda rows: {"quotes": list(rows)},
    )


def _mlserver(name: str, python: Path, folder: Path) -> Contender:
    """Its settings are files, and its ports are in them."""

    def command(port: int) -> list[str]:
        # Its inference pool cannot start under the uvloop of its own lock; it answers without one.
        others = {"grpc_port": _free_port(), "metrics_port": _free_port()}
        settings = {"host": "127.0.0.1", "http_port": port, "parallel_workers": 0, **others}
        (folder / "settings.json").write_text(json.dumps(settings))
        model = {
            "name": "pricer",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib"},
        }
        (folder / "model-settings.json").write_text(json.dumps(model))
        return [str(python.parent / "mlserver"), "start", "."]

    def body(rows: Rows) -> dict[str, Any]:
        return {
            "parameters": {"content_type": "pd"},
            "inputs": [_tensor(column, [row[column] for row in rows]) for column in rows[0]],
        }

    return Contender(
        name=name, command=command, folder=folder, path="/v2/models/pricer/infer", body=body
    )


def _tensor(name: str, values: list[Any]) -> dict[str, Any]:
    is_text = isinstance(values[0], str)
    kinds = {int: "INT64", float: "FP64", str: "BYTES"}
    found = {
        "name": name,
        "shape": [len(values), 1],
        "datatype": kinds[type(values[0])],
        "data": values,
    }
    return {**found, "parameters": {"content_type": "str"}} if is_text else found


_PEERS: dict[str, tuple[str, Callable[[str, Path, Path], Contender]]] = {
    "FastAPI": (".env-serving", _fastapi),
    "MLflow": (".env-serving", _mlflow),
    "BentoML": (".env-serving", _bentoml),
    "LitServe": (".env-serving", _litserve),
    "MLServer": (".env-mlserver", _mlserver),
}
ANY_ROW = {
    "country": "Nigeria",
    "via": "Direct Drop",
    "inco_term": "EXW",
    "vendor": "Aurobindo Pharma Limited",
    "classification": "Adult",
    "molecule": "Nevirapine",
    "brand": "Generic",
    "form": "Tablet",
    "site": "Aurobindo Unit III, India",
    "first_line": "Yes",
    "pack_size": 60,
    "packs": 1000,
    "asked_year": 2012.5,
}


def _uvicorn(python: str, port: int) -> list[str]:
    return [
        *(python, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"),
    ]


def _first(rows: Rows) -> Any:
    return rows[0] if len(rows) == 1 else list(rows)


def _ask(wish: dict[str, Any]) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{wish['port']}{wish['path']}",
        data=wish["body"].encode(),
        headers={"content-type": "application/json", **wish["headers"]},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
        return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
