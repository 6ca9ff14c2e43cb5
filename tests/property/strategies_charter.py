"""Charters at random: keys with fitting values, and the layers they may come from."""

from hypothesis import strategies as st

NUMBERS = {
    ("gates", "holdout"): st.floats(0.01, 0.99),
    ("gates", "confidence"): st.floats(0.51, 0.999),
    ("gates", "margin"): st.floats(0, 0.9),
    ("pipeline", "seed"): st.integers(0, 2**32 - 1),
    ("pipeline", "workers"): st.integers(1, 64),
    ("charter.money", "retrain"): st.floats(0, 1e9),
}


@st.composite
def layers(draw: st.DrawFn) -> tuple[tuple[str, str], dict[str, float]]:
    """Return a key and the layers that set it, each with its value."""
    key = draw(st.sampled_from(sorted(NUMBERS)))
    names = draw(st.sets(st.sampled_from(["file", "environment", "command line"])))
    return key, {name: draw(NUMBERS[key]) for name in sorted(names)}


toml_like = st.lists(
    st.sampled_from(
        [
            *("[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "\r\n", " ", "\t", "#", "\\"),
            *('"', "'", '"""', "'''", "gates", "holdout", "data", "sales", "charter", "kpis"),
            *(
                "metric",
                "project",
                "name",
                "0.3",
                "true",
                "1e309",
                "2024-01-01",
                "ñ",
                "\0",
                "\ufeff",
            ),
        ]
    ),
    max_size=60,
).map("".join)
