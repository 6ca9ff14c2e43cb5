"""The reference that a package keeps: what was measured, and the same bytes each time."""

from datetime import date, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from bucle.errors import EvidenceError, PackageError
from bucle.watch.estimate import validated_of
from bucle.watch.harm import standard_of
from bucle.watch.losses import loss_form, plain_losses, row_losses
from bucle.watch.reference import (
    OUTPUT,
    Reference,
    make_reference,
    reference_bytes,
    reference_from_bytes,
)
from bucle.watch.spread import spread_of

START = date(2025, 1, 1)


def make(days: int = 60, *, validated: int = 12) -> Reference:
    rng = np.random.default_rng(0)
    count = days * 20
    on = pl.Series([START + timedelta(days=row // 20) for row in range(count)])
    features = pl.DataFrame(
        {"size": rng.normal(5, 2, count), "word": rng.choice(["a", "b"], count)}
    )
    tail = validated * 20
    truth, guess = rng.gamma(3, 1, tail), rng.gamma(3, 1, tail)
    form = loss_form("wape", truth, guess)
    dates = np.repeat(np.arange(validated), 20)
    return make_reference(
        features,
        on,
        outputs=guess,
        output_days=on.tail(tail),
        form=form,
        standard=standard_of(row_losses(form, truth, guess), dates),
        validated=validated_of(
            plain_losses(form, truth, guess), prediction=guess, high=guess + 1.0
        ),
    )


def test_it_comes_back_as_it_was_and_is_the_same_bytes_each_time() -> None:
    reference = make()
    files = reference_bytes(reference)
    again = reference_from_bytes(files)
    assert again.yardsticks == reference.yardsticks
    assert (again.form, again.standard) == (reference.form, reference.standard)
    assert again.validated == reference.validated is not None
    assert reference_bytes(again) == files == reference_bytes(make())


def test_a_reference_of_an_earlier_version_says_nothing_of_widths() -> None:
    files = reference_bytes(make())
    record = msgspec.json.decode(files["reference.json"])
    del record["validated"]
    older = reference_from_bytes({**files, "reference.json": msgspec.json.encode(record)})
    assert older.validated is None
    assert older.standard == make().standard


def test_outputs_count_only_on_the_days_that_were_not_learned_from() -> None:
    reference = make()
    at = next(k for k, one in enumerate(reference.measures) if one.column == OUTPUT)
    counts = reference.days.counts[:, at]
    assert (counts > 0).tolist() == [False] * 48 + [True] * 12
    spread = spread_of(reference.days)
    assert np.isfinite(spread.between).all()


def test_only_the_last_four_hundred_days_count() -> None:
    reference = make(450)
    assert reference.days.dates.size == 400


@pytest.mark.parametrize(
    "damage",
    [
        {"reference.json": b"{"},
        {"reference.parquet": b"PAR1"},
        {"reference.json": b'{"yardsticks":[],"form":null}'},
    ],
)
def test_what_cannot_be_read_is_refused(damage: dict[str, bytes]) -> None:
    with pytest.raises(PackageError):
        reference_from_bytes(reference_bytes(make()) | damage)
    with pytest.raises(PackageError):
        reference_from_bytes({})


def test_dearer_things_alone_are_no_larger_loss() -> None:
    rng = np.random.default_rng(1)
    truth = rng.gamma(4, 10, 4000)
    guess = truth * np.exp(rng.normal(0, 0.3, 4000))
    form = loss_form("wape", truth, guess)
    wape = np.abs(guess - truth).sum() / truth.sum()
    assert row_losses(form, truth, guess).mean() == pytest.approx(wape * truth.mean())
    tenfold = row_losses(form, 10 * truth, 10 * guess)
    assert tenfold.mean() == pytest.approx(wape * truth.mean())
    worse = row_losses(form, truth, truth + 1.3 * (guess - truth))
    assert worse.mean() == pytest.approx(1.3 * wape * truth.mean())


@pytest.mark.parametrize("metric", ["r2", "r2_log", "mae", "rmse", "mdape"])
def test_more_error_is_more_loss_in_every_metric(metric: str) -> None:
    rng = np.random.default_rng(2)
    truth = rng.gamma(4, 10, 3000)
    guess = truth * np.exp(rng.normal(0, 0.3, 3000))
    form = loss_form(metric, truth, guess)
    worse = truth * np.exp(1.5 * np.log(guess / truth))
    assert row_losses(form, truth, worse).mean() > 1.3 * row_losses(form, truth, guess).mean()


def test_auc_is_followed_by_its_log_loss() -> None:
    truth = np.array([0.0, 1.0, 1.0])
    assert loss_form("auc", truth, np.array([0.2, 0.7, 0.9])).metric == "log_loss"


def test_truths_that_are_all_nothing_have_no_divisor() -> None:
    form = loss_form("wape", np.zeros(30), np.ones(30))
    assert row_losses(form, np.zeros(30), np.ones(30)).tolist() == [1.0] * 30
    with pytest.raises(EvidenceError):
        row_losses(form, np.array([np.nan]), np.ones(1))
