"""Source code, graphs and values for tests of the pipeline."""

import keyword

from hypothesis import strategies as st

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name) and name not in {"as_of", "match", "case", "type"}
)
LITERALS = st.one_of(
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.booleans(),
    st.none(),
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**80), 2**80),
        st.floats(allow_nan=False),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=5), st.just("$number")), inner, max_size=4),
    ),
    max_leaves=12,
)


@st.composite
def helpers(draw):
    """Return functions that call only later ones, as (name, constant, names called)."""
    names = draw(st.lists(NAMES, min_size=2, max_size=8, unique=True))
    return [
        (
            name,
            draw(st.integers(0, 9)),
            draw(st.sets(st.sampled_from(names[place + 1 :]), max_size=3))
            if names[place + 1 :]
            else set(),
        )
        for place, name in enumerate(names)
    ]


@st.composite
def layouts(draw):
    """Return how to lay a piece of code out: nothing of it has a meaning."""
    return {
        "comment": draw(st.text(alphabet="abc #'\"()[]", max_size=12)),
        "blank": draw(st.integers(0, 3)),
        "docstring": draw(st.one_of(st.none(), st.text(alphabet="abc ñ.", max_size=12))),
        "brackets": draw(st.booleans()),
        "order": draw(st.randoms(use_true_random=False)),
    }


def write(functions, layout):
    """Write functions as source; layout and order of definitions do not change what they say."""
    pieces = []
    for name, constant, calls in functions:
        value = " + ".join([str(constant), *(f"{call}(_given)" for call in sorted(calls))])
        body = f"({value})" if layout["brackets"] else value
        lines = [f"# {layout['comment']}", f"def {name}(_given):"]
        if layout["docstring"] is not None:
            lines.append(f"    {layout['docstring']!r}")
        lines += ["", f"    return {body}  # {layout['comment']}", *[""] * layout["blank"]]
        pieces.append("\n".join(lines))
    layout["order"].shuffle(pieces)
    return "\n".join(pieces) + "\n"


PLAIN = {"comment": "", "blank": 0, "docstring": None, "brackets": False}
