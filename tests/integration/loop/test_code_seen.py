"""What counts as another code: by files as people edit them, through the job that looks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from going import Living
from shop import CHARTER, write_shop

from bucle.loop.code import see_code
from bucle.loop.events import RunFinished
from bucle.loop.live.deeds import carry_out
from bucle.loop.live.orders import Order, facts_of
from bucle.loop.observations import CodeSeen
from bucle.loop.training import run_project
from bucle.loop.workspace import open_workspace

Edit = Callable[[Path], object]


def appended(name: str, text: str) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)

    return edit


def replaced(name: str, old: str, new: str) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return edit


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop after its first run, with a package, a file a step reads, and notes."""
    folder = write_shop(tmp_path_factory.mktemp("code") / "shop", count=120)
    (folder / "sizes").mkdir()
    (folder / "sizes" / "__init__.py").write_text("from sizes.scales import scale\n")
    (folder / "sizes" / "scales.py").write_text("def scale(value):\n    return value * 1\n")
    (folder / "least.txt").write_text("0\n")
    (folder / "notes.md").write_text("Soon.\n")
    replaced(
        "pipeline.py",
        '    return sales.sort("sold_at", "id")\n',
        '    least = float((Path(__file__).parent / "least.txt").read_text())\n'
        '    return sales.filter(scale(pl.col("size")) >= least).sort("sold_at", "id")\n',
    )(folder)
    replaced(
        "pipeline.py",
        "import polars as pl\n",
        "from pathlib import Path\n\nimport polars as pl\nfrom sizes import scale\n",
    )(folder)
    done = run_project(open_workspace(folder, actor="ana"))
    assert done.state == "done", done.error
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    passing = shutil.ignore_patterns("kept.db-*")
    return Path(shutil.copytree(made, tmp_path / "shop", symlinks=True, ignore=passing))


def look(folder: Path, *settings: str) -> CodeSeen | None:
    """Let the job look, and put on record what it saw."""
    answer = carry_out(Order(kind="code", root=str(folder), overrides=settings))
    assert answer.error == ""
    facts = facts_of(answer)
    open_workspace(folder, actor="loop").record(*facts)
    (seen,) = facts or (None,)
    assert seen is None or isinstance(seen, CodeSeen)
    return seen


@pytest.mark.parametrize(
    "edit",
    [
        appended("TODO.md", "hi\n"),
        appended("notes.txt", "Buy milk.\n"),
        lambda folder: (folder / "notes.md").unlink(),
        appended("docs/plan.toml", "a = 1\n"),
        appended("bucle.toml", "\n# Not now.\n"),
        appended("bucle.toml", "\n[watch]\nfalse_alarms = '1 per 90 days'\n"),
        replaced("bucle.toml", "[pipeline]\n", "[pipeline]\nworkers = 1\n"),
        replaced("bucle.toml", 'problem = "What', 'problem = "So what'),
        appended("bucle.toml", "\n[pipeline.parameters.model]\nbend = 0.7\n"),
        appended("pipeline.py", "\n\n# The end.\n"),
        replaced("pipeline.py", '"""Two steps."""', '"""Two plain steps."""'),
        appended("sizes/scales.py", "\n\ndef other(value):\n    return value\n"),
        appended("try_out.py", "print('never imported')\n"),
        replaced("pipeline.py", "sales.filter(scale", "sales.filter(  scale"),
    ],
)
def test_what_no_step_runs_is_no_other_code(shop: Path, edit: Edit) -> None:
    edit(shop)
    assert look(shop) is None


@pytest.mark.parametrize(
    "edit",
    [
        replaced("pipeline.py", "bend: float = 0.7", "bend: float = 0.8"),
        replaced("line.py", 'X["size"].to_numpy(), np', 'X["size"].to_numpy() + 0, np'),
        replaced("sizes/scales.py", "value * 1", "value * 2"),
        appended("least.txt", "5\n"),
        replaced("contract.py", "size = dy.Float64(min=0)", "size = dy.Float64(min=1)"),
        appended("bucle.toml", "\n[pipeline.parameters.model]\nbend = 0.8\n"),
        replaced("bucle.toml", 'features = ["size"]', 'features = ["size", "id"]'),
        replaced("bucle.toml", "[pipeline]\n", "[pipeline]\nseed = 7\n"),
        replaced("bucle.toml", "[gates]\n", "[gates]\nholdout = 0.3\n"),
        replaced("bucle.toml", 'key = "id"\n', 'key = "id"\nnull_values = ["", "?"]\n'),
    ],
)
def test_what_a_run_would_learn_by_is_other_code_once(shop: Path, edit: Edit) -> None:
    edit(shop)
    seen = look(shop)
    assert seen is not None
    assert seen.code
    assert look(shop) is None


