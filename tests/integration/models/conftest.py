"""A small fitted project model, as bytes and as a package."""

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from bucle.models.card import render_card
from bucle.models.intervals import fit_intervals
from bucle.models.metrics import measure
from bucle.models.package import PackageContents
from bucle.models.profile import profile_of
from bucle.models.signature import signature_of
from bucle.models.tabular import tabular
from bucle.pipeline.estimators import estimator_to_bytes


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def rows():
    rng = np.random.default_rng(3)
    count = 900
    frame = pl.DataFrame(
        {"size": rng.normal(size=count), "kind": rng.choice(["a", "b"], count).tolist()}
    )
    truth = np.exp(frame["size"].to_numpy() + rng.normal(0, 0.2, count))
    return frame, truth


@pytest.fixture(scope="session")
def contents(rows):
    """Fit, calibrate and describe a model: everything of a package."""
    return build_contents(*rows)


def build_contents(frame, truth, **changes):
    model = tabular(max_iter=10).fit(frame[:400], truth[:400])
    newer, labels = frame[400:], truth[400:]
    predicted = model.predict(newer)
    band = fit_intervals(newer, labels, predicted)
    fields = {
        "estimator": estimator_to_bytes(model),
        "signature": signature_of(frame, kind="regression", target="price"),
        "metrics": measure("regression", labels, predicted),
        "measured": {"rows": newer.height},
        "profile": profile_of(frame[:400]),
        "lineage": {"datasets": {"sales": "ab" * 32}, "seed": 0},
        "card": "",
        "intervals": band.intervals,
        "scale": estimator_to_bytes(band.scale),
        **changes,
    }
    whole = PackageContents(**fields)
    return PackageContents(**{**fields, "card": render_card(whole)})
