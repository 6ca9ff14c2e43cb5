"""Names of the module that code uses, by Python's rules of scope."""

import ast

import pytest

from bucle.pipeline.scopes import uses_of


def uses(text):
    return uses_of(ast.parse(text).body)


def names(text):
    return {".".join(reference.chain) for reference in uses(text).references}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(x): return g(x)", {"g"}),
        ("def f(g): return g", set()),
        ("def f(x=g): return x", {"g"}),
        ("def f(*, x=g): return x", {"g"}),
        ("def f(x: g) -> h: return x", {"g", "h"}),
        ("def f(*a: g, **k: h): return a, k", {"g", "h"}),
        ("@g.h(1)\ndef f(x): return x", {"g.h"}),
        ("def f(x):\n    g = x\n    return g", set()),
        ("def f(x):\n    global g\n    g = x\n    return g", {"g"}),
        ("def f(x):\n    for g in x: pass\n    return g", set()),
        ("def f(x):\n    with x as g: return g", set()),
        ("def f(x):\n    try: pass\n    except E as g: return g", {"E"}),
        ("def f(x):\n    if (g := x): return g", set()),
        ("def f(x):\n    [y for y in x if (g := y)]\n    return g", set()),
        ("def f(x):\n    del g", set()),
        ("def f(x):\n    match x:\n        case [g, *h]: return g, h", set()),
        ("def f(x):\n    match x:\n        case {'a': 1, **g}: return g", set()),
        ("def f(x):\n    match x:\n        case C(a=g): return g", {"C"}),
        ("def f(x): return [g for g in x]", set()),
        ("def f(x): return [y for y in g]", {"g"}),
        ("def f(): return [g for g in g]", {"g"}),
        ("def f(x): return {k: h(v) for k, v in x if g(k)}", {"g", "h"}),
        ("def f(x): return [a for b in x for a in b]", set()),
        ("def f(x): return lambda g: g + h", {"h"}),
        ("def f(x): return lambda y=g: y", {"g"}),
        ("def f(x):\n    def g(): return x\n    return g()", set()),
        ("def f(x):\n    def g():\n        nonlocal x\n        x = 1\n    return g", set()),
        ("def f(x):\n    def g(): return h\n    return g()", {"h"}),
        ("class A:\n    b = 1\n    c = b", set()),
        ("class A:\n    b = 1\n    def m(self): return b", {"b"}),
        ("class A(B, metaclass=M): pass", {"B", "M"}),
        ("class A:\n    @property\n    def m(self): return self.x", {"property"}),
        ("def f(x): return a.b.c(x).d", {"a.b.c"}),
        ("def f(x): return x.a.b", set()),
        ("def f(x): return a[0].b", {"a"}),
        ("def f(x): return f'{g(x)!r:{h}}'", {"g", "h"}),
        ("def f(x):\n    'g'\n    return x", set()),
        ("async def f(x):\n    async with g() as h: await h", {"g"}),
        ("x = [g(y) for y in z]", {"g", "z"}),
    ],
)
def test_uses(text, expected):
    assert names(text) == expected


def test_names_imported_inside_functions_lead_to_their_module():
    found = uses(
        "def f(x):\n    import a.b\n    import c.d as e\n    from g import h as i\n"
        "    from . import j\n    return a.b.k, e.l, i.m, j.n"
    )
    told = {(item.module, item.level, item.chain) for item in found.references}
    assert told == {
        ("a", 0, ("b", "k")),
        ("c.d", 0, ("l",)),
        ("g", 0, ("h", "m")),
        ("", 1, ("j", "n")),
    }
    assert {(item.module, item.level) for item in found.imports} == {
        ("a.b", 0),
        ("c.d", 0),
        ("g", 0),
        ("", 1),
    }


def test_texts_that_could_name_a_file_are_collected():
    found = uses(
        'def f(x):\n    "no docstring"\n'
        '    return open("a.csv"), ROOT / "b" / "c.csv", os.path.join("d", "e.csv"), "x\\ny"'
    )
    assert {"a.csv", "b/c.csv", "d/e.csv"} <= set(found.strings)
    assert "no docstring" not in found.strings
    assert "x\ny" not in found.strings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(x): REGISTRY[x] = x", True),
        ("def f(x): REGISTRY.append(x)", True),
        ("def f(x): REGISTRY.inner.update(x)", True),
        ("def f(x):\n    rows = []\n    rows.append(x)", False),
        ("def f(x): x['a'] = 1", False),
        ("def f(x): return REGISTRY[x]", False),
    ],
)
def test_changing_a_module_level_value_is_noticed(text, expected):
    assert uses(text).changes_state is expected
