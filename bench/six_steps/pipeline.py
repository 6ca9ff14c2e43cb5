"""Six steps on the consignment file: load, clean, validate, features, train, evaluate."""

import io
from pathlib import Path

import numpy as np
import polars as pl
from cleaning import FLOOR, NUMBERS, to_date, to_number
from sklearn.ensemble import HistGradientBoostingRegressor

SOURCE = "data/scms_consignments.csv"
WORDS = ("Country", "Shipment Mode", "Product Group", "Sub Classification", "Brand", "Dosage Form")


def load() -> pl.DataFrame:
    """Read the file as text; its lines end in carriage returns alone."""
    text = Path(SOURCE).read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    return pl.read_csv(io.BytesIO(text.encode()), infer_schema=False)


def clean(load: pl.DataFrame) -> pl.DataFrame:
    """Give columns their types."""
    return load.select(
        *WORDS,
        *(to_number(name) for name in NUMBERS),
        to_date("Delivery Recorded Date").alias("recorded"),
    )


def validate(clean: pl.DataFrame) -> pl.DataFrame:
    """Keep rows that have a price, a quantity and a date."""
    good = clean.filter(
        pl.col("Pack Price") > FLOOR,
        pl.col("Line Item Quantity") > 0,
        pl.col("recorded").is_not_null(),
    )
    if good.height < clean.height * 0.9:
        raise ValueError(f"only {good.height} of {clean.height} rows are good")
    return good.sort("recorded", maintain_order=True)


def features(validate: pl.DataFrame) -> pl.DataFrame:
    """Turn words into numbers of their rank, and take the log of the price."""
    return validate.select(
        *(pl.col(name).rank("dense").cast(pl.Float64).alias(name) for name in WORDS),
        pl.col("Unit of Measure (Per Pack)", "Line Item Quantity"),
        pl.col("recorded").dt.year().alias("year"),
        pl.col("Pack Price").log().alias("target"),
    )


def train(features: pl.DataFrame, max_iter: int = 100) -> HistGradientBoostingRegressor:
    """Learn from the older four fifths."""
    older = features.head(features.height * 4 // 5)
    model = HistGradientBoostingRegressor(max_iter=max_iter, random_state=0)
    return model.fit(older.drop("target").to_numpy(), older["target"].to_numpy())


def evaluate(train: HistGradientBoostingRegressor, features: pl.DataFrame) -> dict[str, float]:
    """Judge on the newer fifth."""
    newer = features.tail(features.height - features.height * 4 // 5)
    truth = np.exp(newer["target"].to_numpy())
    guess = np.exp(train.predict(newer.drop("target").to_numpy()))
    return {"wape": float(np.abs(truth - guess).sum() / truth.sum())}
