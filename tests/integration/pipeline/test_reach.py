"""A step's code is what it reaches: no less, so nothing stale is kept, and no more."""

import textwrap

import pytest

from bucle.errors import PipelineError
from bucle.pipeline.code import CodeReader
from bucle.pipeline.modules import Modules


class Project:
    """A project in a folder whose files can be edited between two readings."""

    def __init__(self, root):
        self.root = root

    def write(self, **files):
        for name, text in files.items():
            path = self.root / (
                name.replace("____init__", "/@").replace("__", "/").replace("@", "__init__") + ".py"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return self

    def code(self, name, file="pipeline.py"):
        return CodeReader(Modules(self.root)).of_project(f"{file}:{name}")

    def digests(self, *names):
        return {name: self.code(name).digest for name in names}

    def changed_by(self, *names, **files):
        before = self.digests(*names)
        self.write(**files)
        after = self.digests(*names)
        return {name for name in names if before[name] != after[name]}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


STEPS = """
    from features import encode
    import prices as tags

    def clean(raw):
        return encode(raw)

    def priced(clean):
        return tags.price(clean)

    def other(raw):
        return raw
"""
FEATURES = """
    BASE = 2

    def encode(x):
        return _scale(x) * BASE

    def _scale(x):
        return x + 1

    def unused(x):
        return x
"""
PRICES = """
    def price(x):
        return x * rate()

    def rate():
        return 1.5
"""


@pytest.fixture
def shop(project):
    return project.write(pipeline=STEPS, features=FEATURES, prices=PRICES)


def test_follows_functions_and_constants_through_modules(shop):
    assert set(shop.code("clean").parts) == {
        "pipeline.clean",
        "features.encode",
        "features._scale",
        "features.BASE",
    }
    assert set(shop.code("priced").parts) == {"pipeline.priced", "prices.price", "prices.rate"}
    assert set(shop.code("other").parts) == {"pipeline.other"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("BASE = 2", "BASE = 3", {"clean"}),
        ("return x + 1", "return x + 2", {"clean"}),
        ("def unused(x):\n        return x", "def unused(x):\n        return 2", set()),
        ("def encode(x):", "def encode(x):\n        'Words.'\n        # more words", set()),
        ("BASE = 2", "BASE = 2  # two", set()),
        ("BASE = 2", "BASE = (\n        2\n    )", set()),
        ("    return _scale(x) * BASE", "    return (_scale( x ) * BASE)", set()),
    ],
)
def test_edit_of_a_helper_touches_exactly_the_steps_that_reach_it(shop, old, new, expected):
    assert old in FEATURES
    edited = FEATURES.replace(old, new)
    assert shop.changed_by("clean", "priced", "other", features=edited) == expected


def test_edit_in_a_module_reached_under_another_name(shop):
    edited = PRICES.replace("1.5", "1.6")
    assert shop.changed_by("clean", "priced", "other", prices=edited) == {"priced"}


@pytest.mark.parametrize(
    "use",
    [
        "from helper import f\n\ndef step(x):\n    return f(x)\n",
        "from helper import f as g\n\ndef step(x):\n    return g(x)\n",
        "import helper\n\ndef step(x):\n    return helper.f(x)\n",
        "import helper as h\n\ndef step(x):\n    return h.f(x)\n",
        "from helper import *\n\ndef step(x):\n    return f(x)\n",
        "def step(x):\n    from helper import f\n    return f(x)\n",
        "def step(x):\n    import helper as h\n    return h.f(x)\n",
        (
            "try:\n    from helper import f\nexcept ImportError:\n    f = None\n\n"
            "def step(x):\n    return f(x)\n"
        ),
        (
            "import sys\nif sys.version_info > (3,):\n    from helper import f\n\n"
            "def step(x):\n    return f(x)\n"
        ),
        "from helper import f\n\ndef step(x, how=f):\n    return how(x)\n",
        "from helper import f\n\ndef step(x: f):\n    return x\n",
        "from helper import f\n\n@f\ndef step(x):\n    return x\n",
        (
            "from helper import f\n\nclass Base:\n    def go(self, x):\n        return f(x)\n\n"
            "class Sub(Base):\n    pass\n\ndef step(x):\n    return Sub().go(x)\n"
        ),
        "from helper import f\n\nTABLE = {'a': f}\n\ndef step(x):\n    return TABLE['a'](x)\n",
        "from helper import f\n\ndef step(x):\n    return [f(y) for y in x]\n",
        "from helper import f\n\ndef step(x):\n    return (lambda y: f(y))(x)\n",
        (
            "from helper import f\n\ndef step(x):\n    def inner(y):\n        return f(y)\n"
            "    return inner(x)\n"
        ),
        "import helper\n\ndef step(x):\n    return getattr(helper, 'f')(x)\n",
        "import helper\n\ndef step(x, name='f'):\n    return vars(helper)[name](x)\n",
        "import helper\nTOOLS = [helper]\n\ndef step(x):\n    return TOOLS[0].f(x)\n",
        "from helper import f\n\ndef step(x, name='f'):\n    return globals()[name](x)\n",
        "import importlib\n\ndef step(x):\n    return importlib.import_module('helper').f(x)\n",
        (
            "from importlib import import_module\n\n"
            "def step(x):\n    return import_module('hel' + 'per').f(x)\n"
        ),
        "def step(x):\n    return __import__('helper').f(x)\n",
        "def step(x):\n    exec('from helper import f')\n    return x\n",
        "import helper\nRESULT = helper.f(1)\n\ndef step(x):\n    return RESULT\n",
        "import helper\nhelper.f(1)\n\ndef step(x):\n    return x\n",
    ],
)
def test_every_way_to_reach_a_helper_is_seen(project, use):
    project.write(pipeline=use, helper="def f(x):\n    return g(x)\n\ndef g(x):\n    return 1\n")
    edited = "def f(x):\n    return g(x)\n\ndef g(x):\n    return 2\n"
    assert project.changed_by("step", helper=edited) == {"step"}


