"""Which step sees which part of the data, and what a run refuses to begin with."""

import pytest

from bucle.errors import PipelineError, UnknownNameError
from bucle.loop.plan import Cut, cut_task, plan_tasks, steps_after

CUT = Cut(cut="2025-06-01T00:00:00.000000Z", end="2026-01-01T00:00:00.000000Z")


@pytest.fixture
def tasks(shop, tmp_path):
    def build(made=None, *, refit=False, cut=CUT, moment=None):
        made = made or shop()
        found = plan_tasks(
            made.plan(moment=moment),
            made.charter,
            cut,
            tables=tmp_path / "tables",
            reader=made.reader,
            refit=refit,
        )
        return {task.name: task for task in found}

    return build


def test_steps_up_to_the_model_learn_from_what_was_known_at_the_cut(tasks):
    found = tasks()
    assert found["model"].inputs == {"features": "features"}
    assert found["features"].inputs == {"clean": "clean", "brands": "data brands@train"}
    assert found["clean"].inputs == {"sales": "data sales@train"}
    assert found["data sales@train"].parameters["part"] == "train"


def test_examples_are_made_once_more_from_all_that_is_known_now(tasks):
    found = tasks()
    assert found["features@newer"].inputs == {
        "clean": "clean@newer",
        "brands": "data brands@newer",
    }
    assert found["data sales@newer"].parameters["part"] == "newer"


def test_steps_after_the_model_get_rows_that_training_has_not_seen(tasks):
    found = tasks()
    assert found["error"].inputs == {"model": "model", "features": "features@unseen"}
    unseen = found["features@unseen"]
    assert unseen.inputs == {"value": "features@newer"}
    assert unseen.parameters == {"event_time": "day", "cut": CUT.cut}
    assert found["summary"].inputs == {"error": "error"}


def test_step_beside_the_model_sees_what_is_known_now(tasks):
    assert tasks()["picture@newer"].inputs == {"clean": "clean@newer"}


