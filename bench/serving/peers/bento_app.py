"""BentoML as its documentation recommends: a service class with a typed frame."""

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Pricer:
    """Prices packs."""

    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(self, quotes: pd.DataFrame) -> list[float]:
        """Answer rows."""
        found: list[float] = self.model.predict(quotes).tolist()
        return found
