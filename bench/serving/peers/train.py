"""Fit the learner in a peer's own environment and keep it: train.py ROWS.csv FOLDER PEER."""

import sys
from pathlib import Path

import joblib
import pandas as pd
from learner import FEATURES, make_learner


def main() -> None:
    """Write model.joblib, and what MLflow and BentoML make of it."""
    rows, folder, peer = (
        pd.read_csv(sys.argv[1], keep_default_na=False),
        Path(sys.argv[2]),
        sys.argv[3],
    )
    features = rows[FEATURES]
    model = make_learner().fit(features, rows["pack_price"].to_numpy())
    joblib.dump(model, folder / "model.joblib")
    if peer == "mlflow":
        import mlflow  # noqa: PLC0415  (not in every environment)

        mlflow.sklearn.save_model(
            model,
            folder / "mlflow",
            signature=mlflow.models.infer_signature(features, model.predict(features[:5])),
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )


if __name__ == "__main__":
    main()