def test_no_step_that_the_model_needs_reads_newer_rows(tasks):
    found = tasks()
    waiting, seen = ["model"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting.extend(found[name].inputs.values())
    assert not [name for name in seen if name.endswith(("@newer", "@unseen"))]


def test_model_is_fitted_on_newer_rows_only_for_a_refit(tasks):
    assert "model@newer" not in tasks()
    assert tasks(refit=True)["model@newer"].inputs == {"features": "features@newer"}


def test_refit_changes_no_other_task(tasks):
    found = tasks(refit=True)
    del found["model@newer"]
    assert found == tasks()


def test_pipeline_without_a_model_sees_everything(shop, tasks):
    found = tasks(shop(pipeline="def clean(sales): return sales\ndef tidy(clean): return clean"))
    assert set(found) == {"clean", "tidy", "data sales@everything"}
    assert found["data sales@everything"].parameters["part"] == "all"


def test_nothing_is_cut_where_nothing_is_judged(shop, tmp_path):
    made = shop(pipeline="def clean(sales): return sales")
    assert cut_task(made.plan(), made.charter, tables=tmp_path, reader=made.reader) is None


def test_cut_rests_on_the_data_and_not_on_the_folder(shop, tmp_path):
    made = shop()
    here, there = (
        cut_task(made.plan(), made.charter, tables=folder, reader=made.reader)
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert here.stamps == {"data sales": "print of sales"}
    assert (here.parameters, here.stamps) == (there.parameters, there.stamps)
    assert here.context != there.context


def test_examples_may_be_a_dataset(shop, tasks):
    made = shop(pipeline="def model(sales): return 1\ndef error(model, sales): return 1")
    assert made.plan().examples == "sales"
    found = tasks(made)
    assert {"data sales@train", "data sales@newer", "model", "error"} <= set(found)
    assert found["error"].inputs == {"model": "model", "sales": "sales@unseen"}
    assert found["sales@unseen"].inputs == {"value": "data sales@newer"}


def test_step_that_asks_for_the_moment_gets_that_of_its_part(shop, tasks):
    made = shop(
        pipeline="""
        def features(sales, as_of): return sales
        def model(features): return 1
        def error(model, as_of): return 1
        """
    )
    found = tasks(made)
    assert found["features"].moments == {"as_of": CUT.cut}
    assert found["features@newer"].moments == {"as_of": CUT.end}
    assert found["error"].moments == {"as_of": CUT.end}


def test_given_parameters_are_passed_and_defaults_only_noted(shop, tasks):
    made = shop(charter=_charter("[pipeline.parameters.model]\nrate = 0.5\n"))
    found = tasks(made)
    assert found["model"].parameters == {"rate": 0.5}
    assert found["model"].defaults == {}
    assert found["features"].parameters == {}
    assert found["features"].defaults == {"width": 3}


def test_parameter_equal_to_its_default_changes_nothing(shop, tasks):
    made = shop(charter=_charter("[pipeline.parameters.model]\nrate = 0.1\n"))
    assert tasks(made)["model"] == tasks()["model"]


def test_moment_of_the_run_reaches_the_views(tasks):
    moment = "2025-09-01T00:00:00.000000Z"
    found = tasks(moment=moment)
    assert found["data sales@newer"].parameters["moment"] == moment


@pytest.mark.parametrize(
    ("setting", "error", "code"),
    [
        ("[pipeline.parameters.modle]\nrate = 0.5\n", UnknownNameError, "bucle-148"),
        ("[pipeline.parameters.model]\nrat = 0.5\n", UnknownNameError, "bucle-145"),
        ('[pipeline.parameters.model]\nrate = "much"\n', PipelineError, "bucle-146"),
        ('[pipeline]\nexamples = "featurs"\n', PipelineError, "bucle-234"),
        ('[pipeline]\nexamples = "error"\n', PipelineError, "bucle-234"),
        ('[pipeline]\nexamples = "model"\n', PipelineError, "bucle-234"),
        ('[pipeline]\nmodel = "modle"\ntarget = "price"\n', PipelineError, "bucle-233"),
    ],
)
def test_refuses_what_does_not_fit_the_pipeline(shop, setting, error, code):
    with pytest.raises(error) as caught:
        shop(charter=_charter(setting)).plan()
    assert caught.value.code == code
    assert caught.value.what


def test_refuses_a_dataset_without_rows(shop):
    with pytest.raises(PipelineError, match="brands") as caught:
        shop().plan(without=("brands",))
    assert caught.value.code == "bucle-230"
    assert "bucle data add brands" in caught.value.attempt


def test_dataset_that_no_step_takes_may_be_empty(shop):
    made = shop(pipeline="def model(sales): return 1")
    assert list(made.plan(without=("brands",)).datasets) == ["sales"]


def test_refuses_a_model_that_takes_nothing(shop):
    with pytest.raises(PipelineError, match="takes no frame") as caught:
        shop(pipeline="def model(): return 1").plan()
    assert caught.value.code == "bucle-234"


def test_refuses_a_model_of_which_nobody_says_what_it_predicts(shop):
    text = '[project]\nname = "shop"\n\n[data.sales]\n'
    with pytest.raises(PipelineError, match="what is predicted") as caught:
        shop(charter=text, pipeline="def model(sales): return 1").plan()
    assert caught.value.code == "bucle-235"


def test_target_is_the_first_label_unless_the_charter_says_more(shop):
    assert shop().plan().target == "price"
    assert shop(charter=_charter('[pipeline]\ntarget = "margin"\n')).plan().target == "margin"


def test_dataset_with_a_label_decides_over_time(shop):
    plan = shop().plan()
    assert plan.datasets.keys() == {"brands", "sales"}
    assert plan.primary == "sales"


def test_steps_after_the_model_need_it_directly_or_not(shop):
    assert steps_after(shop().plan().graph, "model") == {"error", "summary"}
    assert steps_after(shop().plan().graph, None) == frozenset()


def _charter(more):
    text = (
        '[project]\nname = "shop"\n\n[data.sales]\nkey = "id"\nevent_time = "day"\n'
        'label = "price"\nlabel_time = "sold"\n\n[data.brands]\n\n'
    )
    return text + more


def test_model_waits_for_a_look_at_the_columns_that_the_charter_names(tasks):
    found = tasks()
    assert found["model"].after == ("check columns",)
    assert found["check columns"].inputs == {"examples": "features"}
    assert found["check columns"].parameters["named"]["pipeline.target"] == ["price"]
