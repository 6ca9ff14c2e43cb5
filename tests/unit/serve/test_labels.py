"""Labels at the door: what is taken, what is refused as a whole, and that others get their turn."""

import asyncio
import json
from typing import Any

import pytest

from bucle.serve.app import Reply, Request
from bucle.serve.counts import Counts
from bucle.serve.labels import Labels
from bucle.serve.problems import ProblemError
from bucle.serve.records import Feedback

ID = "p-" + "0" * 32
OTHER = "p-" + "f" * 32
JSON = {b"content-type": b"application/json"}


class Kept:
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Feedback] = []

    def append_many(self, records: list[Feedback]) -> None:
        self.records += records


def tell(body: bytes, kept: Kept, *, kind: str = "") -> Reply:
    journal: Any = kept
    labels = Labels(journal, Counts(), kind=lambda: kind)
    return asyncio.run(labels.take(Request(JSON, body, b"")))


def told(body: bytes) -> list[Feedback]:
    kept = Kept()
    reply = tell(body, kept)
    assert reply.status == 202
    assert json.loads(reply.body) == {"kept": len(kept.records)}
    return kept.records


def refusal(body: bytes) -> ProblemError:
    kept = Kept()
    with pytest.raises(ProblemError) as found:
        tell(body, kept)
    assert kept.records == []
    assert found.value.status in {400, 422}
    return found.value


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("1.5", "1.5"),
        (" 12.50 ", "12.5"),
        ("true", "true"),
        ('"yes"', '"yes"'),
        ('"\\ud83d\\ude00"', '"\N{GRINNING FACE}"'),
        ("-0.0", "-0.0"),
        ("1e308", "1e+308"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_a_label_is_a_number_a_text_or_yes_or_no(label: str, text: str) -> None:
    (one,) = told(f'{{"id":"{ID}","label":{label}}}'.encode())
    assert json.loads(one.label) == json.loads(text)


@pytest.mark.parametrize(
    "label",
    [
        "null",
        "{}",
        "[]",
        "[1]",
        '{"a":1}',
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "9" * 400,
        '"\\ud800"',
        '"' + "a" * 20_000 + '"',
        "[" * 50_000 + "]" * 50_000,
        "1" * 5_000,
        "01",
        "+1",
        "tru",
        "",
    ],
)
def test_any_other_label_is_refused(label: str) -> None:
    refusal(f'{{"id":"{ID}","label":{label}}}'.encode())


def test_a_text_is_refused_where_a_number_is_predicted() -> None:
    kept = Kept()
    body = f'[{{"id":"{ID}","label":1}},{{"id":"{OTHER}","label": "12.5"}}]'.encode()
    with pytest.raises(ProblemError, match="label 1: ") as found:
        tell(body, kept, kind="regression")
    assert (found.value.status, found.value.code, kept.records) == (422, "bucle-323", [])
    assert found.value.cause == "it is a text, and the model predicts a number"
    assert tell(body, kept, kind="binary").status == 202
    assert tell(b'{"id":"%s","label":-2}' % ID.encode(), kept, kind="regression").status == 202


@pytest.mark.parametrize(
    "name",
    [
        "",
        "p-",
        "p-" + "0" * 31,
        "p-" + "0" * 33,
        "p-" + "g" * 32,
        "P-" + "0" * 32,
        "p-" + "A" * 32,
        "m-" + "0" * 32,
        "../../etc/passwd",
        "p-" + "0" * 31 + "\\n",
        "p-" + "\\u0660" * 32,
        "x" * 100_000,
    ],
)
def test_an_id_that_no_prediction_can_have_is_refused(name: str) -> None:
    problem = refusal(f'{{"id":"{name}","label":1}}'.encode())
    assert len(problem.what) < 300


@pytest.mark.parametrize(
    "moment",
    [
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "2024-02-30",
        "yesterday",
        "",
        "1706745600",
    ],
)
def test_a_time_at_which_no_truth_became_known_is_refused(moment: str) -> None:
    refusal(json.dumps({"id": ID, "label": 1, "label_time": moment}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"p"',
        b"[[]]",
        b"[null]",
        b'{"id":1,"label":1}',
        b'{"id":"%s"}' % ID.encode(),
        b'{"label":1}',
        b'{"id":"%s","label":1,"more":1}' % ID.encode(),
        b'{"id":"%s","label":1,"source":"%s"}' % (ID.encode(), b"s" * 201),
        b'{"id":"%s","label":1,"source":"\\ud800"}' % ID.encode(),
        b'{"id":"%s","label":1,"source":"\xff"}' % ID.encode(),
        b'{"id":"%s","label":1,"label":2}' % ID.encode(),
        b'{"id":"%s","label":1,"l\\u0061bel":2}' % ID.encode(),
        b'{"id":"%s","id":"%s","label":1}' % (ID.encode(), OTHER.encode()),
        b'[{"id":"%s","label":1},{"id":"%s","label":1,"source":"a","source":"b"}]'
        % (ID.encode(), ID.encode()),
    ],
)
def test_what_is_no_label_is_refused(body: bytes) -> None:
    refusal(body)


def test_one_bad_label_of_many_is_named_and_none_is_kept() -> None:
    labels = [{"id": ID, "label": number} for number in range(600)]
    labels[400]["label"] = None
    assert "label 400" in refusal(json.dumps(labels).encode()).what


def test_the_same_and_the_contrary_are_kept_in_their_order() -> None:
    labels = [{"id": ID, "label": value} for value in (1, 1, 2, "id", True)]
    labels.append({"id": OTHER, "label": 3, "source": 'says "label"'})
    found = told(json.dumps(labels).encode())
    assert [(one.id, one.label) for one in found] == [
        (ID, "1"),
        (ID, "1"),
        (ID, "2"),
        (ID, '"id"'),
        (ID, "true"),
        (OTHER, "3"),
    ]


def test_a_long_list_lets_others_have_their_turn() -> None:
    async def story() -> None:
        kept: Any = Kept()
        body = json.dumps([{"id": ID, "label": 1}] * 20_000).encode()
        telling = asyncio.create_task(Labels(kept, Counts()).take(Request(JSON, body, b"")))
        turns = 0
        while not telling.done():
            await asyncio.sleep(0)
            turns += 1
        assert telling.result().status == 202
        assert len(kept.records) == 20_000
        assert turns > 50

    asyncio.run(story())