@pytest.mark.parametrize(
    "use",
    [
        "from helper import f\n\ndef step(x):\n    f = x\n    return f\n",
        "from helper import f\n\ndef step(f):\n    return f\n",
        "from helper import f\n\ndef step(x):\n    return [f for f in x]\n",
        "from helper import f\n\ndef step(x):\n    return x.f\n",
        "from helper import f, k\n\ndef step(x):\n    return k(x)\n",
        "import helper\n\ndef step(x):\n    return helper.k(x)\n",
        (
            "from helper import f\n\nif __name__ == '__main__':\n    f(1)\n\n"
            "def step(x):\n    return x\n"
        ),
        "from helper import f\n\nclass A:\n    f = 1\n    g = f\n\ndef step(x):\n    return A.g\n",
    ],
)
def test_names_that_only_look_alike_are_not_reached(project, use):
    text = "def f(x):\n    return {}\n\ndef k(x):\n    return x\n"
    project.write(pipeline=use, helper=text.format(1))
    assert project.changed_by("step", helper=text.format(2)) == set()


def test_packages_relative_imports_and_submodules(project):
    project.write(
        pipeline="""
            import shop.tools.sizes
            from shop import prices
            from shop.brands import rank

            def a(x): return prices.price(x)
            def b(x): return rank(x)
            def c(x): return shop.tools.sizes.size(x)
        """,
        shop____init__="",
        shop__prices="from .brands import weight\n\ndef price(x): return weight(x)\n",
        shop__brands="from . import tools\nfrom .tools import sizes as z\n"
        "def weight(x): return 1\ndef rank(x): return z.size(x)\n",
        shop__tools____init__="",
        shop__tools__sizes="def size(x): return 3\n",
    )
    # `shop____init__` is spelled with the folder mark twice.
    assert (project.root / "shop" / "__init__.py").exists()
    assert set(project.code("a").parts) == {
        "pipeline.a",
        "shop.prices.price",
        "shop.brands.weight",
    }
    assert set(project.code("b").parts) == {
        "pipeline.b",
        "shop.brands.rank",
        "shop.tools.sizes.size",
    }
    assert set(project.code("c").parts) == {"pipeline.c", "shop.tools.sizes.size"}


def test_what_runs_at_import_counts_for_all_of_a_module(project):
    project.write(
        pipeline="import setup_things\nfrom helper import f\n\ndef step(x): return f(x)\n",
        helper="import warnings\nwarnings.simplefilter('ignore')\n\ndef f(x): return x\n",
        setup_things="import helper\nhelper.LIMIT = 3\n",
    )
    assert project.changed_by("step", setup_things="import helper\nhelper.LIMIT = 4\n") == {"step"}


def test_functions_that_register_themselves_count_for_users_of_the_registry(project):
    helper = """
        REGISTRY = {{}}

        def register(f):
            REGISTRY[f.__name__] = f
            return f

        @register
        def double(x):
            return x * {factor}

        def use(name, x):
            return REGISTRY[name](x)
    """
    project.write(
        pipeline="from helper import use\n\ndef step(x): return use('double', x)\n",
        helper=helper.format(factor=2),
    )
    assert project.changed_by("step", helper=helper.format(factor=3)) == {"step"}


def test_plain_decorators_do_not_tie_functions_together(project):
    helper = """
        import functools

        def timed(f):
            @functools.wraps(f)
            def inner(*args):
                return f(*args)
            return inner

        @timed
        def one(x): return 1

        @timed
        @functools.lru_cache
        def two(x): return {two}
    """
    project.write(
        pipeline="from helper import *\n\ndef a(x): return one(x)\ndef b(x): return two(x)\n",
        helper=helper.format(two=2),
    )
    assert project.changed_by("a", "b", helper=helper.format(two=3)) == {"b"}


def test_subclasses_found_through_their_base_count(project):
    helper = """
        class Base:
            known = []

            def __init_subclass__(cls):
                Base.known.append(cls)

        class Rule(Base):
            limit = {limit}
    """
    project.write(
        pipeline="from helper import Base\n\ndef step(x): return len(Base.known)\n",
        helper=helper.format(limit=1),
    )
    assert project.changed_by("step", helper=helper.format(limit=2)) == {"step"}


