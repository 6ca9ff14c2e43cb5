"""A corrupt or swapped package never becomes champion, and the champion stays."""

import io
import json
import os
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from calls import bucle

from bucle.models.package_files import write_files
from bucle.models.tabular import tabular
from bucle.pipeline.estimators import estimator_to_bytes

pytestmark = pytest.mark.thorough


def _flip(package: Path, _other: Path) -> None:
    _change(package / "model.skops", lambda content: content[:100] + _xor(content[100:]))


def _xor(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def _change(path: Path, how: Callable[[bytes], bytes]) -> None:
    path.write_bytes(how(path.read_bytes()))


def _truncate(package: Path, _other: Path) -> None:
    _change(package / "model.skops", lambda content: content[: len(content) // 2])


def _zero_a_block(package: Path, _other: Path) -> None:
    _change(package / "model.skops", lambda content: b"\0" * 512 + content[512:])


def _empty(package: Path, _other: Path) -> None:
    _change(package / "model.skops", lambda _: b"")


def _remove(package: Path, _other: Path) -> None:
    (package / "model.skops").unlink()


def _link_to_the_same(package: Path, _other: Path) -> None:
    target = package.parent / "elsewhere.skops"
    (package / "model.skops").rename(target)
    (package / "model.skops").symlink_to(target)


def _link_to_the_other(package: Path, other: Path) -> None:
    (package / "model.skops").unlink()
    (package / "model.skops").symlink_to(other / "model.skops")


def _other_model(package: Path, other: Path) -> None:
    shutil.copyfile(other / "model.skops", package / "model.skops")


def _other_package(package: Path, other: Path) -> None:
    shutil.rmtree(package)
    shutil.copytree(other, package)


def _link_to_the_other_package(package: Path, other: Path) -> None:
    shutil.rmtree(package)
    package.symlink_to(other)


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def _pickle(package: Path, _other: Path) -> None:
    (package / "model.skops").write_bytes(pickle.dumps(_Bomb()))


def _fifo(package: Path, _other: Path) -> None:
    (package / "model.skops").unlink()
    os.mkfifo(package / "model.skops")


def _device(package: Path, _other: Path) -> None:
    (package / "model.skops").unlink()
    (package / "model.skops").symlink_to("/dev/zero")


def _other_signature(package: Path, _other: Path) -> None:
    _change(package / "signature.json", lambda content: content.replace(b'"size"', b'"sise"'))


def _rewrite(package: Path, name: str, how: Callable[[bytes], bytes]) -> None:
    """Change a file and write a manifest that is true of it: only the log knows better."""
    files = {path.name: path.read_bytes() for path in package.iterdir()}
    del files["manifest.json"]
    files[name] = how(files[name])
    forged = package.parent / write_files(package.parent, files)
    shutil.rmtree(package)
    forged.rename(package)


def _nan_leaves(package: Path, _other: Path) -> None:
    _rewrite(package, "model.skops", lambda _: _dead_trees())


def _dead_trees() -> bytes:
    """Return boosted trees whose every leaf says NaN."""
    rows = pl.DataFrame({"size": [float(number) for number in range(60)]})
    model = tabular(max_iter=2).fit(rows, rows["size"])
    for (tree,) in model.learner_._predictors:
        tree.nodes["value"][:] = np.nan
    return estimator_to_bytes(model)


def _other_classes(package: Path, _other: Path) -> None:
    _rewrite_signature(package, kind="classification", classes=["dear", "cheap"])


def _other_order(package: Path, _other: Path) -> None:
    _rewrite_signature(package, features=[_feature("price"), _feature("size")])


def _more_features(package: Path, _other: Path) -> None:
    _rewrite_signature(package, features=[_feature("size"), _feature("weight")])


def _feature(name: str) -> dict[str, object]:
    return {"name": name, "dtype": "Float64"}


def _rewrite_signature(package: Path, **changes: object) -> None:
    def change(content: bytes) -> bytes:
        return json.dumps(json.loads(content) | changes).encode()

    _rewrite(package, "signature.json", change)


def _section_twice(package: Path, _other: Path) -> None:
    def double(content: bytes) -> bytes:
        stream = io.BytesIO(content)
        with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as archive:
            warnings.simplefilter("ignore")  # of the very name that is wanted twice
            archive.writestr("schema.json", archive.read("schema.json"))
        return stream.getvalue()

    _rewrite(package, "model.skops", double)


def _key_twice(package: Path, _other: Path) -> None:
    _rewrite(package, "signature.json", lambda content: b'{"target": "size",' + content[1:])


def _five_gigabytes(package: Path, _other: Path) -> None:
    with (package / "model.skops").open("r+b") as stream:
        stream.truncate(5_000_000_000)  # sparse: it takes no room


def _manifest_of_nonsense(package: Path, _other: Path) -> None:
    _change(package / "manifest.json", lambda _: b"[" * 100_000)


DAMAGES = [
    _flip,
    _truncate,
    _zero_a_block,
    _empty,
    _remove,
    _link_to_the_same,
    _link_to_the_other,
    _other_model,
    _other_package,
    _link_to_the_other_package,
    _pickle,
    _fifo,
    _device,
    _other_signature,
    _manifest_of_nonsense,
    _nan_leaves,
    _other_classes,
    _other_order,
    _more_features,
    _section_twice,
    _key_twice,
    _five_gigabytes,
]


# Those that the others say little beyond.
FURTHER = {
    _zero_a_block,
    _empty,
    _link_to_the_same,
    _other_signature,
    _device,
    _other_classes,
    _other_order,
    _more_features,
    _section_twice,
    _key_twice,
}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            damage,
            id=damage.__name__.strip("_"),
            marks=[pytest.mark.slow] if damage in FURTHER else [],
        )
        for damage in DAMAGES
    ],
)
def test_a_damaged_package_is_refused_and_the_champion_stays(shop: Path, damage) -> None:
    first, second = (one["model"] for one in bucle("history", "--json", at=shop).json)
    before = bucle("log", "verify", "--json", at=shop).json
    packages = shop / ".bucle" / "packages"
    damage(packages / first, packages / second)
    ways = (["rollback"], ["promote", first, "--because", "x"], ["rollback", "--to", first])
    for words in ways if damage is _flip else ways[:1]:
        answer = bucle(*words, at=shop, code=2)
        assert "Traceback" not in answer.all
        assert "Code: bucle-" in answer.err
        assert first in answer.err
    # The head has not moved: nothing was recorded, so the champion is who it was.
    assert bucle("log", "verify", "--json", at=shop).json == before
    assert not list(shop.rglob("exploded"))


def test_with_json_the_refusal_names_the_package(shop: Path) -> None:
    first = bucle("models", "--json", at=shop).json[0]["model"]
    _flip(shop / ".bucle" / "packages" / first, shop)
    answer = bucle("rollback", "--json", at=shop, code=2).json
    assert answer["code"].startswith("bucle-16")


def test_a_model_that_predicts_no_numbers_becomes_no_package(shop: Path) -> None:
    before = bucle("models", "--json", at=shop).json
    refused = bucle("run", "--set", "model.bend=1e308", at=shop, code=2)
    assert "bucle-168" in refused.err
    assert "Traceback" not in refused.all
    assert bucle("models", "--json", at=shop).json == before
