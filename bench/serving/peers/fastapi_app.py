"""FastAPI as its documentation recommends: a typed body, a plain function, a frame of pandas."""

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load("model.joblib")


class Quote(BaseModel):
    """A row."""

    country: str
    via: str
    inco_term: str
    vendor: str
    classification: str
    molecule: str
    brand: str
    form: str
    site: str
    first_line: str
    pack_size: int
    packs: int
    asked_year: float


@app.post("/predict")
def predict(quotes: Quote | list[Quote]) -> list[float]:
    """Answer rows."""
    rows = quotes if isinstance(quotes, list) else [quotes]
    found: list[float] = model.predict(pd.DataFrame([row.model_dump() for row in rows])).tolist()
    return found
