"""What a replay's results are kept under: the view they see, the code, and nothing later."""

import pytest
from msgspec.structs import replace

from bucle.loop.replay.faults import parse_fault
from bucle.loop.replay.recipe import Place, make_recipe
from bucle.loop.replay.tasks import (
    Kitchen,
    answer_task,
    ask_task,
    learn_task,
    look_task,
    survey_task,
    suspect_task,
)
from bucle.pipeline.keys import key_of, key_parts
from bucle.pipeline.tasks import Artifact, Task

CHARTER = """
[project]
name = "shop"

[data.sales]
key = "id"
event_time = "day"
label = "price"
label_time = "sold"

[data.brands]

[pipeline]
examples = "features"
target = "price"
model = "model"
"""
ROWS = Artifact(digest="sha256-rows", format="arrow", bytes=9)


@pytest.fixture
def kitchen(shop):
    found = shop(CHARTER)
    plan = found.plan()
    return Kitchen(
        reader=found.reader,
        recipe=make_recipe(plan, found.charter),
        place=Place(tables="t", versions=dict(plan.datasets), blobs="b", root="r"),
        key=("id",),
        beside=(),
        holdout=0.2,
    )


def key(task: Task) -> str:
    return key_of(key_parts(task, inputs={}, types={}, seed=0))


def learn(kitchen, **changes):
    asked = {"moment": "2026-01-05", "since": None, "view": "v", "newest": None}
    wanted = {"asked": ROWS, "asked_from": "2026-01-01"}
    return learn_task(kitchen, **(asked | wanted | changes))


def test_a_recipe_has_the_steps_that_examples_and_model_need_and_no_other(kitchen) -> None:
    recipe = kitchen.recipe
    assert [call.name for call in recipe.calls] == ["clean", "features", "model"]
    assert (recipe.primary, recipe.examples, recipe.model) == ("sales", "features", "model")
    assert recipe.calls[1].inputs == ("clean", "brands")


def test_what_an_error_costs_changes_no_model(shop) -> None:
    dear = CHARTER + "\n[charter.money]\nretrain = 9.0\n"
    plain, other = shop(CHARTER), shop(dear)
    assert make_recipe(plain.plan(), plain.charter) == make_recipe(other.plan(), other.charter)


@pytest.mark.parametrize(
    "changes",
    [
        {"asked": Artifact(digest="sha256-more", format="arrow", bytes=9)},
        {"asked_from": "2025-01-01"},
    ],
)
def test_which_rows_are_asked_changes_no_model(kitchen, changes) -> None:
    assert key(learn(kitchen, **changes)) == key(learn(kitchen))


@pytest.mark.parametrize(
    "changes",
    [{"view": "w"}, {"moment": "2026-01-06"}, {"newest": 30}],
)
def test_what_is_learned_from_changes_a_model(kitchen, changes) -> None:
    assert key(learn(kitchen, **changes)) != key(learn(kitchen))


def test_how_far_back_a_window_looks_is_in_its_view_and_nowhere_else(kitchen) -> None:
    assert key(learn(kitchen, since="2025-06-01")) == key(learn(kitchen))


def test_a_new_version_of_history_changes_a_model_by_its_view_alone(kitchen) -> None:
    versions = dict(kitchen.place.versions)
    versions["sales"] = replace(versions["sales"], fingerprint="more rows", rows=10)
    grown = replace(kitchen, place=replace(kitchen.place, versions=versions))
    assert key(learn(grown)) == key(learn(kitchen))
    # A table without times is the same at any moment, so all of it counts.
    versions["brands"] = replace(versions["brands"], fingerprint="more brands")
    assert key(learn(replace(grown, place=replace(kitchen.place, versions=versions)))) != key(
        learn(kitchen)
    )


def test_a_fault_is_in_a_key_by_the_view_it_changes(kitchen) -> None:
    fault = parse_fault("labels-x9:2025..2025")
    broken = replace(kitchen, place=replace(kitchen.place, fault=fault))
    assert key(learn(broken)) == key(learn(kitchen))
    grid = {"start": None, "end": None, "period": "1w", "windows": ["expanding"]}
    assert key(survey_task(broken, **grid)) != key(survey_task(kitchen, **grid))


def test_each_task_is_kept_under_what_it_sees(kitchen) -> None:
    asked = {"at": "2026-01-05", "end": "2026-01-12", "view": "v"}
    look = {"moment": "2026-01-05", "view": "v"}
    answer = {"signature": {}, "asked": ROWS, "asked_from": "2026-01-01"}
    model = Artifact(digest="sha256-model", format="skops", bytes=9)
    tasks = [
        ask_task(kitchen, **asked),
        ask_task(kitchen, **(asked | {"view": "w"})),
        look_task(kitchen, **look),
        look_task(kitchen, **(look | {"view": "w"})),
        look_task(kitchen, moment=None, view="w"),
        suspect_task(kitchen, **look),
        answer_task(kitchen, model=model, **answer),
        answer_task(kitchen, model=model, **(answer | {"asked_from": "2026-01-02"})),
        learn(kitchen),
    ]
    assert len({key(task) for task in tasks}) == len(tasks)
    renamed = replace(kitchen, key=("other",))
    assert key(ask_task(renamed, **asked)) != key(tasks[0])
    assert key(look_task(renamed, **look)) != key(tasks[2])


def test_a_window_and_a_number_of_labels_are_in_the_name_people_see(kitchen) -> None:
    names = [
        learn(kitchen).name,
        learn(kitchen, since="2025-06-01").name,
        learn(kitchen, newest=30).name,
    ]
    assert names == [
        "model 2026-01-05",
        "model 2026-01-05 since 2025-06-01",
        "model 2026-01-05 newest 30",
    ]
