"""What a run answers: one document with fixed keys, or five parts in words."""

import json

from bucle.cli.run import _document, _tell
from bucle.cli.terminal import Terminal
from bucle.loop.events import DataAdded, StepRecord
from bucle.loop.training import RunData, RunOutcome
from bucle.types import Check, Coercion, Verdict

ADDED = DataAdded(
    dataset="sales",
    data_version=2,
    table_version=1,
    rows=1200,
    fingerprint="f",
    read=9,
    added=5,
    changed=1,
    unchanged=0,
    quarantined=3,
    coerced=(Coercion(column="price", count=2, examples=("N/A",)),),
)
CHECK = Check(name="must:wape", outcome="pass", estimate=0.4, low=0.3, high=0.5, limit=0.6)
DONE = RunOutcome(
    run="r-1",
    state="done",
    data=(
        RunData(dataset="sales", version=2, rows=1200, fingerprint="f", addition=ADDED),
        RunData(dataset="brands", version=1, rows=3, fingerprint="g"),
    ),
    steps=(
        StepRecord(name="clean", state="cached", seconds=0.0, why="nothing changed", rows=1200),
        StepRecord(name="model", state="ran", seconds=1.5, why="input `clean` changed"),
    ),
    metrics={"model.depth": 3.0, "wape": 0.4},
    model="m-b",
    cut="2025-06-01T00:00:00.000000Z",
    verdict=Verdict(outcome="pass", checks=(CHECK,), rows=300, challenger="m-b", champion="m-a"),
    champion="m-b",
    previous="m-a",
    promoted=True,
    warnings=("few rows",),
)
FAILED = RunOutcome(
    run="r-2",
    state="failed",
    data=(),
    steps=(
        StepRecord(name="clean", state="failed", seconds=0.1, why="first run"),
        StepRecord(name="model", state="skipped", seconds=0.0, why="`clean` failed"),
    ),
    error="Step 'clean' failed.",
    traceback="pipeline.py, line 3",
)


def told(outcome, capsys, *, explain=False):
    _tell(outcome, Terminal(), explain=explain)
    return capsys.readouterr()


def test_document_has_the_keys_that_stay():
    document = json.loads(json.dumps(_document(DONE)))
    assert {"run", "steps", "metrics", "model", "verdict", "champion"} <= document.keys()
    assert {"name", "state", "seconds", "why"} <= document["steps"][0].keys()
    checks = document["verdict"]["checks"]
    wanted = {"name", "outcome", "estimate", "low", "high", "limit", "labels_needed"}
    assert wanted <= checks[0].keys()
    assert (document["champion"], document["verdict"]["outcome"]) == ("m-b", "pass")
    assert document["data"][0]["coerced"][0]["count"] == 2


def test_document_of_a_failed_run_says_why():
    document = _document(FAILED)
    assert (document["state"], document["verdict"], document["model"]) == ("failed", None, None)
    assert "clean" in document["error"]


def test_run_is_told_in_five_parts(capsys):
    out, err = told(DONE, capsys)
    parts = ["data", "steps", "model", "gate", "champion"]
    assert [line for line in out.splitlines() if line in parts] == parts
    assert max(len(line) for line in out.splitlines()) <= 80
    assert err == ""


def test_data_is_told_with_what_came_and_what_was_held(capsys):
    out = told(DONE, capsys).out
    assert "5 added, 1 changed, 3 quarantined" in out
    assert "sales.price: 2 values became null, such as 'N/A'" in out
    assert "bucle data quarantine sales" in out
    assert "brands  version 1  3 rows      unchanged" in out


def test_reasons_are_told_when_asked_for(capsys):
    assert "input `clean` changed" not in told(DONE, capsys).out
    assert "input `clean` changed" in told(DONE, capsys, explain=True).out


def test_champion_is_told_with_the_one_before(capsys):
    assert "  m-b (before: m-a)" in told(DONE, capsys).out


def test_metrics_of_the_model_come_before_those_of_steps(capsys):
    out = told(DONE, capsys).out
    assert out.index("wape") < out.index("model.depth")


def test_failed_run_ends_with_the_error_and_no_champion(capsys):
    out, err = told(FAILED, capsys)
    assert "champion" not in out
    assert "first run" not in out
    assert "`clean` failed" in out
    assert err.splitlines() == ["pipeline.py, line 3", "", "Step 'clean' failed."]
