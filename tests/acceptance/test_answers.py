"""The demo over HTTP: a proposed list price beside each answer, and what was odd is counted."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from calls import bucle
from prometheus_client.parser import text_string_to_metric_families
from serving import Server, serve

from bucle.models.package import open_package

pytestmark = pytest.mark.thorough

ROW = {
    "item_id": "i-1",
    "arrived": "2025-02-10",
    "category": "jewellery",
    "brand": "brand 01",
    "grade": "B",
    "age": 1.3,
    "photo_score": 0.5,
    "basis": 40,
    "list_price": 55,
}


@pytest.fixture(scope="module")
def server(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("answers") / "demo"
    shutil.copytree(demo, folder, symlinks=True)
    with serve(folder) as found:
        yield found


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as found:
        yield found


def counted(client: httpx.Client, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(value for _, value in sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for one in family.samples
        if one.name == name
    }


def test_an_answer_proposes_a_list_price_with_its_commission_and_days_to_sale(
    server: Server, client: httpx.Client
) -> None:
    one = client.post("/predict", json=ROW).json()
    many = client.post("/predict", json=[ROW, ROW | {"list_price": 110}]).json()
    package = open_package(
        server.folder / ".bucle" / "packages", one["model"], project=server.folder
    )
    rows = pl.DataFrame([ROW]).with_columns(pl.col("arrived").str.to_date())
    assert one["details"] == pytest.approx(package.details(rows).row(0, named=True))
    assert one["details"] == pytest.approx(many[0]["details"])
    assert one["details"] == pytest.approx(many[1]["details"])
    assert many[1]["prediction"] < one["prediction"]
    assert one["details"]["commission"] >= one["prediction"]
    assert 0 < one["details"]["days_to_sale"] <= 84


def test_every_detail_is_described(client: httpx.Client) -> None:
    described: dict[str, Any] = client.get("/openapi.json").json()["components"]["schemas"]
    details = described["Answer"]["properties"]["details"]
    assert list(client.post("/predict", json=ROW).json()["details"]) == details["required"]


def test_an_estimator_as_it_is_says_why_it_cannot_be_explained(client: httpx.Client) -> None:
    answer = client.post("/predict?explain=true", json=ROW)
    assert (answer.status_code, answer.json()["code"]) == (422, "bucle-353")
    assert "`Pricer` has no compiled form" in answer.json()["detail"]
    described = client.get("/openapi.json").json()
    assert described["paths"]["/predict"]["post"]["parameters"] == []


def test_what_was_missing_or_new_or_refused_is_counted_by_column(client: httpx.Client) -> None:
    before = counted(client, "bucle_treated_values_total")
    odd = [ROW | {"brand": "new", "age": None}, ROW | {"brand": "newer"}, ROW]
    assert client.post("/predict", json=odd).status_code == 200
    after = counted(client, "bucle_treated_values_total")
    assert after[("brand", "unknown")] - before.get(("brand", "unknown"), 0) == 2
    assert after[("age", "null")] - before.get(("age", "null"), 0) == 1
    for body in (
        [ROW | {"category": "hat"}, ROW | {"basis": "dear"}],
        ROW | {"colour": "red"},
        {name: value for name, value in ROW.items() if name != "age"},
    ):
        assert client.post("/predict", json=body).status_code == 422
    nan = json.dumps(ROW | {"age": float("nan")})
    kind = {"content-type": "application/json"}
    assert client.post("/predict", content=nan, headers=kind).status_code == 422
    found = counted(client, "bucle_refused_rows_total")
    assert found == {
        ("category", "value"): 1,
        ("basis", "type"): 1,
        ("", "unknown field"): 1,
        ("age", "missing"): 1,
        ("age", "not finite"): 1,
    }
    card = client.get("/model").json()["card"]
    assert "A word or code never seen goes to the estimator" in card


def test_the_command_says_what_the_server_says(server: Server, client: httpx.Client) -> None:
    asked = client.post("/predict", json=ROW).json()
    (told,) = bucle("predict", "--row", json.dumps(ROW), "--json", at=server.folder).json
    assert {name: asked[name] for name in ("prediction", "interval", "model", "details")} == told
    said = bucle("predict", "--row", json.dumps(ROW), at=server.folder).out
    assert f"days to sale  {asked['details']['days_to_sale']:,.6g}" in said
