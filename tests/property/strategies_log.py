"""Bodies of events and what can be done to a log."""

from hypothesis import strategies as st

from bucle.types import Draft

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DRAFTS = st.builds(
    Draft,
    kind=TEXT,
    version=st.integers(0, 9),
    body=st.dictionaries(TEXT, VALUES, max_size=4),
    at=TEXT,
    actor=TEXT,
    cause=TEXT,
)
BATCHES = st.lists(st.lists(DRAFTS, max_size=4), max_size=5)
