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


@pytest.mark.thorough
def test_a_project_that_was_put_back_goes_on(shop: Path, tmp_path: Path) -> None:
    history = bucle("history", "--json", at=shop).json
    bucle("backup", tmp_path / "copy", at=shop)
    shutil.rmtree(shop)
    shutil.copytree(tmp_path / "copy", shop, symlinks=True)
    assert bucle("log", "verify", "--json", at=shop).json["intact"]
    assert bucle("history", "--json", at=shop).json == history
    # Nothing has changed, so nothing is run again.
    ran = bucle("run", "--set", "model.bend=1.0", "--json", at=shop).json
    assert {step["state"] for step in ran["steps"]} == {"cached"}
    bucle("rollback", "--because", "a test", at=shop)
    assert bucle("backup", tmp_path / "copy", "--json", at=shop).json["events"] > 0