def test_libraries_are_those_of_the_modules_reached(project):
    project.write(
        pipeline="import json\nfrom helper import f\n\ndef a(x): return f(x)\ndef b(x): return x\n",
        helper="import polars as pl\n\ndef f(x):\n    import numpy\n    return x\n",
    )
    assert set(project.code("a").libraries) == {"polars", "numpy", "python"}
    assert set(project.code("b").libraries) == {"polars", "python"}


def test_files_that_are_named_count(project):
    project.write(
        pipeline="""
            from pathlib import Path

            HERE = Path(__file__).parent
            DATA = HERE / "tables"

            def plain(x): return Path("prices.csv").read_text()
            def parts(x): return (DATA / "brands.csv").read_text()
            def joined(x): return (HERE / "tables" / "sizes.csv").read_text()
            def listed(x): return sorted(DATA.glob("*"))
            def matched(x, where="tables/b*.csv"): return where
            def none(x): return "missing.csv"
        """
    )
    (project.root / "tables").mkdir()
    for name in ("prices.csv", "tables/brands.csv", "tables/sizes.csv"):
        (project.root / name).write_text("1")
    steps = ("plain", "parts", "joined", "listed", "matched", "none")
    touched = {}
    for name in ("prices.csv", "tables/brands.csv", "tables/sizes.csv"):
        before = project.digests(*steps)
        (project.root / name).write_text("2")
        after = project.digests(*steps)
        touched[name] = {step for step in steps if before[step] != after[step]}
    assert touched == {
        "prices.csv": {"plain"},
        "tables/brands.csv": {"parts", "listed", "matched"},
        "tables/sizes.csv": {"joined", "listed"},
    }


def test_files_named_by_parameters_count_and_those_outside_do_not(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.csv"
    outside.write_text("1")
    project.write(pipeline="def step(x, path='a.csv'): return path\n")
    (project.root / "b.csv").write_text("1")
    (project.root / "link.csv").symlink_to(outside)
    reader = CodeReader(Modules(project.root))
    given = {"path": "b.csv", "other": [str(outside), "../outside", "link.csv", "/", ".", "~"]}
    parts = reader.of_project("pipeline.py:step", parameters=given).parts
    assert [name for name in parts if name.startswith("file ")] == ["file b.csv"]


def test_long_chains_and_circles_of_functions_end(project):
    lines = [f"def f{i}(x): return f{i + 1}(x)" for i in range(3000)]
    lines += ["def f3000(x): return f0(x)", "def step(x): return f0(x)"]
    project.write(pipeline="\n".join(lines))
    assert len(project.code("step").parts) == 3002


def test_modules_that_import_each_other_end(project):
    project.write(
        pipeline="from a import *\n\ndef step(x): return f(x) + g(x) + nowhere(x)\n",
        a="from b import *\nimport pipeline\n\ndef f(x): return 1\n",
        b="from a import *\n\ndef g(x): return 2\n",
    )
    assert {"a.f", "b.g"} <= set(project.code("step").parts)


def test_code_that_reads_source_text_depends_on_every_letter(project):
    project.write(
        pipeline="import inspect\nimport helper\n\ndef step(x): return inspect.getsource(helper)\n",
        helper="def f(x): return 1\n",
    )
    assert project.changed_by("step", helper="def f(x): return 1  # one\n") == {"step"}


def test_docstrings_count_where_they_are_read(project):
    project.write(pipeline="def step(x):\n    'A.'\n    return step.__doc__\n")
    edited = "def step(x):\n    'B.'\n    return step.__doc__\n"
    assert project.changed_by("step", pipeline=edited) == {"step"}


def test_names_that_appear_only_when_running_bring_in_the_module(project):
    text = "def setup():\n    global TABLE\n    TABLE = {}\n\ndef step(x):\n    return TABLE\n"
    project.write(pipeline=text.format(1))
    assert project.changed_by("step", pipeline=text.format(2)) == {"step"}


def test_file_that_is_no_python_is_named_with_its_line(project):
    project.write(
        pipeline="from helper import f\n\ndef step(x): return f(x)\n", helper="x = 1\ndef :\n"
    )
    with pytest.raises(PipelineError) as caught:
        project.code("step")
    assert caught.value.where == "helper.py:2"
    assert caught.value.code == "bucle-142"


def test_links_out_of_the_project_are_no_modules(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "helper.py"
    outside.write_text("def f(x): return 1\n")
    (project.root / "helper.py").symlink_to(outside)
    project.write(pipeline="from helper import f\n\ndef step(x): return f(x)\n")
    assert set(project.code("step").parts) == {"pipeline.step"}


def test_text_that_is_half_a_surrogate_pair_is_code_like_any_other(project):
    steps = "ODD = {0!r}\n\ndef clean(raw, odd={0!r}):\n    return [raw, odd, ODD, raw / {0!r}]\n"
    half, other = (steps.format(text) for text in ("\ud800", "\udfff"))
    project.write(pipeline=half)
    assert project.changed_by("clean", pipeline=other) == {"clean"}
    assert project.changed_by("clean", pipeline=f"{other}# nothing\n") == set()
