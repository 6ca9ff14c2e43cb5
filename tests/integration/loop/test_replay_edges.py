"""Whole replays of small projects at the edges: metrics, costs, learners, windows, labels."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from replays import START, draw_rows, workspace_of, write_project

from bucle.clock import to_iso
from bucle.errors import BucleError
from bucle.loop.replay.findings import Findings
from bucle.loop.replay.replay import ReplayRequest, replay_project

REQUEST = ReplayRequest(
    start=to_iso(START), period="1w", policies=("never", "every:1w"), gates=("none",)
)


def change(project: Path, file: str, pattern: str, text: str) -> Path:
    """Change a file of a project where a pattern stands once."""
    path = project / file
    changed, count = re.subn(pattern, lambda _: text, path.read_text())
    assert count == 1
    path.write_text(changed)
    return project


def replay(project: Path, **changes) -> Findings:
    return replay_project(workspace_of(project), ReplayRequest(**{**vars_of(REQUEST), **changes}))


def vars_of(request: ReplayRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def compared(findings: Findings, a: str, b: str) -> float:
    (found,) = (one for one in findings.comparisons if {one.a, one.b} == {a, b})
    return found.difference if found.a == a else -found.difference


@pytest.mark.parametrize("period", ["1w", "1d"])
def test_auc_is_compared_by_a_loss_that_may_be_added_up(tmp_path, period) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="yes or no")
    change(project, "bucle.toml", 'metric = "brier"', 'metric = "auc"')
    found = replay(project, period=period)
    assert found.metric == "auc"
    assert all(0.5 < policy.error < 1.0 for policy in found.policies)
    assert any("log loss" in warning for warning in found.warnings)
    change(project, "bucle.toml", 'metric = "auc"', 'metric = "log_loss"')
    plain = replay(project, period=period)
    assert plain.comparisons == found.comparisons
    assert plain.benefit == found.benefit


def test_a_cost_below_zero_is_compared_by_what_is_lost_beyond_the_truth(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="row-wise")
    change(project, "bucle.toml", 'metric = "mae"', 'metric = "money"')
    change(
        project,
        "bucle.toml",
        r"\[charter\.money\]",
        '[charter.money]\nerror = "cost.py:cost"',
    )
    (project / "cost.py").write_text(
        "def cost(truth, prediction):\n    return abs(truth - prediction) - 10 * truth\n"
    )
    found = replay(project)
    assert all(policy.money < 0 for policy in found.policies)
    assert compared(found, *(policy.name for policy in found.policies)) > 0.0
    assert found.benefit is not None


def test_a_learner_that_looks_at_the_rows_beside_is_refused(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="row-wise")
    change(
        project,
        "line.py",
        r"        return _numbers\(X\) @ self\.slopes_",
        "        found = _numbers(X) @ self.slopes_\n        return found - found.mean()",
    )
    with pytest.raises(BucleError) as caught:
        replay(project)
    assert caught.value.code == "bucle-280"


def test_a_window_is_split_by_the_labels_within_it(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="row-wise")
    found = replay(project, windows=("last:2w",))
    split = found.benefit
    assert split is not None
    assert split.more != 0.0
    everything = replay(project, windows=("last:2w", "expanding")).benefit
    assert everything is not None
    assert everything.labels_at_end > split.labels_at_end


def test_a_window_longer_than_history_trains_nothing_of_its_own(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="row-wise")
    alone = replay(project).trainings
    both = replay(project, windows=("expanding", "last:1y")).trainings
    assert (both.distinct, both.trained) == (alone.distinct, 0)


def test_a_window_without_a_label_is_refused_at_once(tmp_path) -> None:
    rows = [row._replace(paid_at=row.sold_at + timedelta(days=9)) for row in draw_rows(3)]
    project = write_project(tmp_path / "p", rows, kind="row-wise")
    with pytest.raises(BucleError, match="last:1w: it holds no label") as caught:
        replay(project, windows=("last:1w",))
    assert caught.value.code == "bucle-261"


def test_examples_that_keep_the_newest_rows_only_can_be_judged(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="row-wise")
    change(
        project,
        "pipeline.py",
        r"def examples\(sales: pl\.DataFrame\) -> pl\.DataFrame:\n    return sales",
        "from datetime import timedelta\n\n\n"
        "def examples(sales: pl.DataFrame, as_of) -> pl.DataFrame:\n"
        "    if as_of is None:\n        return sales\n"
        '    return sales.filter(pl.col("sold_at") >= as_of - timedelta(days=8))',
    )
    found = replay(project, gates=("referee",))
    assert [policy.name for policy in found.policies] == ["never", "every:1w referee"]


def test_labels_that_are_words_are_named(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="yes or no")
    change(project, "bucle.toml", 'metric = "brier"', 'metric = "mae"')
    change(project, "bucle.toml", 'kind = "classification"', 'kind = "regression"')
    with pytest.raises(BucleError, match="labels are no numbers, such as") as caught:
        replay(project)
    assert caught.value.code == "bucle-256"


def test_the_end_that_is_asked_for_is_not_passed(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="row-wise")
    found = replay(project, end=to_iso(START + timedelta(days=17)))
    assert (found.periods, found.end) == (2, (START + timedelta(days=14)).date().isoformat())
    beyond = replay(project, end="2040-01-01T00:00:00.000000Z")
    assert any("history ends on" in warning for warning in beyond.warnings)


def test_naive_predictions_stand_beside_the_policies(tmp_path) -> None:
    project = write_project(tmp_path / "p", draw_rows(3), kind="row-wise")
    found = replay(project)
    assert set(found.baselines) == {"median"}
    assert found.baselines["median"] > found.policies[1].error
