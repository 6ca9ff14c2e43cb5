"""One key for everything a task depends on, and words for what changed."""

import msgspec
import pytest

from bucle.errors import PipelineError
from bucle.pipeline.keys import KeyParts, derive_seed, explain, key_of, key_parts
from bucle.pipeline.tasks import Code, Task

PARTS = KeyParts(
    call="pipeline.py:clean",
    code={"pipeline.clean": "1", "features.encode": "2", "file a.csv": "3"},
    libraries={"polars": "2.0", "python": "3.11"},
    inputs={"sales": "4 arrow"},
    types={"pricer.Pricer": "5"},
    settings={"rate": 0.1},
    defaults={"deep": 3},
    moments={"as_of": "2026-01-01"},
    stamps={"data sales": "6"},
)


def changed(**fields):
    return msgspec.structs.replace(PARTS, **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"code": {**PARTS.code, "pipeline.clean": "x"}}, "code of `pipeline.clean` changed"),
        (
            {"code": {**PARTS.code, "features.encode": "x"}},
            "code of helper `features.encode` changed",
        ),
        ({"code": {**PARTS.code, "prices.tag": "x"}}, "code of helper `prices.tag` is new"),
        ({"code": {**PARTS.code, "file a.csv": "x"}}, "file `a.csv` changed"),
        (
            {"code": {"pipeline.clean": "1", "file a.csv": "3"}},
            "code of helper `features.encode` is not used any more",
        ),
        ({"inputs": {"sales": "x arrow"}}, "input `sales` changed"),
        (
            {"types": {"pricer.Pricer": "x"}},
            "code of `pricer.Pricer`, which an input needs, changed",
        ),
        ({"settings": {"rate": 0.2}}, "parameter rate 0.1 → 0.2"),
        ({"settings": {}}, "parameter rate 0.1 → none"),
        ({"moments": {"as_of": None}}, "moment as_of 2026-01-01 → null"),
        ({"stamps": {"data sales": "7"}}, "data sales changed"),
        ({"libraries": {**PARTS.libraries, "polars": "2.1"}}, "library polars 2.0 → 2.1"),
        ({"libraries": {**PARTS.libraries, "numpy": "2"}}, "library numpy not used → 2"),
        ({"libraries": {**PARTS.libraries, "python": "3.12"}}, "python 3.11 → 3.12"),
        ({"seed": 1}, "seed 0 → 1"),
        ({"call": "pipeline.py:clear"}, "it calls pipeline.py:clear instead of pipeline.py:clean"),
    ],
)
def test_each_part_is_in_the_key_and_has_its_words(fields, words):
    other = changed(**fields)
    assert key_of(other) != key_of(PARTS)
    assert words in explain(other, PARTS)


def test_changed_default_is_told_as_a_parameter():
    other = changed(code={**PARTS.code, "pipeline.clean": "x"}, defaults={"deep": 4})
    assert explain(other, PARTS) == "parameter deep 3 → 4"


def test_parts_in_another_order_give_the_same_key():
    other = changed(code=dict(reversed(PARTS.code.items())))
    assert key_of(other) == key_of(PARTS)


def test_no_more_than_three_reasons_are_told():
    other = changed(
        seed=1, settings={"rate": 1}, inputs={"sales": ""}, stamps={}, moments={"as_of": None}
    )
    assert explain(other, PARTS).endswith("; and 2 more")


def test_key_does_not_depend_on_name_context_and_defaults():
    code = Code(parts={"pipeline.clean": "1"})
    one = Task(name="clean", call="pipeline.py:clean", code=code, context={"path": "/a"})
    two = Task(name="clean@newer", call="pipeline.py:clean", code=code, defaults={"x": 1})
    keys = {key_of(key_parts(task, inputs={}, types={}, seed=0)) for task in (one, two)}
    assert len(keys) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1}])
def test_parameter_that_cannot_be_kept_is_refused(value):
    with pytest.raises(PipelineError) as caught:
        key_of(changed(settings={"rate": value}))
    assert caught.value.code == "bucle-146"


def test_seeds_of_steps_differ_and_stay():
    seeds = {derive_seed(seed, call) for seed in (0, 1) for call in ("p.py:a", "p.py:b")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_seed(0, "p.py:a") == 3068301106


def test_tuple_that_came_back_as_a_list_is_no_change():
    given = changed(settings={"rules": {"names": ("a", "b")}})
    kept = changed(settings={"rules": {"names": ["a", "b"]}})
    assert key_of(given) == key_of(kept)
    assert explain(given, kept) == "nothing changed"
