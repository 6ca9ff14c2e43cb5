"""LitServe as its documentation recommends: an API with what is set up once: lit_app.py PORT."""

import sys
from typing import Any

import joblib
import litserve
import pandas as pd


class Pricer(litserve.LitAPI):
    """Prices packs."""

    def setup(self, device: str) -> None:
        """Load the model."""
        del device
        self.model = joblib.load("model.joblib")

    def decode_request(self, request: dict[str, Any], **_: Any) -> pd.DataFrame:
        """Read rows."""
        return pd.DataFrame(request["quotes"])

    def predict(self, x: pd.DataFrame, **_: Any) -> list[float]:
        """Answer rows."""
        found: list[float] = self.model.predict(x).tolist()
        return found

    def encode_response(self, output: list[float], **_: Any) -> dict[str, Any]:
        """Write the answer."""
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Pricer(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="error",
    )
