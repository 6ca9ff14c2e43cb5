"""What `bucle status` and `bucle why-not` say when a run has failed, at 80 columns."""

from pathlib import Path

from calls import bucle

NARROW = {"COLUMNS": "80"}
FLAW = "there are no sales on the moon, and nobody who could tell what they would have cost there"


def test_why_the_last_run_failed_is_told_and_fits_the_terminal(shop: Path) -> None:
    steps = shop / "pipeline.py"
    whole = "    from line import Line"
    steps.write_text(steps.read_text().replace(whole, f'    raise ValueError("{FLAW}")'))
    bucle("run", at=shop, code=None)
    for command in ("status", "why-not"):
        told = bucle(command, at=shop, env=NARROW).out
        assert FLAW in " ".join(told.split())
        assert "last run" in told
        assert all(len(line) <= 80 for line in told.splitlines())
    assert FLAW in bucle("status", "--json", at=shop).json["loop"]["failed_run"]
