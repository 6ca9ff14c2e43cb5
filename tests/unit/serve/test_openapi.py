"""The API described: every field, an example that the server itself takes, nothing unescaped."""

import html
import shlex

import msgspec
import pytest

from bucle.models.rules import Rule
from bucle.models.signature import Feature, Signature
from bucle.serve.openapi import describe, example_row, render_page
from bucle.serve.rows import RowReader
from bucle.serve.slots import Served

EVIL = "<img src=x onerror=alert(1)>"


class Named:
    """What a description needs of a package and an engine."""

    name = "compiled"
    can_explain = True

    def __init__(self, signature, profile):
        self.signature, self.profile = signature, {"columns": profile}


def served(*, rules=(), details=()):
    features = {
        "size": "Float64",
        "count": "Int64",
        EVIL: "String",
        "new": "Boolean",
        "came": "Date",
        "seen": "Datetime[us, UTC]",
        "plain": "Datetime[us]",
    }
    signature = Signature(
        kind="regression",
        target="price",
        features=tuple(Feature(name=name, dtype=dtype) for name, dtype in features.items()),
        details=tuple(Feature(name=name, dtype=dtype) for name, dtype in details),
    )
    profile = {
        "size": {"kind": "number", "quantiles": {"0.5": 2.5}},
        "count": {"kind": "number", "quantiles": {"0.5": 2.5}},
        EVIL: {"kind": "word", "top": [["red", 3], ["blue", 1]]},
        "new": {"kind": "flag"},
        "came": {"kind": "date", "first": "2026-01-02T00:00:00.000000Z"},
        "seen": {"kind": "moment", "first": "2026-01-02T03:04:05.000000Z"},
        "plain": {"kind": "moment", "first": "2026-01-02T03:04:05.000000Z"},
    }
    package = Named(signature, profile)
    reader = RowReader(signature, rules=rules, keys=("id",))
    return Served(model="m-1", package=package, reader=reader, engine=package)


def test_the_example_is_one_that_the_reader_takes() -> None:
    one = served()
    rows, is_one = one.reader.read(msgspec.json.encode(example_row(one)))
    assert is_one
    assert one.reader.values(rows[0])[:4] == (2.5, 2, "red", True)


def test_every_field_is_described_and_the_key_may_be_left_out() -> None:
    one = served(rules=[Rule(name="size", nullable=False, least=0, most=9)])
    found = describe(one, version="1.2.3")
    row = found["components"]["schemas"]["Row"]
    assert set(row["properties"]) == {*one.reader.features, "id"}
    assert set(row["required"]) == set(one.reader.features)
    assert row["properties"]["size"] == {"type": "number", "minimum": 0, "maximum": 9}
    assert found["info"]["version"] == "1.2.3"
    assert set(found["paths"]) >= {"/predict", "/feedback", "/model", "/metrics"}


def test_every_reference_leads_somewhere() -> None:
    found = describe(served(), version="1")
    text = msgspec.json.encode(found).decode()
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(found["components"]["schemas"])
    assert "Row" in names


@pytest.mark.parametrize("rules", [(), [Rule(name=EVIL, one_of=("<b>", "x"), pattern="^[<]")]])
def test_nothing_of_the_data_becomes_part_of_the_page(rules) -> None:
    page = render_page(served(rules=rules)).decode()
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "default-src 'none'" in page
    own = page.replace("curl -s http://127.0.0.1:8000/", "").replace("http-equiv", "")
    assert "http:" not in own


def test_every_operation_has_a_call_with_an_example_that_is_described() -> None:
    one = served()
    page = render_page(one, host="shop.example:81").decode()
    calls = [shlex.split(html.unescape(part.split("</pre>")[0])) for part in page.split("<pre>")]
    calls = [words for words in calls if words[:1] == ["curl"]]
    paths = describe(one, version="1")["paths"]
    assert [words[2] for words in calls] == [f"http://shop.example:81{path}" for path in paths]
    bodies = {words[2].rpartition(":81")[2]: words[-1] for words in calls if "-d" in words}
    assert msgspec.json.decode(bodies["/predict"]) == example_row(one)
    assert set(bodies) == {path for path, methods in paths.items() if "post" in methods}


def test_details_of_an_answer_are_described_with_their_types() -> None:
    types = ["Float64", "Int32", "Boolean", "String", "Date", "Datetime[us]", "Duration[us]"]
    one = served(details=[(f"d{number}", dtype) for number, dtype in enumerate(types)])
    answer = describe(one, version="1")["components"]["schemas"]["Answer"]
    found = answer["properties"]["details"]
    assert found["required"] == list(found["properties"]) == [f"d{n}" for n in range(len(types))]
    assert found["additionalProperties"] is False
    assert [part["type"][0] for part in found["properties"].values()] == [
        *("number", "integer", "boolean", "string", "string", "string", "string"),
    ]
    assert [part.get("format") for part in found["properties"].values()][4:] == [
        *("date", "date-time", "duration"),
    ]


def test_an_answer_without_details_describes_none() -> None:
    answer = describe(served(), version="1")["components"]["schemas"]["Answer"]
    assert "details" not in answer["properties"]
    assert set(answer["required"]) == {"prediction", "id", "model"}


def test_an_explanation_can_be_asked_for_where_there_is_one() -> None:
    one = served()
    post = describe(one, version="1")["paths"]["/predict"]["post"]
    assert [part["name"] for part in post["parameters"]] == ["explain"]
    one.package.can_explain = False
    assert describe(one, version="1")["paths"]["/predict"]["post"]["parameters"] == []
