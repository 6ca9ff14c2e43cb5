"""Figures: `python -m bench` prints one line of JSON for each; they are no part of the tests."""
