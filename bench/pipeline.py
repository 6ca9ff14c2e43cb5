"""The pipeline: nothing changed, everything changed, an edited helper, an edited input.

Six steps on the consignment file under `bucle run`, as a plain script and under `dvc repro`.
"""

import json
import shutil
import sys
from pathlib import Path

from bench.figures import Contender, compare, report, run, workplace

__all__ = ["measure"]

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "scms_consignments.csv"
PYTHON = [sys.executable]
BUCLE = ["bucle", "run", "--json"]
DVC = ["dvc", "repro", "--quiet"]


def measure(*, repeats: int) -> None:
    """Print the figures of the pipeline."""
    if not DATA.exists():
        print(json.dumps({"figure": "pipeline", "skipped": f"{DATA.name} is absent"}))
        return
    with workplace() as folder:
        ours, script, dvc = (_project(folder / name) for name in ("ours", "script", "dvc"))
        has_dvc = shutil.which("dvc") is not None
        if has_dvc:
            run(["dvc", "init", "--no-scm", "--quiet"], dvc)
            run(DVC, dvc)
        run(BUCLE, ours)
        _nothing_changed(ours, dvc if has_dvc else None, repeats)
        _everything(ours, script, dvc if has_dvc else None, max(repeats // 3, 3))
        _edits(ours, max(repeats // 3, 3))


def _project(folder: Path) -> Path:
    shutil.copytree(HERE / "six_steps", folder)
    (folder / "data").mkdir()
    shutil.copy(DATA, folder / "data")
    return folder


def _nothing_changed(ours: Path, dvc: Path | None, repeats: int) -> None:
    contenders = [
        Contender(name="python -c pass", command=[*PYTHON, "-c", "pass"], folder=ours),
        Contender(name="bucle run", command=BUCLE, folder=ours),
    ]
    if dvc:
        contenders.append(Contender(name="dvc repro", command=DVC, folder=dvc))
    seconds = compare(contenders, repeats=repeats)
    if dvc:
        report(
            "nothing changed, against DVC",
            seconds,
            ours="bucle run",
            reference="dvc repro",
            target=1 / 3,
        )
    report("nothing changed", seconds, ours="bucle run", reference="python -c pass")


def _everything(ours: Path, script: Path, dvc: Path | None, repeats: int) -> None:
    contenders = [
        Contender(name="plain script", command=[*PYTHON, "script.py"], folder=script),
        Contender(
            name="bucle run",
            command=BUCLE,
            folder=ours,
            prepare=lambda: shutil.rmtree(ours / ".bucle", ignore_errors=True),
        ),
    ]
    if dvc:
        contenders.append(Contender(name="dvc repro", command=[*DVC, "--force"], folder=dvc))
    seconds = compare(contenders, repeats=repeats)
    report(
        "full run over the plain script",
        seconds,
        ours="bucle run",
        reference="plain script",
        target=0.5,
        kind="difference",
    )
    if dvc:
        report("full run, against DVC", seconds, ours="bucle run", reference="dvc repro")


def _edits(ours: Path, repeats: int) -> None:
    """Check that edits are seen, and time them."""
    before = json.loads(run(BUCLE, ours))["steps"]
    if {step["state"] for step in before} != {"cached"}:
        sys.exit("a run in which nothing changed ran something")
    cases = {
        "comment": ("cleaning.py", "FLOOR = ", "# one more comment\nFLOOR = ", set()),
        "helper": ("cleaning.py", "0.0001", "0.01", {"validate"}),
        "input": ("data/scms_consignments.csv", "Pre-PQ Process", "Pre-PQ process", {"load"}),
    }
    for name, (file, old, new, expected) in cases.items():
        path = ours / file
        original = path.read_bytes()
        path.write_bytes(original.replace(old.encode(), new.encode()))
        steps = json.loads(run(BUCLE, ours))["steps"]
        ran = {step["name"] for step in steps if step["state"] == "ran"}
        path.write_bytes(original)
        print(
            json.dumps(
                {
                    "figure": f"edited {name} is seen",
                    "ran": sorted(ran),
                    "met": expected <= ran and bool(ran) == bool(expected),
                    "why": {step["name"]: step["why"] for step in steps if step["name"] in ran},
                }
            ),
            flush=True,
        )
    turns = iter(range(10_000))
    path = ours / "cleaning.py"
    original = path.read_text()

    def edit() -> None:
        path.write_text(original.replace("0.0001", f"0.0{next(turns) + 1:04}"))

    seconds = compare(
        [
            Contender(name="plain script", command=[*PYTHON, "script.py"], folder=ours),
            Contender(name="bucle run", command=BUCLE, folder=ours, prepare=edit),
        ],
        repeats=repeats,
    )
    path.write_text(original)
    report("edited helper", seconds, ours="bucle run", reference="plain script")
