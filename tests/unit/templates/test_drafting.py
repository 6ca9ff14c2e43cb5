import ast
import tomllib
from datetime import UTC, datetime
from importlib.resources import files

import numpy as np
import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.templates.drafting import charter_text, contract_text, pipeline_text
from bucle.templates.table import Roles, survey_table

READING = DatasetSettings()


def _survey(frame, **roles):
    return survey_table(frame, Roles(**({"target": "y"} | roles)), reading=READING)


def _fields(table):
    """Return the fields of the drafted contract: name, type and keywords, without running it."""
    body = ast.parse(contract_text(table)).body[-1].body
    found = {}
    for line in body:
        if isinstance(line, ast.Assign):
            call = line.value
            given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
            given["type"] = call.func.attr
            given["args"] = [ast.literal_eval(value) for value in call.args]
            found[line.targets[0].id] = given
    return found


def _many(**columns):
    rows = 1200
    rng = np.random.default_rng(0)
    base = {"size": rng.gamma(2, 2, rows), "y": rng.normal(size=rows)}
    return pl.DataFrame(base).with_columns(**columns)


def test_writes_types_nulls_sets_and_bounds_that_were_seen():
    frame = _many(
        grade=pl.Series(["A", "B", "C"] * 400),
        gap=pl.Series([None, 1.5] * 600),
        below=pl.Series([-1, 2] * 600),
        yes=pl.Series([True, False] * 600),
        at=pl.Series([datetime(2026, 1, 1 + n % 28, tzinfo=UTC) for n in range(1200)]),
    )
    fields = _fields(_survey(frame)[1])
    assert fields["grade"] == {"type": "Enum", "args": [["A", "B", "C"]], "nullable": False}
    assert fields["gap"] == {"type": "Float64", "args": [], "min": 0, "nullable": True}
    assert fields["below"] == {"type": "Int64", "args": [], "nullable": False}
    assert fields["yes"]["type"] == "Bool"
    assert fields["at"]["time_zone"] == "UTC"
    assert fields["size"]["min"] == 0
    assert fields["y"] == {"type": "Float64", "args": [], "nullable": True}


def test_few_rows_say_nothing_of_what_is_never_empty():
    frame = pl.DataFrame({"size": [1.0, 2.0, 3.0], "y": [2.0, 4.5, 1.0]})
    assert _fields(_survey(frame)[1])["size"] == {"type": "Float64", "args": [], "nullable": True}


@pytest.mark.parametrize(
    "name",
    [
        "Unit Price",
        "class",
        "filter",
        "_hidden",
        "__init__",
        "1st",
        "<script>alert(1)</script>",
        'quote"\\',
        "número",
        "ﬁt",
        "new\nline",
        "x" * 10_000,
        "dy",
        "€",
    ],
)
def test_any_column_name_makes_a_contract_and_a_charter_that_parse(name):
    frame = _many().rename({"size": name})
    typed, table = _survey(frame)
    fields = _fields(table)
    assert name in {given.get("alias", attribute) for attribute, given in fields.items()}
    text = charter_text(table, name="p", reading=READING, copied=("a.csv",), labels=typed["y"])
    assert tomllib.loads(text)["pipeline"]["features"] == [name]


def test_names_that_meet_in_one_spelling_stay_apart():
    frame = _many().rename({"size": "a b"}).with_columns(pl.lit(1.0).alias("a-b"))
    fields = _fields(_survey(frame)[1])
    assert {given.get("alias") for given in fields.values()} >= {"a b", "a-b"}
    assert len(fields) == 3


def test_the_must_is_what_a_naive_guess_reaches():
    frame = pl.DataFrame({"size": [1.0, 2.0, 3.0, 9.0], "y": [10.0, 20.0, 30.0, 60.0]})
    typed, table = _survey(frame)
    text = charter_text(table, name="p", reading=READING, copied=(), labels=typed["y"])
    kpi = tomllib.loads(text)["charter"]["kpis"][0]
    # The median is 25: the errors are 15, 5, 5 and 35 of 120 in all.
    assert kpi == {"metric": "wape", "goal": 0.35, "must": 0.5}


def test_targets_on_both_sides_of_zero_are_judged_by_mae():
    frame = _many()
    typed, table = _survey(frame)
    text = charter_text(table, name="p", reading=READING, copied=(), labels=typed["y"])
    assert tomllib.loads(text)["charter"]["kpis"][0]["metric"] == "mae"


def test_a_yes_or_no_is_judged_by_log_loss_against_the_base_rate():
    frame = _many(y=pl.Series(["yes", "no", "no", "no"] * 300))
    typed, table = _survey(frame)
    charter = tomllib.loads(
        charter_text(table, name="p", reading=READING, copied=(), labels=typed["y"])
    )
    first, second = charter["charter"]["kpis"]
    assert (first["metric"], first["must"]) == ("log_loss", 0.562)
    assert second["metric"] == "auc"
    assert charter["charter"]["money"]["error"] == "zero-one"
    assert charter["pipeline"]["kind"] == "classification"


def test_what_cannot_be_promised_is_a_risk_of_the_charter():
    typed, table = _survey(_many())
    text = charter_text(table, name="p", reading=READING, copied=(), labels=typed["y"])
    assert "No event time" in " ".join(tomllib.loads(text)["charter"]["risks"])


@pytest.mark.parametrize(("rows", "trees"), [(1_000, 60), (50_000, 100), (150_000, 200)])
def test_few_rows_are_given_few_trees(rows, trees):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"size": rng.normal(size=rows), "y": rng.normal(size=rows)})
    source = (files("bucle.templates") / "blank" / "pipeline.py").read_text()
    tree = ast.parse(pipeline_text(source, _survey(frame)[1]))
    model = next(node for node in tree.body if getattr(node, "name", "") == "model")
    assert [ast.literal_eval(value) for value in model.args.defaults][1] == trees


def test_the_pipeline_names_its_columns_and_codes():
    frame = _many(zone_id=pl.Series([n % 40 for n in range(1200)]), y=pl.Series(["si", "no"] * 600))
    source = (files("bucle.templates") / "blank" / "pipeline.py").read_text()
    tree = ast.parse(pipeline_text(source, _survey(frame)[1]))
    found = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
    }
    assert found == {
        "KIND": "classification",
        "TARGET": "y",
        "YES": "si",
        "FEATURES": ["size", "zone_id"],
        "CODES": ["zone_id"],
    }
