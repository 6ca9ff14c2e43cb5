"""Tests of this project's own code; run them with `python -m pytest` in the project's folder."""

import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import pipeline
import price

import contract

LINE = {
    "ID": "1",
    "Project Code": "100-CI-T01",
    "PQ #": "Pre-PQ Process",
    "PO / SO #": "SCMS-4",
    "ASN/DN #": "ASN-8",
    "Country": "Vietnam",
    "Managed By": "PMO - US",
    "Fulfill Via": "Direct Drop",
    "Vendor INCO Term": "EXW",
    "Shipment Mode": "Air",
    "PQ First Sent to Client Date": "Pre-PQ Process",
    "PO Sent to Vendor Date": "Date Not Captured",
    "Scheduled Delivery Date": "2-Jun-06",
    "Delivered to Client Date": "5-Jun-06",
    "Delivery Recorded Date": "6-Jun-06",
    "Product Group": "ARV",
    "Sub Classification": "Adult",
    "Vendor": "Aurobindo Pharma Limited",
    "Item Description": "Nevirapine 200mg, tablets, 60 Tabs",
    "Molecule/Test Type": "Nevirapine",
    "Brand": "Generic",
    "Dosage": "200mg",
    "Dosage Form": "Tablet",
    "Unit of Measure (Per Pack)": "60",
    "Line Item Quantity": "10",
    "Line Item Value": "62.1",
    "Pack Price": "6.21",
    "Unit Price": "0.1",
    "Manufacturing Site": "Hyderabad",
    "First Line Designation": "Yes",
    "Weight (Kilograms)": "12",
    "Freight Cost (USD)": "780.5",
    "Line Item Insurance (USD)": "0.1",
}


def lines(*changes: dict[str, str | None]) -> pl.DataFrame:
    raw = pl.DataFrame([LINE | change for change in changes], schema=dict.fromkeys(LINE, pl.String))
    days = ["Scheduled Delivery Date", "Delivered to Client Date", "Delivery Recorded Date"]
    whole = ["Line Item Quantity", "Unit of Measure (Per Pack)"]
    money = ["Line Item Value", "Pack Price", "Unit Price", "Line Item Insurance (USD)"]
    return contract.prepare(raw).with_columns(
        pl.col(days).str.to_date("%d-%b-%y"),
        pl.col(whole).cast(pl.Int64),
        pl.col(money).cast(pl.Float64),
    )


def test_dates_a_line_by_the_first_request():
    asked = {"PQ First Sent to Client Date": "10/15/12", "PO Sent to Vendor Date": "7/11/12"}
    row = lines(asked).row(0, named=True)
    assert (row["event_time"], row["dated_by"]) == (date(2012, 7, 11), "request")


@pytest.mark.parametrize(
    ("recorded", "asked"), [("6-Jun-06", date(2006, 3, 4)), ("2-May-06", date(2006, 2, 1))]
)
def test_dates_a_line_without_a_request_by_the_usual_lead(recorded, asked):
    row = lines({"Delivery Recorded Date": recorded}).row(0, named=True)
    assert (row["event_time"], row["dated_by"]) == (asked, "usual lead")


def test_leaves_the_columns_of_the_file_as_they_are():
    raw = pl.DataFrame([LINE])
    assert contract.prepare(raw).select(raw.columns).equals(raw)


def test_accepts_a_good_line_and_refuses_a_delivery_before_its_request():
    late = {"ID": "2", "PO Sent to Vendor Date": "6/13/07"}
    good, bad = contract.Lines.filter(lines({}, late), cast=True)
    assert good["ID"].to_list() == ["1"]
    assert bad.counts() == {"recorded_after_it_was_requested": 1}


def test_refuses_a_value_that_is_not_packs_times_price():
    _, bad = contract.Lines.filter(lines({"Line Item Value": "70"}), cast=True)
    assert bad.counts() == {"value_is_packs_times_price": 1}


def test_counts_the_freight_of_a_shipment_once():
    tidy = pipeline.clean(
        lines(
            {"ID": "7", "Line Item Quantity": "3"},
            {"ID": "8", "Freight Cost (USD)": "See ASN-8 (ID#:7)"},
        )
    )
    assert tidy["freight_status"].to_list() == ["amount", "elsewhere"]
    (shipment,) = pipeline.shipments(tidy).to_dicts()
    assert (shipment["freight"], shipment["lines"], shipment["packs"]) == (780.5, 2, 13)


def test_does_not_follow_a_reference_into_another_shipment():
    tidy = pipeline.clean(
        lines(
            {"ID": "7"}, {"ID": "8", "ASN/DN #": "DN-3", "Freight Cost (USD)": "See ASN-8 (ID#:7)"}
        )
    )
    assert tidy["freight_status"].to_list() == ["amount", "lost"]
    known = dict(pipeline.shipments(tidy).select("shipment", "freight").iter_rows())
    assert known == {"ASN-8": 780.5, "DN-3": None}


@pytest.mark.parametrize("words", ["Freight Included in Commodity Cost", "Invoiced Separately"])
def test_keeps_the_words_and_gives_no_label(words):
    tidy = pipeline.clean(
        lines({"Freight Cost (USD)": words}, {"ID": "2", "Freight Cost (USD)": "See ASN-8 (ID#:1)"})
    )
    assert tidy["freight_status"].to_list() == [words, words]
    assert pipeline.shipments(tidy)["freight"].to_list() == [None]


def test_gives_no_label_before_it_is_known():
    late = ["Weight (Kilograms)", "Freight Cost (USD)", "Pack Price", "label_time"]
    masked = lines({}).with_columns(pl.lit(None).cast(pl.String).alias(name) for name in late[:2])
    masked = masked.with_columns(
        pl.lit(None, dtype=pl.Float64).alias("Pack Price"),
        pl.lit(None, dtype=pl.Date).alias("label_time"),
    )
    tidy = pipeline.clean(masked)
    (shipment,) = pipeline.shipments(tidy).to_dicts()
    assert (shipment["freight"], shipment["label_time"]) == (None, None)
    (quote,) = price.quotes(tidy).to_dicts()
    assert (quote["pack_price"], quote["label_time"]) == (None, None)


def test_has_no_price_for_goods_given_for_nothing():
    free = {"Pack Price": "0", "Unit Price": "0", "Line Item Value": "0"}
    assert price.quotes(pipeline.clean(lines(free)))["pack_price"].to_list() == [None]


def test_fits_a_model_that_quotes_more_for_more():
    many = [
        {
            "ID": str(i),
            "ASN/DN #": f"ASN-{i}",
            "Line Item Quantity": str(i),
            "Freight Cost (USD)": f"{i * 5}",
        }
        for i in range(1, 200)
    ]
    shipments = pipeline.shipments(pipeline.clean(lines(*many)))
    model = pipeline.model(shipments, max_iter=50)
    low, high = model.predict(
        shipments.filter(pl.col("packs").is_in([20, 180])).sort("packs").select(pipeline.FEATURES)
    )
    assert 50 < low < 200
    assert 700 < high < 1100
