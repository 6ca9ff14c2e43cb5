"""The protocols of others, asked as a server asks them: the same rows, numbers and records."""

import asyncio
import io
import json
import struct
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from bucle.loop.serving.routes import make_routes
from bucle.models.rules import Rule
from bucle.models.signature import Feature, Signature
from bucle.serve.app import App
from bucle.serve.counts import Counts, render
from bucle.serve.engines import Scored
from bucle.serve.guard import Guard
from bucle.serve.pairing import Pairing
from bucle.serve.predictions import Predictor
from bucle.serve.records import Prediction
from bucle.serve.rows import RowReader
from bucle.serve.slots import Served, Slots

TOKEN = "t" * 32
DTYPES = {"size": "Float64", "count": "Int32", "kind": "String", "new": "Boolean", "came": "Date"}
ROWS: list[dict[str, Any]] = [
    {"size": 1.5, "count": 2, "kind": "a", "new": True, "came": "2024-01-31"},
    {"size": 2.5, "count": None, "kind": None, "new": False, "came": None},
]
EXPECTED = [103.5, 2.5]
STREAM = b"application/vnd.apache.arrow.stream"
INFER = "/v2/models/shop/infer"


class Kept:
    """A journal that holds what it is given."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def append_many(self, records: list[Any]) -> None:
        self.records += records


class Adding:
    """An engine that adds what is a number, and 100 for what is new."""

    name = "adding"

    def __init__(self, *, with_interval: bool, details: dict[str, Any]) -> None:
        self._with_interval = with_interval
        self._details = details

    def score_now(self, rows: Any) -> list[Scored]:
        found = [sum((100 if v is True else v) or 0 for v in row if _counts(v)) for row in rows]
        more = self._details or None
        ends = [(v - 1, v + 1) if self._with_interval else (None, None) for v in found]
        return [Scored(v, *both, more) for v, both in zip(found, ends, strict=True)]


class Described:
    """What a package says of itself."""

    def __init__(self, signature: Signature, *, with_interval: bool) -> None:
        self.signature = signature
        self.intervals = "known" if with_interval else None


def _counts(value: Any) -> bool:
    return isinstance(value, float | int)


class Got(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Shop:
    """An app with a champion of some features."""

    def __init__(
        self,
        dtypes: dict[str, str],
        *,
        with_interval: bool = True,
        details: dict[str, tuple[str, Any]] | None = None,
    ) -> None:
        features = tuple(Feature(name=name, dtype=dtype) for name, dtype in dtypes.items())
        more = tuple(Feature(name=name, dtype=one[0]) for name, one in (details or {}).items())
        signature = Signature(kind="regression", target="price", features=features, details=more)
        rules = [Rule(name="size", nullable=False, least=0)] if "size" in dtypes else []
        reader = RowReader(signature, rules=rules, keys=("id",))
        given = {name: one[1] for name, one in (details or {}).items()}
        engine: Any = Adding(with_interval=with_interval, details=given)
        package: Any = Described(signature, with_interval=with_interval)
        self.slots = Slots(
            champion=Served(model="m-1", package=package, reader=reader, engine=engine)
        )
        self.journal = Kept()
        journal: Any = self.journal
        self.counts = counts = Counts()
        predictor = Predictor(lambda: self.slots, journal, counts, Pairing(journal, counts))
        routes = make_routes(
            *(predictor, lambda: self.slots, counts, journal),
            folder=Path(),
            worker=(1, 0),
            name="shop",
        )
        self.app = App(routes, Guard(TOKEN), counts)

    def ask(self, path: str, body: Any = None, *, method: str = "", **headers: Any) -> Got:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content_type": b"application/json"} | headers
        pairs = [(b"host", b"localhost"), (b"authorization", b"Bearer " + TOKEN.encode())]
        pairs += [(k.replace("_", "-").encode(), v) for k, v in given.items() if v is not None]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method or ("GET" if body is None else "POST"),
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": pairs,
            "server": ("127.0.0.1", 8000),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        return Got(sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"])

    @property
    def records(self) -> list[Prediction]:
        return [one for one in self.journal.records if isinstance(one, Prediction)]


@pytest.fixture
def shop() -> Shop:
    return Shop(DTYPES)


def tensor(name: str, datatype: str, data: list[Any], *, wide: bool = False) -> dict[str, Any]:
    shape = [len(data), 1] if wide else [len(data)]
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


TENSORS = [
    tensor("kind", "BYTES", ["a", None]),
    tensor("size", "FP64", [1.5, 2.5]),
    tensor("count", "INT32", [2, None], wide=True),
    tensor("new", "BOOL", [True, False]),
    tensor("came", "BYTES", ["2024-01-31", None]),
]


# ---- the Open Inference Protocol --------------------------------------------


def test_tensors_are_answered_as_rows_are(shop: Shop) -> None:
    answer = shop.ask(INFER, {"id": "mine", "model_name": "shop", "inputs": TENSORS}).json
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("shop", "m-1", "mine")
    outputs = {one["name"]: one for one in answer["outputs"]}
    assert outputs["prediction"]["data"] == EXPECTED
    assert outputs["low"]["data"] == [value - 1 for value in EXPECTED]
    assert outputs["id"]["data"] == [record.id for record in shop.records]
    assert {one["shape"][0] for one in outputs.values()} == {2}
    assert [record.request for record in shop.records] == ["mine", "mine"]
    plain = shop.ask("/predict", ROWS).json
    assert [one["prediction"] for one in plain] == EXPECTED
    assert [record.features for record in shop.records[:2]] == [
        record.features for record in shop.records[2:]
    ]


def test_a_model_without_an_interval_gives_none() -> None:
    answer = Shop(DTYPES, with_interval=False).ask(INFER, {"inputs": TENSORS}).json
    assert [one["name"] for one in answer["outputs"]] == ["prediction", "id"]
    known = Shop(DTYPES, with_interval=False).ask("/v2/models/shop").json["outputs"]
    assert [one["name"] for one in known] == ["prediction", "id"]
    assert "id" not in answer


DETAILS = {
    "list_price": ("Float64", 12.5),
    "weeks": ("Int32", 3),
    "none": ("Int32", None),
    "until": ("Date", date(2024, 2, 1)),
    "why": ("String", None),
    "id": ("String", "is the prediction's"),
}


def test_what_a_model_says_beside_the_number_is_said_in_every_protocol() -> None:
    telling = Shop(DTYPES, details=DETAILS)
    answer = telling.ask(INFER, {"inputs": TENSORS}).json
    found = {one["name"]: (one["datatype"], one["data"]) for one in answer["outputs"]}
    assert found["list_price"] == ("FP64", [12.5, 12.5])
    assert found["weeks"] == ("INT32", [3, 3])
    assert found["none"] == ("FP64", [None, None])
    assert found["until"] == ("BYTES", ["2024-02-01", "2024-02-01"])
    assert found["id"][1] == [record.id for record in telling.records]
    named = {one["name"]: one["datatype"] for one in telling.ask("/v2/models/shop").json["outputs"]}
    assert set(named) == set(found)
    binary = {"inputs": TENSORS, "parameters": {"binary_data_output": True}}
    assert telling.ask(INFER, binary).status == 200
    told = telling.ask("/invocations", {"inputs": ROWS}).json["details"]
    assert [one["weeks"] for one in told] == [3, 3]
    body = telling.ask("/predict", stream(frame()), content_type=STREAM).body
    columns = pl.read_ipc_stream(io.BytesIO(body))
    assert columns["until"].to_list() == [date(2024, 2, 1)] * 2
    assert columns["none"].dtype == pl.Int32


def test_one_tensor_holds_all_columns_where_each_is_a_number() -> None:
    numbers = Shop({"size": "Float64", "count": "Int32"})
    for data in ([1.5, 2, 2.5, 4], [[1.5, 2.0], [2.5, 4]]):
        one = {"name": "input-0", "shape": [2, 2], "datatype": "FP64", "data": data}
        answer = numbers.ask(INFER, {"inputs": [one]}).json
        assert answer["outputs"][0]["data"] == [3.5, 6.5]


def test_binary_tensors_are_read_and_binary_outputs_written(shop: Shop) -> None:
    came = struct.pack("<I", 10) + b"2024-01-31"
    parts = {
        "size": ("FP64", struct.pack("<d", 1.5)),
        "count": ("INT32", struct.pack("<i", 2)),
        "kind": ("BYTES", struct.pack("<I", 1) + b"a"),
        "new": ("BOOL", b"\1"),
        "came": ("BYTES", came),
    }
    inputs = [
        {
            "name": name,
            "shape": [1, 1],
            "datatype": datatype,
            "parameters": {"binary_data_size": len(content)},
        }
        for name, (datatype, content) in parts.items()
    ]
    asked = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    answer = shop.ask(
        INFER,
        asked + b"".join(content for _, content in parts.values()),
        inference_header_content_length=str(len(asked)).encode(),
        content_type=None,
    )
    assert answer.status == 200, answer.body
    length = int(answer.headers[b"inference-header-content-length"])
    said = json.loads(answer.body[:length])
    sizes = [one["parameters"]["binary_data_size"] for one in said["outputs"]]
    assert sizes == [8, 8, 8, 38]
    assert length + sum(sizes) == len(answer.body)
    assert struct.unpack_from("<3d", answer.body, length) == (103.5, 102.5, 104.5)
    assert answer.body.endswith(shop.records[0].id.encode())


def test_outputs_are_those_that_are_asked_for(shop: Shop) -> None:
    wanted = [{"name": "high"}, {"name": "prediction", "parameters": {"binary_data": True}}]
    answer = shop.ask(INFER, {"inputs": TENSORS, "outputs": wanted})
    length = int(answer.headers[b"inference-header-content-length"])
    high, prediction = json.loads(answer.body[:length])["outputs"]
    assert high["data"] == [value + 1 for value in EXPECTED]
    assert prediction["parameters"] == {"binary_data_size": 16}
    assert struct.unpack("<2d", answer.body[length:]) == tuple(EXPECTED)


def test_numpy_writes_what_is_missing_as_nan(shop: Shop) -> None:
    inputs = [one for one in TENSORS if one["name"] != "count"]
    inputs.append(tensor("count", "FP64", [2.0, float("nan")]))
    assert shop.ask(INFER, {"inputs": inputs}).json["outputs"][0]["data"] == EXPECTED
    bad = [one for one in TENSORS if one["name"] != "size"]
    for value, said in ((float("inf"), "Infinity"), (-float("inf"), "-Infinity")):
        answer = shop.ask(INFER, {"inputs": [*bad, tensor("size", "FP64", [1.5, value])]})
        (error,) = answer.json["errors"]
        assert (error["row"], error["field"], error["value"]) == (1, "size", said)
    (error,) = shop.ask(
        INFER, {"inputs": [*bad, tensor("size", "FP64", [1.5, float("nan")])]}
    ).json["errors"]
    assert (error["row"], error["field"]) == (1, "size")


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        (tensor("size", "FP64", [-1.0, 1.0]), 422, ">= 0"),
        (tensor("size", "BYTES", ["1.5", "x"]), 422, "a number"),
        (tensor("size", "BOOL", [True, False]), 422, "a number"),
        (tensor("size", "FP64", [True, False]), 422, "is no FP64"),
        (tensor("size", "INT8", [128, 1]), 422, "is no INT8"),
        (tensor("size", "UINT8", [-1, 1]), 422, "is no UINT8"),
        (tensor("size", "INT32", [1.5, 1]), 422, "is no INT32"),
        (tensor("size", "FP64", [[1], [2]]), 422, "is no FP64"),
        (tensor("size", "FP64", [[1, 1], [2]], wide=True), 422, "nested"),
        (tensor("size", "FP99", [1, 1]), 422, "FP99"),
        (tensor("size", "FP64", [1.0]), 422, "1 values where others have 2"),
        (tensor("size", "FP64", [1.0, 1.0]) | {"shape": [3]}, 422, "holds 2 values"),
        (tensor("size", "FP64", [1.0, 1.0]) | {"shape": [1, 2]}, 422, "a column is [n]"),
        (tensor("size", "FP64", [1.0, 1.0]) | {"shape": []}, 422, "length >= 1"),
        (tensor("size", "FP64", [1.0, 1.0]) | {"shape": [-2]}, 422, ">= 0"),
        (tensor("size", "FP64", [1.0, 1.0]) | {"shape": [2**70]}, 422, "shape"),
        (tensor("sise", "FP64", [1.0, 1.0]), 422, "is not a field"),
        (tensor("new", "BOOL", [True, True]), 422, "two of this name"),
        ({"name": "size", "shape": [2], "datatype": "FP64"}, 422, "neither data"),
        (
            tensor("size", "FP64", [1.0, 1.0]) | {"parameters": {"shared_memory_region": "x"}},
            422,
            "shared memory",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(
    shop: Shop, changed: dict[str, Any], status: int, words: str
) -> None:
    inputs = [one for one in TENSORS if one["name"] != "size"]
    answer = shop.ask(INFER, {"inputs": [*inputs, changed]})
    assert answer.status == status, answer.body
    # What clients read of a refusal is `error`, in plain JSON.
    assert answer.headers[b"content-type"] == b"application/json"
    assert words in json.dumps(answer.json), answer.body
    assert answer.json["error"].startswith("Cannot ")
    assert shop.records == []


def test_a_missing_column_is_named_once(shop: Shop) -> None:
    answer = shop.ask(INFER, {"inputs": TENSORS[1:]})
    assert [(one["field"], one["rule"]) for one in answer.json["errors"]] == [
        ("kind", "is missing")
    ]


@pytest.mark.parametrize(
    ("size", "content", "words"),
    [
        (8, b"1234567", "are there"),
        (7, b"1234567", "are not what its shape"),
        (8, b"123456789", "belong to none"),
        (-1, b"", "neither data"),
        (None, b"", "neither data"),
        (True, b"1", "neither data"),
    ],
)
def test_binary_that_does_not_fit_is_refused(size: Any, content: bytes, words: str) -> None:
    numbers = Shop({"size": "Float64"})
    given = {"binary_data_size": size}
    one = {"name": "size", "shape": [1], "datatype": "FP64", "parameters": given}
    asked = json.dumps({"inputs": [one]}).encode()
    length = str(len(asked)).encode()
    answer = numbers.ask(INFER, asked + content, inference_header_content_length=length)
    assert answer.status == 422
    assert words in answer.json["error"]


@pytest.mark.parametrize(
    "content",
    [
        b"\1\0\0\0",
        b"\xff\xff\xff\xff",
        b"\2\0\0\0a",
        b"\1\0\0\0a\0",
        b"\1\0\0\0\xff",
        b"\0",
        b"",
        b"\1\0\0\0a\1\0\0\0b",
    ],
)
def test_binary_texts_are_whole_and_in_utf8(content: bytes) -> None:
    words = Shop({"kind": "String"})
    given = {"binary_data_size": len(content)}
    one = {"name": "kind", "shape": [1], "datatype": "BYTES", "parameters": given}
    asked = json.dumps({"inputs": [one]}).encode()
    length = str(len(asked)).encode()
    answer = words.ask(INFER, asked + content, inference_header_content_length=length)
    assert answer.status == 422, answer.body


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 422),
        (b"{}", {}, 422),
        (b'{"inputs": []}', {}, 422),
        (b'{"inputs": 1}', {}, 422),
        (b'{"inputs": [], "inputs": []}', {}, 400),
        (b'{"inputs": ' + b"[" * 100_000, {}, 400),
        (b"\xff", {}, 400),
        (b'{"inputs": [' + b"1" * 5000 + b"]}", {}, 400),
        (b"{}", {"content_type": b"text/plain"}, 415),
        (b"{}", {"inference_header_content_length": b"3"}, 400),
        (b"{}", {"inference_header_content_length": b"-1"}, 400),
        (b"{}", {"inference_header_content_length": b"9" * 5000}, 400),
        (b"{}", {"inference_header_content_length": b"0"}, 400),
    ],
)
def test_a_request_that_is_none_is_refused(
    shop: Shop, body: bytes, headers: dict[str, bytes], status: int
) -> None:
    answer = shop.ask(INFER, body, **headers)
    assert answer.status == status, answer.body
    assert answer.json["error"]


@pytest.mark.parametrize(
    "more",
    [
        {"id": "x" * 201},
        {"outputs": [{"name": "none"}]},
        {"outputs": [{"name": "id"}, {"name": "id"}]},
    ],
)
def test_what_is_asked_beside_the_tensors_is_checked(shop: Shop, more: dict[str, Any]) -> None:
    assert shop.ask(INFER, {"inputs": TENSORS} | more).status == 422


def test_the_server_and_the_model_tell_about_themselves(shop: Shop) -> None:
    assert shop.ask("/v2").json["extensions"] == ["binary_tensor_data"]
    assert shop.ask("/v2/health/live").json == {"live": True}
    assert shop.ask("/v2/health/ready").json["ready"] is True
    assert shop.ask("/v2/models/shop/ready").json == {"name": "shop", "ready": True}
    model = shop.ask("/v2/models/shop").json
    assert (model["name"], model["versions"]) == ("shop", ["m-1"])
    assert [(one["name"], one["datatype"]) for one in model["inputs"]] == [
        ("size", "FP64"),
        ("count", "INT32"),
        ("kind", "BYTES"),
        ("new", "BOOL"),
        ("came", "BYTES"),
    ]


def test_the_champion_may_be_asked_by_its_id_and_nobody_else(shop: Shop) -> None:
    base = "/v2/models/shop/versions"
    assert shop.ask(f"{base}/m-1").status == 200
    assert shop.ask(f"{base}/m-1/ready").status == 200
    answer = shop.ask(f"{base}/m-1/infer", {"inputs": TENSORS})
    assert answer.json["model_version"] == "m-1"
    refused = shop.ask(f"{base}/m-1/infer")
    assert (refused.status, refused.json["error"]) == (405, "Cannot GET this")
    for path in (
        *(f"{base}/m-2", f"{base}/m-2/infer", f"{base}/", f"{base}/m-1/", f"{base}/m-1/x"),
        *("/v2/models/other", "/v2/models/other/infer", "/v2/models/shop/versions/../ready"),
    ):
        assert shop.ask(path, method="POST").status == 404, path


def test_a_name_that_a_client_makes_up_is_no_label_of_a_metric(shop: Shop) -> None:
    made_up = "made-up-name"
    wrong = {"inputs": [*TENSORS, tensor(made_up, "FP64", ["x", "y"])]}
    assert shop.ask(INFER, wrong).json["errors"] == [
        {"row": 0, "value": "'x'", "rule": "is no FP64"}
    ]
    infinite = {"inputs": [{**ROWS[0], made_up: float("inf")}]}
    (error,) = shop.ask("/invocations", infinite).json["errors"]
    assert error["rule"] == "is not a field of the model"
    unknown = {"inputs": {**BY_NAME, made_up: [1, 2]}}
    assert shop.ask("/invocations", unknown).status == 422
    told = render(shop.counts).decode()
    assert "refused" in told
    assert made_up not in told


# ---- MLflow -----------------------------------------------------------------

COLUMNS = list(DTYPES)
TABLE = [[row[name] for name in COLUMNS] for row in ROWS]
BY_NAME = {name: [row[name] for row in ROWS] for name in COLUMNS}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"index": [5, 6], "columns": COLUMNS, "data": TABLE}},
        {"dataframe_split": {"columns": COLUMNS[::-1], "data": [row[::-1] for row in TABLE]}},
        {"dataframe_split": {"data": TABLE}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": TABLE},
        {"instances": BY_NAME},
        {"inputs": BY_NAME},
        {"inputs": {name: [[value] for value in part] for name, part in BY_NAME.items()}},
        {"inputs": ROWS, "params": None},
        {"inputs": TABLE, "params": {}},
    ],
)
def test_every_form_of_mlflow_is_answered_as_rows_are(shop: Shop, body: Any) -> None:
    answer = shop.ask("/invocations", body).json
    assert answer["predictions"] == EXPECTED
    assert answer["ids"] == [record.id for record in shop.records]
    assert answer["model"] == "m-1"


@pytest.mark.parametrize("midnight", ["T00:00:00", "T00:00", " 00:00:00.000", "T00:00:00.000Z"])
def test_pandas_writes_nan_midnight_and_whole_numbers_with_decimals(
    shop: Shop, midnight: str
) -> None:
    table = [
        [1.5, 2.0, "a", True, f"2024-01-31{midnight}"],
        [2.5, float("nan"), None, False, None],
    ]
    answer = shop.ask("/invocations", {"dataframe_split": {"columns": COLUMNS, "data": table}})
    assert answer.json["predictions"] == EXPECTED
    assert b'"came":"2024-01-31"' in shop.records[0].features
    assert b'"count":2,' in shop.records[0].features


def test_a_lone_column_may_be_a_list_of_values() -> None:
    numbers = Shop({"size": "Float64"})
    for form in (
        {"inputs": [1.5, 2]},
        {"instances": {"size": 3}},
        {"inputs": {"size": [[1], [2]]}},
    ):
        assert numbers.ask("/invocations", form).status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "there must be one of"),
        ([], "object"),
        ({"inputs": ROWS, "instances": ROWS}, "there must be one of"),
        ({"input": ROWS}, "there must be one of"),
        ({"inputs": ROWS, "parms": {}}, "'params' is"),
        ({"inputs": ROWS, "params": {"x": 1}}, "the model has none"),
        ({"inputs": []}, "no row"),
        ({"inputs": "x"}, "rows are a list"),
        ({"inputs": {}}, "is missing"),
        ({"inputs": [1, 2]}, "array"),
        ({"instances": [[1.5]]}, "row 0 has 1 values for 5 columns"),
        ({"instances": [TABLE[0], TABLE[1][:4]]}, "row 1 has 4 values"),
        ({"instances": [ROWS[0], 5]}, "is no object"),
        ({"inputs": {**BY_NAME, "size": [1.5]}}, "where others have"),
        ({"inputs": {**BY_NAME, "sise": [1, 2]}}, "is not a field"),
        ({"dataframe_records": [{**ROWS[0], "size": None}]}, "size"),
        ({"dataframe_records": [{**ROWS[0], "size": "1.5"}]}, "a number"),
        ({"dataframe_records": [{**ROWS[0], "size": True}]}, "a number"),
        ({"dataframe_records": [{**ROWS[0], "count": 1.5}]}, "a whole number"),
        ({"dataframe_records": [{**ROWS[0], "came": 1_706_659_200_000}]}, "a date"),
        ({"dataframe_records": [{**ROWS[0], "came": "2024-01-31T12:00:00"}]}, "date"),
        ({"dataframe_records": [{**ROWS[0], "kind": "\ud800"}]}, "surrogate"),
        ({"dataframe_records": [{**ROWS[0], "size": 1e999}]}, "Infinity"),
        ({"dataframe_split": {"columns": COLUMNS[:4] * 2, "data": [[1] * 8]}}, "one name"),
        ({"dataframe_split": {"columns": COLUMNS}}, "data"),
        ({"dataframe_split": [1]}, "object"),
    ],
)
def test_what_mlflow_may_not_send_is_refused(shop: Shop, body: Any, words: str) -> None:
    answer = shop.ask("/invocations", body)
    assert answer.status in {400, 422}, answer.body
    assert answer.headers[b"content-type"] == b"application/problem+json"
    assert words in json.dumps(answer.json), answer.body
    assert shop.records == []


def test_all_bad_rows_are_named_by_number(shop: Shop) -> None:
    bad = {**ROWS[0], "size": -1}
    answer = shop.ask("/invocations", {"inputs": [ROWS[0], bad, ROWS[1], bad]})
    assert [(one["row"], one["field"]) for one in answer.json["errors"]] == [
        (1, "size"),
        (3, "size"),
    ]


def test_csv_is_read_by_the_types_of_the_fields(shop: Shop) -> None:
    text = '\ufeffsize,count,kind,new,came\n1.5,2,"a",TRUE,2024-01-31\r\n\n2.5,NaN,,false,\n'
    answer = shop.ask("/invocations", text.encode(), content_type=b"text/csv; charset=utf-8")
    assert answer.json["predictions"] == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "size,count,kind,new,came\n",
        "size,count,kind,new\n1,2,a,true\n",
        "size,count,kind,new,came\n1,2,a,true\n",
        "size,count,kind,new,came\n1_0,2,a,true,2024-01-31\n",
        "size,count,kind,new,came\n1,2,a,1,2024-01-31\n",
        f"size,count,kind,new,came\n{'9' * 400},2,a,true,2024-01-31\n",
        f"size,count,kind,new,came\n1,{'9' * 30},a,true,2024-01-31\n",
        'size,count,kind,new,came\n1,2,"a,true,2024-01-31\n',
        "size,count,kind,new,came\n1,2,\udcff,true,2024-01-31\n",
        f"size,count,kind,new,came\n1,2,{'a' * 200_000},true,2024-01-31\n",
    ],
)
def test_csv_that_does_not_fit_is_refused(shop: Shop, text: str) -> None:
    body = text.encode(errors="surrogateescape")
    answer = shop.ask("/invocations", body, content_type=b"text/csv")
    assert answer.status == 422, answer.body


@pytest.mark.parametrize("kind", [None, b"text/plain", b"application/json; charset=latin-1"])
def test_a_body_of_another_type_is_refused(shop: Shop, kind: Any) -> None:
    assert shop.ask("/invocations", {"inputs": ROWS}, content_type=kind).status == 415


def test_more_rows_than_memory_has_room_for_are_refused() -> None:
    many = b'{"inputs": [' + b"1," * 100_000 + b"1]}"
    answer = Shop({"size": "Float64"}).ask("/invocations", many)
    assert (answer.status, answer.json["code"]) == (413, "bucle-352")


def test_mlflow_is_told_that_the_server_lives(shop: Shop) -> None:
    for path in ("/ping", "/health"):
        assert (shop.ask(path).status, shop.ask(path).body) == (200, b"\n")
    assert shop.ask("/version").body.startswith(b"bucle ")


# ---- Arrow ------------------------------------------------------------------


def frame() -> pl.DataFrame:
    rows = [row | {"came": date(2024, 1, 31) if row["came"] else None} for row in ROWS]
    return pl.DataFrame(rows, schema_overrides={"count": pl.Int32})


def stream(of: pl.DataFrame, *, as_file: bool = False) -> bytes:
    content = io.BytesIO()
    if as_file:
        of.write_ipc(content, compression="uncompressed")
    else:
        of.write_ipc_stream(content)
    return content.getvalue()


def test_columns_of_arrow_are_answered_in_arrow(shop: Shop) -> None:
    for as_file, kind in ((False, STREAM), (True, STREAM.replace(b"stream", b"file"))):
        answer = shop.ask("/predict", stream(frame(), as_file=as_file), content_type=kind)
        assert answer.headers[b"content-type"] == STREAM
        found = pl.read_ipc_stream(io.BytesIO(answer.body))
        assert found["prediction"].to_list() == EXPECTED
        assert found["high"].to_list() == [value + 1 for value in EXPECTED]
        assert found["id"].to_list() == [record.id for record in shop.records[-2:]]
        assert set(found["model"]) == {"m-1"}
        assert found.columns == ["prediction", "low", "high", "id", "model", "by"]


def test_accept_says_in_what_the_answer_comes(shop: Shop) -> None:
    body = stream(frame())
    answer = shop.ask("/predict", body, content_type=STREAM, accept=b"application/json")
    assert [one["prediction"] for one in answer.json] == EXPECTED
    answer = shop.ask("/predict", ROWS[0], accept=STREAM)
    assert pl.read_ipc_stream(io.BytesIO(answer.body))["prediction"].to_list() == EXPECTED[:1]
    assert shop.ask("/predict", ROWS[0], accept=b"*/*").json["prediction"] == EXPECTED[0]
    assert shop.ask("/predict", ROWS, content_type=b"text/arrow").status == 415


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.col("size").cast(pl.String), "is a column of type text, not of Float64"),
        (pl.col("count").cast(pl.Float64), "is a column of type number, not of Int32"),
        (pl.col("came").cast(pl.String), "is a column of type text, not of Date"),
        (pl.col("new").cast(pl.Int8), "is a column of type whole, not of Boolean"),
        (pl.lit(float("nan")).alias("size"), "Expected a finite number"),
        (pl.lit(float("inf")).alias("size"), "Expected a finite number"),
        (pl.lit(-1.0).alias("size"), ">= 0"),
        (pl.lit(None).alias("size"), "size"),
        (pl.lit(2**31).alias("count"), "count"),
        (pl.lit(1).alias("other"), "is not a field"),
    ],
)
def test_arrow_is_checked_by_the_same_rules(shop: Shop, change: pl.Expr, words: str) -> None:
    body = stream(frame().with_columns(change))
    answer = shop.ask("/predict", body, content_type=STREAM)
    assert answer.status == 422, answer.body
    assert words in json.dumps(answer.json), answer.body
    assert shop.records == []


def test_a_long_request_is_read_aside_and_answered_alike(shop: Shop) -> None:
    many = frame().sample(5_000, with_replacement=True, seed=1)
    answer = shop.ask("/predict", stream(many), content_type=STREAM)
    found = pl.read_ipc_stream(io.BytesIO(answer.body))["prediction"]
    assert found.to_list() == [103.5 if new else 2.5 for new in many["new"]]
