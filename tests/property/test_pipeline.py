"""Properties of the pipeline: what changes a digest, in which order steps run, what comes back."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_pipeline import JSON, LITERALS, NAMES, PLAIN, helpers, layouts, write

from bucle.errors import CycleError
from bucle.ids import digest_json
from bucle.pipeline.artifacts import decode_value, encode_value
from bucle.pipeline.code import CodeReader
from bucle.pipeline.graph import read_graph
from bucle.pipeline.keys import KeyParts, explain, key_of
from bucle.pipeline.modules import Module, Modules
from bucle.pipeline.syntax import read_facts


def digests(functions, source):
    """Return the digest of each function as a step of its own sees it, through a second module."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "tools.py").write_text(source)
        steps = [f"def step_{name}(x): return tools.{name}(x)" for name, _, _ in functions]
        (root / "pipeline.py").write_text("\n".join(["import tools", *steps]))
        reader = CodeReader(Modules(root))
        return {
            name: reader.of_project(f"pipeline.py:step_{name}").digest for name, _, _ in functions
        }


def reached(functions, start):
    calls = {name: called for name, _, called in functions}
    found, pending = set(), [start]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += calls[name]
    return found


@given(helpers(), layouts())
def test_layout_comments_docstrings_and_order_never_change_a_digest(functions, layout):
    plain = write(functions, {**PLAIN, "order": random.Random(0)})
    assert digests(functions, plain) == digests(functions, write(functions, layout))


@given(helpers(), st.data())
def test_a_change_reaches_exactly_those_that_reach_it(functions, data):
    changed = data.draw(st.sampled_from([name for name, _, _ in functions]))
    edited = [
        (name, constant + 1 if name == changed else constant, calls)
        for name, constant, calls in functions
    ]
    layout = {**PLAIN, "order": random.Random(0)}
    before = digests(functions, write(functions, layout))
    after = digests(edited, write(edited, {**layout, "order": random.Random(0)}))
    touched = {name for name in before if before[name] != after[name]}
    assert touched == {name for name in before if changed in reached(functions, name)}


@given(st.data())
def test_steps_run_after_what_they_need_whatever_their_order_in_the_file(data):
    names = data.draw(st.lists(NAMES, min_size=1, max_size=10, unique=True))
    needs = {
        name: data.draw(st.sets(st.sampled_from(names[:place]), max_size=3)) if place else set()
        for place, name in enumerate(names)
    }
    lines = [f"def {name}({', '.join(sorted(needs[name]))}): return 1" for name in names]
    shuffled = data.draw(st.permutations(lines))
    facts = read_facts("\n".join(shuffled).encode(), file="pipeline.py")
    graph = read_graph(Module(name="pipeline", file="pipeline.py", facts=facts))
    order = [step.name for step in graph.steps]
    assert sorted(order) == sorted(names)
    assert all(order.index(need) < order.index(name) for name in names for need in needs[name])
    wanted = data.draw(st.sampled_from(names))
    upstream = [step.name for step in graph.upstream([wanted])]
    assert upstream == [name for name in order if name in upstream]
    assert {need for name in upstream for need in needs[name]} | {wanted} == set(upstream)


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), st.data())
def test_every_circle_is_found_and_is_one(names, data):
    lines = [
        f"def {name}({names[(place + 1) % len(names)]}): return 1"
        for place, name in enumerate(names)
    ]
    extra = data.draw(NAMES.filter(lambda name: name not in names))
    lines.append(f"def {extra}({names[0]}): return 1")
    facts = read_facts("\n".join(data.draw(st.permutations(lines))).encode(), file="pipeline.py")
    with pytest.raises(CycleError) as caught:
        read_graph(Module(name="pipeline", file="pipeline.py", facts=facts))
    path = caught.value.path
    assert path[0] == path[-1]
    assert set(path) == set(names)


@given(NAMES, LITERALS)
def test_literal_defaults_are_read_as_python_reads_them(name, value):
    facts = read_facts(f"def step({name}={value!r}): return 1".encode(), file="pipeline.py")
    (parameter,) = facts.functions[0].parameters
    assert parameter.literal
    assert parameter.default == value
    assert type(parameter.default) is type(value)


@given(JSON)
def test_json_values_come_back_and_their_bytes_do_not_depend_on_the_past(value):
    encoded = encode_value(value, root=Path("/nowhere"))
    back = decode_value(encoded.content, format="json", root=Path("/nowhere"))
    assert back == value
    assert encode_value(back, root=Path("/nowhere")) == encoded


@given(
    st.dictionaries(NAMES, st.text(max_size=3), max_size=4),
    st.dictionaries(NAMES, st.text(max_size=3), max_size=4),
)
def test_another_key_always_has_a_reason(one, other):
    parts = [
        KeyParts(call="p.py:a", code=code, libraries={}, inputs={}, settings={"n": 1})
        for code in (one, other)
    ]
    same = key_of(parts[0]) == key_of(parts[1])
    assert same == (digest_json(one) == digest_json(other))
    assert (explain(*parts) == "nothing changed") == same
