"""Tests of this project's own code; run them with `python -m pytest` in the project's folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import FEATURES, TARGET, examples

from contract import Rows


def test_what_is_predicted_is_not_used_to_predict_it():
    assert TARGET not in FEATURES


def test_contract_has_every_column_the_model_uses():
    assert {TARGET, *FEATURES} <= set(Rows.column_names())


def test_examples_have_every_column_the_model_uses():
    assert {TARGET, *FEATURES} <= set(examples(Rows.create_empty()).columns)
