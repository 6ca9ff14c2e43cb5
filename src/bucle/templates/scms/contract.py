"""What a valid line of the consignment file is, and when its question and its answer were known.

`prepare` adds the two times and how the first was found; it changes no column of the source.
The contract then types the columns. Columns that hold words on purpose (freight, weight and the
two request dates) stay text here and are read in `cleaning.py`.
"""

import dataframely as dy
import polars as pl

USUAL_LEAD_DAYS = 90
"""Median days from the request to the scheduled delivery of lines requested before July 2009.

The 1,931 lines without a request date are all of 2009 or earlier. It is a constant, found once,
so that dating a line never looks at other lines.
"""

_AMOUNT = r"\d+(\.\d+)?"
_REFERENCE = r"See (ASN|DN)-\d+ \(ID#:\d+\)"


def prepare(raw: pl.DataFrame) -> pl.DataFrame:
    """Add when each line's question was asked and when its answer was recorded.

    The request is the first of the price quote and the purchase order. A line with neither is
    dated the usual lead before its schedule, or before its delivery where that came earlier: no
    delivery comes before its request.
    """
    requested = pl.min_horizontal(
        _day("PQ First Sent to Client Date", "%m/%d/%y"),
        _day("PO Sent to Vendor Date", "%m/%d/%y"),
    )
    recorded = _day("Delivery Recorded Date", "%d-%b-%y")
    scheduled = _day("Scheduled Delivery Date", "%d-%b-%y")
    usual = pl.min_horizontal(scheduled, recorded) - pl.duration(days=USUAL_LEAD_DAYS)
    return raw.with_columns(
        pl.coalesce(requested, usual).alias("event_time"),
        recorded.alias("label_time"),
        pl.when(requested.is_null())
        .then(pl.lit("usual lead"))
        .otherwise(pl.lit("request"))
        .alias("dated_by"),
    )


def _day(column: str, form: str) -> pl.Expr:
    return pl.col(column).str.to_date(form, strict=False)


class Lines(dy.Schema):
    """One line of a shipment."""

    line = dy.String(alias="ID", nullable=False, regex=r"^\d+$")
    project = dy.String(
        alias="Project Code", nullable=False, regex=r"^[A-Z0-9]{3}-[A-Z0-9]{2}-T\d+$"
    )
    quote = dy.String(alias="PQ #", nullable=False, min_length=1)
    order = dy.String(alias="PO / SO #", nullable=False, regex=r"^(SCMS|DSCM|SO)-\d+$")
    shipment = dy.String(alias="ASN/DN #", nullable=False, regex=r"^(ASN|DN)-\d+$")
    country = dy.String(alias="Country", nullable=False, min_length=2)
    managed_by = dy.String(alias="Managed By", nullable=False, min_length=1)
    fulfilled_via = dy.Enum(
        ["Direct Drop", "From RDC"],
        alias="Fulfill Via",
        nullable=False,
    )
    inco_term = dy.String(alias="Vendor INCO Term", nullable=False, min_length=3)
    mode = dy.Enum(
        ["Air", "Air Charter", "Ocean", "Truck", "N/A"],
        alias="Shipment Mode",
        nullable=False,
    )
    quoted = dy.String(
        alias="PQ First Sent to Client Date",
        nullable=False,
        regex=r"^(\d{1,2}/\d{1,2}/\d{2}|Pre-PQ Process|Date Not Captured)$",
    )
    ordered = dy.String(
        alias="PO Sent to Vendor Date",
        nullable=False,
        regex=r"^(\d{1,2}/\d{1,2}/\d{2}|N/A - From RDC|Date Not Captured)$",
    )
    scheduled = dy.Date(alias="Scheduled Delivery Date", nullable=False)
    delivered = dy.Date(alias="Delivered to Client Date", nullable=False)
    recorded = dy.Date(alias="Delivery Recorded Date", nullable=False)
    product_group = dy.String(alias="Product Group", nullable=False, min_length=1)
    classification = dy.String(alias="Sub Classification", nullable=False, min_length=1)
    vendor = dy.String(alias="Vendor", nullable=False, min_length=1)
    item = dy.String(alias="Item Description", nullable=False, min_length=1)
    molecule = dy.String(alias="Molecule/Test Type", nullable=False, min_length=1)
    brand = dy.String(alias="Brand", nullable=False, min_length=1)
    dosage = dy.String(alias="Dosage", nullable=False, min_length=1)
    form = dy.String(alias="Dosage Form", nullable=False, min_length=1)
    pack_size = dy.Int64(alias="Unit of Measure (Per Pack)", nullable=False, min=1)
    packs = dy.Int64(alias="Line Item Quantity", nullable=False, min=1)
    value = dy.Float64(alias="Line Item Value", nullable=False, min=0)
    pack_price = dy.Float64(alias="Pack Price", nullable=False, min=0)
    unit_price = dy.Float64(alias="Unit Price", nullable=False, min=0)
    site = dy.String(alias="Manufacturing Site", nullable=False, min_length=1)
    first_line = dy.Enum(["Yes", "No"], alias="First Line Designation", nullable=False)
    weight = dy.String(
        alias="Weight (Kilograms)",
        nullable=False,
        regex=rf"^({_AMOUNT}|{_REFERENCE}|Weight Captured Separately)$",
    )
    freight = dy.String(
        alias="Freight Cost (USD)",
        nullable=False,
        regex=rf"^({_AMOUNT}|{_REFERENCE}|Freight Included in Commodity Cost|Invoiced Separately)$",
    )
    insurance = dy.Float64(alias="Line Item Insurance (USD)", nullable=True, min=0)
    event_time = dy.Date(nullable=False)
    label_time = dy.Date(nullable=False)
    dated_by = dy.Enum(["request", "usual lead"], nullable=False)

    @dy.rule()
    def recorded_after_it_was_requested(cls) -> pl.Expr:  # noqa: N805  (dataframely's convention)
        """No delivery is recorded before its request was sent."""
        return pl.col("label_time") >= pl.col("event_time")

    @dy.rule()
    def value_is_packs_times_price(cls) -> pl.Expr:  # noqa: N805
        """The value is the number of packs times the price of a pack, within its rounding."""
        packs = pl.col("Line Item Quantity")
        gap = (packs * pl.col("Pack Price") - pl.col("Line Item Value")).abs()
        return gap <= 0.005 * packs + 0.01
