"""What a hundred rows cost the compiled model without a server: in_process.py PROJECT."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bucle.models.package import open_package
from bucle.models.signature import Signature

CALLS, TURNS = 100, 6


def main() -> None:
    """Print the milliseconds of CPU of one call, the median of some turns."""
    root = Path(sys.argv[1])
    (model,) = [path.name for path in (root / ".bucle" / "packages").glob("m-*")]
    package = open_package(root / ".bucle" / "packages", model, project=root)
    scorer = package.scorer()
    rows = _rows(root, package.signature)
    taken = []
    for _ in range(TURNS):
        began = time.process_time()
        for _ in range(CALLS):
            scorer.answers(rows)
        taken.append((time.process_time() - began) / CALLS * 1000)
    print(statistics.median(taken[1:]))


def _rows(root: Path, signature: Signature) -> list[tuple[object, ...]]:
    told = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("rows.py")), str(root)],
        capture_output=True,
        check=True,
    )
    names = [feature.name for feature in signature.features]
    return [tuple(row[name] for name in names) for row in json.loads(told.stdout)]


if __name__ == "__main__":
    main()
