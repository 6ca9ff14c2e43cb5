"""What is refused as the log says it, and the alarms that follow from it."""

from state_samples import came, made

from bucle.loop.events import DataAdded, SourceFile
from bucle.loop.observations import AlarmRaised, DataRefused
from bucle.loop.refused import alarms_of, say_refused

AT = "2026-03-01T12:00:00.000000Z"


def refused(file="a.csv", dataset="sales", **fields):
    fields = {"digest": "d", "error": "Cannot read it.\n  Cause: so", **fields}
    return DataRefused(dataset=dataset, file=file, **fields)


def added(*names, origin="files"):
    files = tuple(SourceFile(name=name, digest="d", bytes=1) for name in names)
    kept = {name: getattr(came(1), name) for name in DataAdded.__struct_fields__}
    return DataAdded(**(kept | {"files": files, "origin": origin}))


def names(state):
    return {dataset: sorted(files) for dataset, files in state.refused.items()}


def news(*facts, now=()):
    state = made(*facts)
    return alarms_of(state.refused, state.alarms, now, at=AT)


def test_a_file_is_refused_until_it_is_over_or_taken():
    first = (refused(), refused("b.csv"), refused("a.csv", "items"))
    assert names(made(*first)) == {"sales": ["a.csv", "b.csv"], "items": ["a.csv"]}
    assert names(made(*first, added("a.csv"))) == {"sales": ["b.csv"], "items": ["a.csv"]}
    assert names(made(*first, refused(over="it is gone"))) == {
        "sales": ["b.csv"],
        "items": ["a.csv"],
    }
    assert names(made(refused(), added("a.csv"))) == {}
    assert names(made(refused(), added("c.csv"))) == {"sales": ["a.csv"]}


def test_only_the_source_itself_ends_what_was_refused_of_it():
    assert names(made(refused(""), added("c.csv"))) == {"sales": [""]}
    assert names(made(refused(""), added("c.csv", origin="source"))) == {}


def test_one_alarm_for_each_dataset_with_its_files():
    facts = (refused(), refused("b.csv", error="No."), refused("", "items"))
    raised = news(now=facts)
    assert [one.name for one in raised] == ["contract: sales: schema", "contract: items: schema"]
    assert raised[0].why == "2 files were refused, the last b.csv: No"
    assert raised[1].why == "its source was refused: Cannot read it"
    assert [one["id"] for one in raised[0].examples] == ["a.csv", "b.csv"]
    # As the controller puts them on record at once.
    assert news(*facts, *raised) == ()
    assert news(*facts, *raised, now=(refused("c.csv"),)) == ()


def test_an_alarm_ends_with_the_last_file_and_no_other_does():
    other = AlarmRaised(layer="contract", subject="sales.size: schema", since="", why="so")
    facts = (refused(), refused("b.csv"), *news(now=(refused(),)), other)
    assert news(*facts, now=(refused(over="it is gone"),)) == ()
    (over,) = news(*facts, refused(over="it is gone"), now=(refused("b.csv", over="it is gone"),))
    assert (over.name, over.why) == ("contract: sales: schema", "b.csv: it is gone")
    (over,) = news(*facts, added("a.csv", "b.csv"))
    assert over.why == "what was refused was mended and taken"


def test_an_error_is_said_by_its_first_line():
    assert say_refused(made(refused()).refused["sales"]) == "a.csv was refused: Cannot read it"