def test_code_that_is_put_back_is_another_one_again(shop: Path) -> None:
    there, back = (
        ("bend: float = 0.7", "bend: float = 0.8"),
        ("bend: float = 0.8", "bend: float = 0.7"),
    )
    first = open_workspace(shop, actor="ana").state().code
    replaced("pipeline.py", *there)(shop)
    assert look(shop) is not None
    replaced("pipeline.py", *back)(shop)
    seen = look(shop)
    assert seen is not None
    assert seen.code == first


def test_a_run_says_what_it_learned_by(shop: Path) -> None:
    appended("bucle.toml", "\n[pipeline.parameters.model]\nbend = 0.8\n")(shop)
    seen = look(shop)
    assert seen is not None
    run_project(open_workspace(shop, actor="ana"))
    last = open_workspace(shop, actor="ana").state().last_run
    assert last is not None
    assert last.started.code == seen.code
    assert look(shop) is None
    assert look(shop, "pipeline.parameters.model.bend=0.9") is not None


# ---- a log that an earlier Bucle wrote ------------------------------------------------------


def test_after_an_upgrade_only_other_code_or_parameters_count(shop: Path) -> None:
    workspace = open_workspace(shop, actor="ana")
    last = workspace.state().last_run
    assert last is not None
    old = msgspec.structs.replace(last.started, run="r-old", code="")
    workspace.record(
        old,
        RunFinished(run="r-old", state="done", steps=(), metrics={}),
        CodeSeen(source=last.started.source),
    )
    assert workspace.state().code == ""
    appended("TODO.md", "hi\n")(shop)
    assert look(shop) is None
    appended("bucle.toml", "\n[pipeline.parameters.model]\nbend = 0.8\n")(shop)
    assert look(shop) is not None
    assert look(shop) is None


def test_after_an_upgrade_a_run_whose_sources_are_lost_was_of_other_code(shop: Path) -> None:
    workspace = open_workspace(shop, actor="ana")
    last = workspace.state().last_run
    assert last is not None
    workspace.record(msgspec.structs.replace(last.started, run="r-old", code=""))
    blobs = [one for one in (shop / ".bucle" / "blobs").rglob("*") if one.is_file()]
    (kept,) = (one for one in blobs if last.started.source[2:] in str(one).replace("/", ""))
    kept.unlink()
    # Looked at from a tree that is another one by a note, so that nothing puts it back.
    appended("TODO.md", "hi\n")(shop)
    assert see_code(open_workspace(shop, actor="ana"), workspace.state()) is not None


# ---- a loop that goes on ---------------------------------------------------------------------


@pytest.mark.thorough
def test_a_loop_retrains_for_code_and_for_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_shop(tmp_path / "shop", charter=CHARTER)
    settings = ('retrain.policy="code"', 'retrain.cooldown="0d"', "deploy.steps=[]")
    loop = Living(folder, monkeypatch, *settings)
    run_project(loop.opened())
    loop.begin()
    (folder / "TODO.md").write_text("hi\n")
    with (folder / "bucle.toml").open("a") as stream:
        stream.write("\n# Soon.\n")
    assert loop.runs(loop.look()) == 0
    (folder / "TODO.md").unlink()
    assert loop.runs(loop.look()) == 0
    pipeline = folder / "pipeline.py"
    whole = pipeline.read_text().replace("bend: float = 0.7", "bend: float = 1.0")
    pipeline.write_text(whole[:-20] + "(")
    assert loop.runs(loop.look()) == 0
    assert sum("code: " in one for one in loop.said) == 1, loop.said
    pipeline.write_text(whole)
    came = loop.look()
    assert loop.runs(came) == 1
    assert "promoted" in [one.kind for one in came]
    assert loop.runs(loop.look(days=1)) == 0
