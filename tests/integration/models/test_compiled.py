"""A package answers by its compiled form in a process that has nothing of its estimator."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from bucle.errors import PackageError
from bucle.models.card import render_card
from bucle.models.compiled.compile import compile_model
from bucle.models.package import open_package, package_bytes, write_package

FRESH = """
import json, sys
from pathlib import Path
from bucle.models.package import open_package

package = open_package(Path(sys.argv[1]), sys.argv[2])
scorer = package.scorer()
rows = [tuple(row) for row in json.loads(sys.stdin.read())]
answers = [scorer.one(row) for row in rows]
ends = [scorer.interval_one(row, answer) for row, answer in zip(rows, answers)]
heavy = [name for name in ("polars", "sklearn", "skops", "scipy", "onnx") if name in sys.modules]
print(json.dumps([answers, ends, heavy]))
"""


@pytest.fixture(scope="module")
def whole(contents, rows, tmp_path_factory):
    """Compile the model of a package, as packaging does."""
    folder = tmp_path_factory.mktemp("plain")
    plain = open_package(folder, write_package(folder, contents))
    frame, _ = rows
    compiled = compile_model(plain.estimator, plain.signature, frame[400:], band=plain.band)
    return msgspec.structs.replace(contents, compiled=compiled)


@pytest.fixture(scope="module")
def package(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    return folder, open_package(folder, write_package(folder, whole))


def test_a_fresh_process_gives_the_same_numbers_without_the_libraries(package, rows):
    folder, opened = package
    frame = rows[0][400:500]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(folder), opened.model],
        input=json.dumps(frame.rows()),
        capture_output=True,
        text=True,
        check=True,
    )
    answers, ends, heavy = json.loads(done.stdout)
    assert heavy == []
    np.testing.assert_allclose(answers, opened.predict(frame), rtol=1e-12)
    np.testing.assert_allclose(np.array(ends).T, opened.interval(frame), rtol=1e-12)


def test_the_package_names_its_engine_and_so_does_the_card(package, whole):
    _, opened = package
    assert opened.engine.name == "compiled"
    card = render_card(whole)
    assert "## How it answers" in card
    assert str(opened.engine).replace("_", r"\_") in card


def test_the_same_model_gives_the_same_package(package, whole, rows, tmp_path):
    _, opened = package
    frame, _ = rows
    again = compile_model(opened.estimator, opened.signature, frame[400:], band=opened.band)
    assert package_bytes(msgspec.structs.replace(whole, compiled=again)) == package_bytes(whole)


def test_a_package_of_before_is_answered_by_its_estimator(contents, tmp_path):
    opened = open_package(tmp_path, write_package(tmp_path, contents))
    assert opened.engine.name == "estimator"
    with pytest.raises(PackageError, match="no compiled form"):
        opened.scorer()


@pytest.mark.parametrize("name", ["compiled.json", "compiled.onnx", "compiled-scale.onnx"])
def test_a_changed_part_is_refused_before_it_is_read(whole, tmp_path, name):
    model = write_package(tmp_path, whole)
    part = tmp_path / model / name
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(PackageError, match="not what the manifest says"):
        open_package(tmp_path, model)


def test_a_form_that_cannot_be_read_is_refused(whole, tmp_path):
    broken = msgspec.structs.replace(whole.compiled, record=b'{"engine":{"name":"magic"}}')
    odd = msgspec.structs.replace(whole, compiled=broken)
    opened = open_package(tmp_path, write_package(tmp_path, odd))
    with pytest.raises(PackageError) as caught:
        opened.scorer()
    assert caught.value.code == "bucle-311"


@pytest.mark.parametrize("lacking", ["trees", "scale_trees"])
def test_a_form_without_its_trees_is_refused(whole, tmp_path, lacking):
    fewer = msgspec.structs.replace(whole.compiled, **{lacking: None})
    odd = msgspec.structs.replace(whole, compiled=fewer)
    opened = open_package(tmp_path, write_package(tmp_path, odd))
    with pytest.raises(PackageError, match="trees are missing"):
        opened.scorer()


def test_another_forms_trees_are_refused(whole, tmp_path):
    swapped = msgspec.structs.replace(whole.compiled, trees=whole.compiled.scale_trees)
    odd = msgspec.structs.replace(whole, compiled=swapped)
    opened = open_package(tmp_path, write_package(tmp_path, odd))
    with pytest.raises(PackageError, match="number of columns"):
        opened.scorer()
