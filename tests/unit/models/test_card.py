"""A model card says what a person should know, and shows the project's words as words."""

import msgspec
import pytest

from bucle.charter.settings import CharterSettings, Kpi
from bucle.models.card import render_card
from bucle.models.intervals import Intervals
from bucle.models.package import PackageContents
from bucle.models.reliability import ReliabilityBin
from bucle.models.signature import Feature, Signature

CHARTER = CharterSettings(
    problem="Freight is quoted by hand",
    value="Quotes in a minute",
    owner="Ana",
    users=("clerks",),
    risks=("new countries",),
    kpis=(Kpi(metric="wape", goal=0.2, must=0.4),),
)
CONTENTS = PackageContents(
    estimator=b"",
    signature=Signature(
        kind="regression", target="freight", features=(Feature(name="kg", dtype="Float64"),)
    ),
    metrics={"wape": 0.25, "rmse": 1234.5678},
    measured={
        "rows": 800,
        "warnings": ["few rows"],
        "baselines": {"median": {"wape": 0.6}},
    },
    profile={},
    lineage={"datasets": {"lines": "ab" * 32}, "seed": 7, "trained_until": None},
    card="",
    intervals=Intervals(
        level=0.9,
        quantile=2.0,
        positive=True,
        scaled=True,
        coverage=0.887,
        width=321.0,
        scale_rows=400,
        quantile_rows=240,
        measured_rows=160,
        note="",
    ),
)


def test_shows_metrics_beside_baselines_goal_and_limit():
    card = render_card(CONTENTS, charter=CHARTER)
    assert "| metric | this model | baseline median | goal | must |" in card
    assert "| wape | 25.0% | 60.0% | 20.0% | 40.0% |" in card
    assert "| rmse | 1235 |  |  |  |" in card
    assert "Measured on 800 rows that it has not learned from" in card


def test_shows_purpose_risks_warnings_columns_and_origin():
    card = render_card(CONTENTS, charter=CHARTER)
    for text in (
        "# Model card: freight",
        "- Owner: Ana",
        "- few rows",
        "- new countries",
        "| kg | Float64 |",
        f"`{'ab' * 32}`",
        "- seed: `7`",
        "open_package",
    ):
        assert text in card
    assert "trained until" not in card


def test_shows_how_often_intervals_held():
    card = render_card(CONTENTS)
    assert "They held 88.7% of 160 rows after those, with a mean width of 321." in card


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"quantile": None, "note": "few rows: 3"}, "It gives no intervals: few rows: 3."),
        ({"note": "few rows: 42 gave the width"}, "Careful: few rows: 42 gave the width."),
        ({"group_quantiles": {"a": 1.0}, "group": "mode"}, "1 groups of mode have a width"),
        ({"scaled": False}, "of the same width for all rows"),
    ],
)
def test_says_what_intervals_are_worth(changes, text):
    record = msgspec.structs.replace(CONTENTS.intervals, **changes)
    assert text in render_card(msgspec.structs.replace(CONTENTS, intervals=record))


def test_shows_how_far_probabilities_can_be_believed():
    answers = msgspec.structs.replace(
        CONTENTS,
        signature=Signature(
            kind="classification", target="paid", features=(), classes=("no", "yes")
        ),
        intervals=None,
        calibration=(ReliabilityBin(rows=80, probability=0.125, share_yes=0.1),),
    )
    card = render_card(answers)
    assert "how probable it is that **paid** is yes" in card
    assert "| 80 | 12.5% | 10.0% |" in card


def test_words_of_the_project_are_never_markup():
    signature = Signature(
        kind="regression",
        target="<img src=x onerror=alert(1)>",
        features=(Feature(name="a|b`c\n# d", dtype="Float64"),),
    )
    lineage = {"datasets": {"x`y": "`z`"}}
    card = render_card(msgspec.structs.replace(CONTENTS, signature=signature, lineage=lineage))
    assert "<img" not in card.replace("\\<img", "")
    assert r"| a\|b\`c \# d | Float64 |" in card
    assert "`'z'`" in card


def test_says_the_same_each_time():
    assert render_card(CONTENTS, charter=CHARTER) == render_card(CONTENTS, charter=CHARTER)
