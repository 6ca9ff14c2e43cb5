"""From the file's lines to tidy ones: dates, words in number columns, references."""

import polars as pl

_NAMES = {
    "ID": "line",
    "Project Code": "project",
    "PO / SO #": "order",
    "ASN/DN #": "shipment",
    "Country": "country",
    "Managed By": "managed_by",
    "Fulfill Via": "via",
    "Vendor INCO Term": "inco_term",
    "Shipment Mode": "mode",
    "Scheduled Delivery Date": "scheduled_on",
    "Delivered to Client Date": "delivered_on",
    "Product Group": "product_group",
    "Sub Classification": "classification",
    "Vendor": "vendor",
    "Item Description": "item",
    "Molecule/Test Type": "molecule",
    "Brand": "brand",
    "Dosage": "dosage",
    "Dosage Form": "form",
    "Unit of Measure (Per Pack)": "pack_size",
    "Line Item Quantity": "packs",
    "Line Item Value": "value",
    "Pack Price": "pack_price",
    "Unit Price": "unit_price",
    "Manufacturing Site": "site",
    "First Line Designation": "first_line",
    "Line Item Insurance (USD)": "insurance",
}


def tidy_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Return every line, with one name and one type a column.

    An amount stays on the line that carries it and is null on lines that refer to it, so that a
    sum over a shipment counts it once. The status columns say what the text said. `quote` is null
    for lines from before quotes were numbered.
    """
    tidy = lines.select(
        *(pl.col(old).alias(new) for old, new in _NAMES.items()),
        pl.col("PQ #").replace("Pre-PQ Process", None).alias("quote"),
        _request_day("PQ First Sent to Client Date").alias("quoted_on"),
        _request_day("PO Sent to Vendor Date").alias("ordered_on"),
        pl.col("Freight Cost (USD)").alias("freight_text"),
        pl.col("Weight (Kilograms)").alias("weight_text"),
        "event_time",
        "label_time",
        "dated_by",
    )
    for name in ("freight", "weight"):
        tidy = _read_amount(tidy, name=name)
    return tidy.sort(pl.col("line").cast(pl.Int64))


def _request_day(column: str) -> pl.Expr:
    """Read 6/2/06; words such as `Pre-PQ Process` mean that no day was kept."""
    return pl.col(column).str.to_date("%m/%d/%y", strict=False)


def _read_amount(lines: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """Split a text column into its amount and what the text said.

    Status: `amount`, `elsewhere` (on another line of the shipment), the words themselves, `lost`
    (refers to a line that is not there or carries no answer) or null (not known yet).
    """
    text = pl.col(f"{name}_text")
    lines = lines.with_columns(
        text.cast(pl.Float64, strict=False).alias(name),
        text.str.extract(r"^See (?:ASN|DN)-\d+ \(ID#:(\d+)\)$").alias("refers_to"),
    )
    carriers = lines.select(
        "shipment",
        pl.col("line").alias("refers_to"),
        text.alias("carried"),
        pl.col(name).alias("sum"),
    )
    lines = lines.join(carriers, on=["shipment", "refers_to"], how="left", maintain_order="left")
    referred = (
        pl.when(pl.col("sum").is_not_null())
        .then(pl.lit("elsewhere"))
        .when(pl.col("carried").is_null() | pl.col("carried").str.starts_with("See "))
        .then(pl.lit("lost"))
        .otherwise("carried")
    )
    status = (
        pl.when(text.is_null())
        .then(None)
        .when(pl.col(name).is_not_null())
        .then(pl.lit("amount"))
        .when(pl.col("refers_to").is_not_null())
        .then(referred)
        .otherwise(text)
    )
    return lines.with_columns(status.alias(f"{name}_status")).drop(
        "refers_to", "carried", "sum", f"{name}_text"
    )
