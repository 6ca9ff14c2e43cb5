"""A project is backed up, lost and put back."""

import shutil
from pathlib import Path

import pytest
from calls import bucle


def test_backup_says_what_it_did_and_can_be_looked_at(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    said = bucle("backup", copy, at=shop)
    events = bucle("log", "verify", "--json", at=shop).json["events"]
    assert said.out.startswith(f"{events} events verified; ")
    again = bucle("backup", copy, "--json", at=shop).json
    assert (again["events"], again["folder"]) == (events, str(copy))
    assert again["kept"] > again["files"]
    refused = bucle("backup", shop / "inside", "--json", at=shop, code=2)
    assert refused.json["code"] == "bucle-413"
    back = bucle("restore", copy, tmp_path / "back", "--json", at=shop).json
    assert (back["events"], back["damaged"]) == (events, [])
    assert bucle("restore", copy, shop, "--json", at=shop, code=2).json["code"] == "bucle-419"
    assert (
        bucle("restore", shop, tmp_path / "x", "--json", at=shop, code=2).json["code"]
        == "bucle-418"
    )
    package = next((copy / ".bucle" / "packages").glob("m-*/card.md"))
    package.write_text("another")
    named = bucle("restore", copy, tmp_path / "named", at=shop, code=1).out
    assert f"damaged in the backup: .bucle/packages/{package.parent.name}" in named


@pytest.mark.thorough
def test_a_project_that_was_put_back_goes_on(shop: Path, tmp_path: Path) -> None:
    history = bucle("history", "--json", at=shop).json
    bucle("backup", tmp_path / "copy", at=shop)
    shutil.rmtree(shop)
    said = bucle("restore", tmp_path / "copy", shop, at=tmp_path).out
    assert " verified; " in said
    assert "damaged" not in said
    assert bucle("log", "verify", "--json", at=shop).json["intact"]
    assert bucle("history", "--json", at=shop).json == history
    # Nothing has changed, so nothing is run again.
    ran = bucle("run", "--set", "model.bend=1.0", "--json", at=shop).json
    assert {step["state"] for step in ran["steps"]} == {"cached"}
    bucle("rollback", "--because", "a test", at=shop)
    assert bucle("backup", tmp_path / "copy", "--json", at=shop).json["events"] > 0
