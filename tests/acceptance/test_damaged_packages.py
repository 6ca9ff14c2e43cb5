"""A package that was damaged on the disk is refused, and the next run puts it right."""

import shutil

from calls import bucle


def _package(shop):
    model = bucle("history", "--json", at=shop).json[-1]["model"]
    return shop / ".bucle" / "packages" / model


def test_a_run_writes_a_damaged_package_anew(shop):
    package = _package(shop)
    whole = {path.name: path.read_bytes() for path in package.iterdir()}
    model = package / "model.skops"
    content = bytearray(whole["model.skops"])
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    shown = bucle("show", package.name, at=shop, code=2)
    assert "model.skops is not what the manifest says" in shown.err
    assert "Try: bucle run" in shown.err
    bucle("run", "--set", "model.bend=1.0", at=shop)
    assert {path.name: path.read_bytes() for path in package.iterdir()} == whole


def test_a_run_writes_a_lost_package_anew(shop):
    package = _package(shop)
    shutil.rmtree(package)
    bucle("run", "--set", "model.bend=1.0", at=shop)
    bucle("show", package.name, at=shop)
