"""What a package and a verdict rest on, as the keys of their tasks have it."""

import msgspec
import pytest

from bucle.errors import StepError
from bucle.loop.judging import (
    Fitted,
    Packaged,
    evidence_id,
    fit_id,
    judge_task,
    package_task,
    refit_tasks,
)
from bucle.loop.plan import Cut
from bucle.loop.state import ModelRecord
from bucle.pipeline.tasks import Artifact, TaskResult

CUT = Cut(cut="2025-06-01T00:00:00.000000Z", end="2026-01-01T00:00:00.000000Z")
CHARTER = """
[project]
name = "shop"

[data.sales]
key = "id"
event_time = "day"
label = "price"
label_time = "sold"

[data.brands]

"""
NAMES = ("model", "features", "features@newer", "model@newer")


def artifact(content):
    return Artifact(digest=content, format="json", bytes=1)


def result(name, **fields):
    fields = {"artifact": artifact(f"content of {name}")} | fields
    return TaskResult(name=name, state="ran", why="", **fields)


PACKAGED = Packaged(model="m-new", digest="5" * 64, metrics={}, artifact=artifact("package"))
CHAMPION = ModelRecord(model="m-old", at="", runs=(), metrics={}, cut="2025-01-01")


@pytest.fixture
def fitted(shop):
    def build(made=None, **changed):
        made = made or shop()
        results = {name: result(name) for name in NAMES} | changed
        return Fitted(plan=made.plan(), cut=CUT, results=results)

    return build


@pytest.fixture
def judging(shop, fitted):
    def build(charter=None, *, champion=CHAMPION, looks=0, others=0, cut=CUT, **changed):
        made = shop(charter) if charter else shop()
        run = msgspec.structs.replace(fitted(made, **changed), cut=cut)
        return judge_task(
            made.workspace, run, PACKAGED, champion=champion, looks=looks, others=others
        )

    return build


def test_evidence_is_the_same_however_often_one_has_looked(judging):
    assert evidence_id(judging(looks=0)) == evidence_id(judging(looks=7, others=3))


def test_looks_are_told_to_the_referee(judging):
    assert judging(looks=7, others=3).parameters["looks"] == 7
    assert judging(looks=7, others=3).parameters["others"] == 3


def test_evidence_changes_with_what_it_rests_on(judging):
    judged = {
        "as it is": judging(),
        "first champion": judging(champion=None),
        "another champion": judging(champion=msgspec.structs.replace(CHAMPION, model="m-x")),
        "champion's cut": judging(champion=msgspec.structs.replace(CHAMPION, cut="2025-03-01")),
        "newer rows": judging(
            **{"features@newer": result("features@newer", artifact=artifact("x"))}
        ),
        "cut": judging(cut=msgspec.structs.replace(CUT, cut="2025-07-01T00:00:00.000000Z")),
        "confidence": judging(CHARTER + "[gates]\nconfidence = 0.9\n"),
        "limit": judging(CHARTER + '[[charter.kpis]]\nmetric = "mae"\nmust = 3.0\n'),
        "money": judging(CHARTER + '[charter.money]\nerror = "squared"\n'),
    }
    assert len({evidence_id(task) for task in judged.values()}) == len(judged)


def test_evidence_does_not_rest_on_the_folder(shop, fitted):
    task = judge_task(shop().workspace, fitted(), PACKAGED, champion=None, looks=0, others=0)
    elsewhere = msgspec.structs.replace(task, context={"packages": "/x", "root": "/y"})
    assert evidence_id(elsewhere) == evidence_id(task)
    assert task.context.keys() == {"packages", "root"}


@pytest.mark.parametrize("setting", ['promote = "ask"', "refit = true"])
def test_what_only_follows_a_verdict_is_no_evidence(judging, setting):
    text = CHARTER + f"\n[gates]\n{setting}\n"
    assert evidence_id(judging(text)) == evidence_id(judging(CHARTER))


def test_package_rests_on_its_charter_and_lineage(shop, fitted):
    task = package_task(shop().workspace, fitted())
    assert task.artifacts["model"].digest == "content of model"
    assert task.artifacts["newer"].digest == "content of features@newer"
    lineage = task.parameters["lineage"]
    assert lineage["datasets"] == {"brands": "print of brands", "sales": "print of sales"}
    assert list(lineage["steps"]) == ["clean", "features", "model"]
    assert lineage["trained_until"] == CUT.cut


def test_package_that_was_lost_is_made_again_under_another_key(shop, fitted):
    once, again = (package_task(shop().workspace, fitted(), again=run) for run in ("", "r-2"))
    assert once.stamps != again.stamps
    assert once.parameters == again.parameters


def test_labels_and_keys_are_hidden_from_the_model(shop, fitted):
    question = package_task(shop().workspace, fitted()).parameters["question"]
    assert question["hidden"] == ["id", "price"]
    assert (question["target"], question["event_time"]) == ("price", "day")


def test_refit_is_packaged_from_what_is_known_now(shop, fitted):
    package, compare = refit_tasks(shop().workspace, fitted(), PACKAGED)
    assert package.artifacts["model"].digest == "content of model@newer"
    assert package.parameters["lineage"]["trained_until"] == CUT.end
    assert compare.inputs == {"refit": package.name}
    assert compare.artifacts["package"] == PACKAGED.artifact


def test_own_cost_function_counts_with_its_code(shop, fitted):
    text = CHARTER + '[charter.money]\nerror = "costs.py:loss"\n'
    stamps = []
    for body in ("truth - guess", "2 * (truth - guess)"):
        made = shop(text, costs=f"def loss(truth, guess): return {body}")
        stamps.append(package_task(made.workspace, fitted(made)).stamps)
    assert stamps[0].keys() == {"cost of an error"}
    assert stamps[0] != stamps[1]


def test_failed_task_is_raised_where_its_artifact_is_wanted(shop, fitted):
    broken = result("model", artifact=None, error="no rows", problem={"error": "no rows"})
    with pytest.raises(StepError, match="no rows"):
        package_task(
            shop().workspace, fitted(model=msgspec.structs.replace(broken, state="failed"))
        )


def test_examples_that_are_a_dataset_are_taken_from_its_view(shop):
    made = shop(pipeline="def model(sales): return 1")
    results = {name: result(name) for name in ("model", "data sales@train", "data sales@newer")}
    task = package_task(made.workspace, Fitted(plan=made.plan(), cut=CUT, results=results))
    assert task.artifacts["train"].digest == "content of data sales@train"
    assert task.artifacts["newer"].digest == "content of data sales@newer"


def test_a_fit_is_told_by_the_model_and_the_code_and_not_by_what_was_measured_since(shop, fitted):
    made = shop()
    known = fit_id(made.workspace, fitted(made))
    measured = fitted(made, **{"features@newer": result("features@newer", artifact=artifact("x"))})
    assert fit_id(made.workspace, measured) == known
    learned = fitted(made, model=result("model", artifact=artifact("another")))
    assert fit_id(made.workspace, learned) != known
    code = """
        def clean(sales): return sales
        def features(clean, brands, width: int = 3): return clean
        def model(features, rate: float = 0.1): return features{}
        def error(model, features): return 1{}
    """
    plain, rewritten, beside = (
        fit_id(one.workspace, fitted(one))
        for one in (
            shop(pipeline=code.format(*ends)) for ends in (("", ""), ("[1:]", ""), ("", "+1"))
        )
    )
    assert plain == beside != rewritten
