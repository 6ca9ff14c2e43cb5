"""Going back to a model that was tried as it is now takes no second trial."""

import os
from pathlib import Path

import pytest
from calls import bucle

pytestmark = pytest.mark.thorough


def champion(shop: Path) -> str:
    return str(bucle("history", "--json", at=shop).json[-1]["model"])


def test_a_rollback_trusts_a_trial_only_while_nothing_has_changed(shop: Path) -> None:
    second = champion(shop)
    bucle("rollback", at=shop)
    first = champion(shop)
    bucle("promote", second, "--because", "a test", at=shop)
    line = shop / "line.py"
    seen, content = line.stat(), line.read_text()
    # Whatever tries the package now would fail; by its size and time the code is as it was.
    line.write_text("raise OSError".ljust(len(content), "\n"))
    os.utime(line, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    bucle("rollback", at=shop)
    assert champion(shop) == first
    line.touch()
    answer = bucle("rollback", "--to", second, at=shop, code=None)
    assert answer.code != 0
    assert "failed its trial" in answer.all
    assert "Traceback" not in answer.all
    assert champion(shop) == first
