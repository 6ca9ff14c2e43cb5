"""The cost of starting: `bucle --help` beside bare Python."""

import sys
from pathlib import Path

from bench.figures import Contender, compare, report

__all__ = ["measure"]


def measure(*, repeats: int) -> None:
    """Print how many times bare Python the help takes."""
    here = Path.cwd()
    seconds = compare(
        [
            Contender(name="python -c pass", command=[sys.executable, "-c", "pass"], folder=here),
            Contender(name="bucle --help", command=["bucle", "--help"], folder=here),
        ],
        repeats=repeats,
    )
    report("bucle --help", seconds, ours="bucle --help", reference="python -c pass", target=5.0)
