"""A model leaves as one ONNX file, or the command says why it cannot."""

import math
import random
from pathlib import Path

import onnxruntime
import pytest
from calls import bucle

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a project of a table after its first run, and its model."""
    folder = tmp_path_factory.mktemp("export")
    chance = random.Random(1)
    lines = ["kind,size,pieces,day,price"]
    for at in range(900):
        kind, size, pieces = chance.choice("abcd"), chance.gauss(0, 1), chance.randint(1, 9)
        price = math.exp(size + pieces / 5 + (kind == "a")) * 10
        lines.append(
            f"{kind},{size:.3f},{pieces},2024-{1 + at // 80:02d}-{1 + at % 28:02d},{price:.2f}"
        )
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    asked = ("--data", "t.csv", "--target", "price", "--event-time", "day")
    bucle("new", "shop", "--template", "blank", *asked, at=folder)
    run = bucle("run", "--json", at=folder / "shop", code=None).json
    return folder / "shop", run["model"]


def test_a_model_is_written_as_onnx_with_named_inputs(project) -> None:
    folder, model = project
    answer = bucle(
        "models", "export", model[:8], "--onnx", "out/price.onnx", "--json", at=folder
    ).json
    assert answer["model"] == model
    assert answer["compared"] > 1000
    content = (folder / "out/price.onnx").read_bytes()
    assert len(content) == answer["bytes"]
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert {given.name for given in session.get_inputs()} == set(answer["inputs"])
    assert answer["inputs"]["kind"] == "text"


def test_the_card_names_the_engine_and_the_proof(project) -> None:
    folder, model = project
    card = (folder / ".bucle/packages" / model / "card.md").read_text()
    assert "compiled: proved equal on " in card


def test_a_model_of_ones_own_class_says_why_not(demo: Path, tmp_path: Path) -> None:
    model = bucle("models", "--json", at=demo).json[-1]["model"]
    target = tmp_path / "model.onnx"
    answer = bucle("models", "export", model, "--onnx", target, at=demo, code=2)
    assert "`Pricer` has no compiled form" in answer.all
    assert not target.exists()
