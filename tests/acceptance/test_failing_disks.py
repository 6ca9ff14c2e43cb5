"""A disk that answers an error when a command wants its event kept."""

from pathlib import Path

import pytest
from calls import bucle
from disks import failing_disk


@pytest.mark.thorough
def test_a_command_whose_event_was_not_kept_fails_and_the_next_one_goes_on(
    shop: Path, tmp_path: Path
) -> None:
    before = bucle("log", "verify", "--json", at=shop).json["events"]
    failed = 0
    for at in range(1, 20):
        failing = failing_disk(tmp_path, at=at, of="log.db-wal")
        answer = bucle("rollback", "--because", "a test", "--json", at=shop, env=failing, code=None)
        found = bucle("log", "verify", "--json", at=shop).json
        assert found["intact"], found
        if answer.code != 0:
            failed += 1
            assert answer.code == 3
            assert answer.json["code"] == "bucle-412"
            assert "Traceback" not in answer.all
        # What was not acknowledged may be there all the same, and then whole.
        if found["events"] > before:
            break
    assert failed > 0
    assert found["events"] == before + 1
    history = bucle("history", "--json", at=shop).json
    assert history[-1]["because"] == "a test"
