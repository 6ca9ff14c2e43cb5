"""Bad bucle.toml: one line that says what, where and the nearest valid name; exit code 2."""

from pathlib import Path

import pytest
from calls import Answer, bucle
from shop import CHARTER, write_shop


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one project whose charter each test writes anew."""
    return write_shop(tmp_path_factory.mktemp("charters") / "shop", count=30)


def _refused(folder: Path, charter: str | bytes, *words: str) -> Answer:
    raw = charter if isinstance(charter, bytes) else charter.encode()
    (folder / "bucle.toml").write_bytes(raw)
    answer = bucle(*(words or ("run",)), at=folder, code=2)
    assert "Traceback" not in answer.all
    assert answer.out == ""
    assert "Code: bucle-" in answer.err
    assert not (folder / ".bucle" / "log.db").exists()
    return answer


# ---- 7: the text itself -----------------------------------------------------


@pytest.mark.parametrize(
    ("charter", "says"),
    [
        ("[project]\nname = 'a'\nname = 'b'\n", "bucle.toml"),
        ("[project]\n[project]\nname = 'a'\n", "bucle.toml"),
        ("[project\nname = 'a'\n", "bucle.toml:1"),
        ("project:\n\tname: a\n", "bucle.toml"),
        ("name: &a [*a, *a]\n", "bucle.toml"),
        ("!!python/object:os.system\n", "bucle.toml"),
        ("[project]\nname = no\n", "bucle.toml"),
        ("[project]\nname = 2026-01-01\n", "project.name"),
        ("", "project"),
        (b"\xff\xfe[\x00p\x00", "bucle.toml"),
        ("[project]\nname = 'caf\xe9'\n".encode("latin-1"), "bucle.toml"),
        (b"[project]\nname = 'a\x00b'\n", "bucle.toml"),
        (b"[project]\nname = 'a'\n#" + b"x" * 50_000_000, "bucle.toml"),
        ("a." * 5000 + "b = 1\n", "bucle.toml"),
        ("x = " + "[" * 5000 + "]" * 5000 + "\n", "bucle.toml"),
    ],
    ids=range(15),
)
def test_a_text_that_is_no_charter_is_refused(shared, charter, says) -> None:
    assert says in _refused(shared, charter).err


def test_a_byte_order_mark_does_no_harm(shared) -> None:
    (shared / "bucle.toml").write_bytes(b"\xef\xbb\xbf" + CHARTER.encode())
    assert bucle("config", "project.name", "--json", at=shared).json[0]["value"] == "shop"


# ---- 8: keys ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[gates]\n", "[gates]\nhold_out = 0.3\n", "Did you mean: gates.holdout"),
        ("[gates]\n", "[gate]\n", "Did you mean: gates"),
        ("event_time =", "event_tim =", "event_time"),
        ('metric = "mae"', 'metric = "mea"', "Did you mean: mae"),
        ("must = 50.0", 'must = "fifty"', "charter.kpis"),
        ('target = "price"', "target = 3", "pipeline.target"),
        ('features = ["size"]', 'features = ["size", "price"]', "target is also listed"),
        ('event_time = "sold_at"', 'event_time = "sold"', "sold_at"),
        ('key = "id"', 'key = "ident"', "id"),
        ("contract.py:Sales", "contract.py:Sale", "Did you mean: Sales"),
        ("contract.py:Sales", "contrat.py:Sales", "contrat.py"),
        ("sales.csv", "sale.csv", "sale.csv"),
        ("[pipeline]\n", '[pipeline]\nfile = "pipelin.py"\n', "pipelin.py"),
        ("[pipeline]\n", '[pipeline]\nmodel = "modle"\n', "model"),
        ('examples = "examples"', 'examples = "example"', "Did you mean: examples"),
    ],
)
def test_a_key_or_name_that_does_not_fit_is_named(shared, old, new, says, tmp_path) -> None:
    assert old in CHARTER
    folder = write_shop(tmp_path / "shop", count=30, charter=CHARTER.replace(old, new))
    answer = bucle("run", at=folder, code=2)
    assert "Traceback" not in answer.all
    assert "Code: bucle-" in answer.err
    assert says in answer.err


@pytest.mark.parametrize(
    ("given", "key", "near"),
    [
        pytest.param(
            'pipeline.features=["sise"]', "pipeline.features", "size", marks=pytest.mark.slow
        ),
        pytest.param("pipeline.target=prize", "pipeline.target", "price", marks=pytest.mark.slow),
        ("gates.cluster=siz", "gates.cluster", "size"),
        pytest.param('gates.slices=["siez"]', "gates.slices", "size", marks=pytest.mark.slow),
        pytest.param(
            "gates.baseline_key=sizes", "gates.baseline_key", "size", marks=pytest.mark.slow
        ),
    ],
)
def test_a_column_that_the_examples_lack_is_named(shop, given, key, near) -> None:
    answer = bucle("run", "--set", given, at=shop, code=2)
    assert "Traceback" not in answer.all
    assert "bucle-238" in answer.err
    assert key in answer.err
    assert f"Did you mean: {near}" in answer.err
    assert bucle("runs", "--json", at=shop).json[-1]["state"] == "failed"


def test_no_model_is_fitted_for_columns_that_are_not_there(tmp_path) -> None:
    folder = write_shop(tmp_path / "shop", count=30)
    answer = bucle("run", "--set", 'pipeline.features=["sise"]', "--json", at=folder, code=2)
    assert {step["name"]: step["state"] for step in answer.json["steps"]} == {
        "examples": "ran",
        "model": "skipped",
    }
    assert "Did you mean: size" in answer.json["error"]


def test_examples_that_are_no_frame_are_refused_before_the_model(tmp_path) -> None:
    folder = write_shop(tmp_path / "shop", count=30)
    pipeline = folder / "pipeline.py"
    pipeline.write_text(pipeline.read_text().replace('sales.sort("sold_at", "id")', "{}"))
    answer = bucle("run", at=folder, code=2)
    assert "the examples are no frame but dict" in answer.err
    assert "Traceback" not in answer.all


# ---- 9: paths ---------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../secret.csv",
        "/etc/passwd",
        "a/../../secret.csv",
        "link.csv",
        "loop.csv",
        "~/secret.csv",
        "$HOME/secret.csv",
        "https://example.org/x.csv",
        "//host/share/x.csv",
        "file:///etc/passwd",
        "\\\\\\\\host\\\\share",
        "link/secret.csv",
    ],
)
def test_a_source_stays_inside_the_project(tmp_path, path) -> None:
    (tmp_path / "secret.csv").write_text("id,sold_at,paid_at,size,price\n1,2025-01-01,,7,8\n")
    charter = CHARTER.replace("sales.csv", path)
    folder = write_shop(tmp_path / "shop", count=3, charter=charter)
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "link").symlink_to(tmp_path)
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    answer = bucle("run", at=folder, code=2)
    assert "Traceback" not in answer.all
    assert "Code: bucle-" in answer.err
    assert "root:" not in answer.all
    assert not (folder / ".bucle" / "log.db").exists()


@pytest.mark.parametrize("path", ["../evil.py", "/tmp/evil.py", "link.py", "~/evil.py"])
@pytest.mark.parametrize("place", ["contract", "pipeline", "money"])
def test_code_stays_inside_the_project(tmp_path, path, place) -> None:
    mark = tmp_path / "ran"
    evil = (
        f"open({str(mark)!r}, 'w')\n\n\nclass Sales:\n    pass\n\n\ndef cost(a, b):\n    return a\n"
    )
    (tmp_path / "evil.py").write_text(evil)
    charter = {
        "contract": CHARTER.replace("contract.py:Sales", f"{path}:Sales"),
        "pipeline": CHARTER.replace("[pipeline]\n", f'[pipeline]\nfile = "{path}"\n'),
        "money": CHARTER + f'\n[charter.money]\nerror = "{path}:cost"\n',
    }[place]
    folder = write_shop(tmp_path / "shop", count=30, charter=charter)
    (folder / "link.py").symlink_to(tmp_path / "evil.py")
    answer = bucle("run", at=folder, code=2)
    assert "Traceback" not in answer.all
    assert "Code: bucle-" in answer.err
    assert not mark.exists()


# ---- 10: contradictions -----------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("must = 50.0", "must = 1.0", "stricter than the goal"),
        ("goal = 2.0", "goal = -2.0", "charter.kpis.0.goal"),
        ('key = "id"', 'key = "price"', "label"),
        ('event_time = "sold_at"', 'event_time = "price"', "label"),
        ("[gates]\n", "[gates]\nholdout = 1.0\n", "gates.holdout"),
        ("[gates]\n", "[gates]\nconfidence = 0.0\n", "gates.confidence"),
        ('baselines = ["median"]', 'baselines = ["last"]', "baseline_key"),
        ('metric = "mae"', 'metric = "auc"', "charter.kpis.0.metric"),
    ],
)
def test_values_that_cannot_all_be_meant_are_refused(tmp_path, old, new, says) -> None:
    assert old in CHARTER
    folder = write_shop(tmp_path / "shop", count=30, charter=CHARTER.replace(old, new))
    answer = bucle("run", at=folder, code=None)
    assert "Traceback" not in answer.all
    assert answer.code == 2, answer.all
    assert says in answer.err


def test_the_environment_is_read_and_refused_like_the_file(shared) -> None:
    (shared / "bucle.toml").write_text(CHARTER)
    shown = bucle(
        "config", "gates.holdout", "--json", at=shared, env={"BUCLE_GATES__HOLDOUT": "0.3"}
    ).json[0]
    assert (shown["value"], shown["source"]) == (0.3, "env BUCLE_GATES__HOLDOUT")
    answer = bucle("config", at=shared, env={"BUCLE_GATES__HOLD_OUT": "0.3"}, code=2)
    assert "BUCLE_GATES__HOLD_OUT" in answer.err
    over = bucle(
        "config",
        "gates.holdout",
        "--set",
        "gates.holdout=0.4",
        "--json",
        at=shared,
        env={"BUCLE_GATES__HOLDOUT": "0.3"},
    ).json[0]
    assert over["value"] == 0.4
