"""What a hundred rows cost a model without a server: in_process.py PROJECT."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from bucle.models.package import Package, open_package
from bucle.models.prediction import predict
from bucle.models.signature import Signature, dtypes_of

CALLS, TURNS = 50, 6


def main() -> None:
    """Print the milliseconds of CPU of one call, the median of some turns."""
    root = Path(sys.argv[1])
    (model,) = [path.name for path in (root / ".bucle" / "packages").glob("m-*")]
    package = open_package(root / ".bucle" / "packages", model, project=root)
    rows = _rows(root, package.signature)
    score = _compiled(package, rows) if package.engine.name == "compiled" else _whole(package, rows)
    taken = []
    for _ in range(TURNS):
        began = time.process_time()
        for _ in range(CALLS):
            score()
        taken.append((time.process_time() - began) / CALLS * 1000)
    print(statistics.median(taken[1:]))


def _compiled(package: Package, rows: Sequence[tuple[object, ...]]) -> Callable[[], object]:
    scorer = package.scorer()
    return lambda: scorer.answers(rows)


def _whole(package: Package, rows: Sequence[tuple[object, ...]]) -> Callable[[], object]:
    """Return what answers with the estimator itself: a frame, the number, its interval."""
    types, kind = dtypes_of(package.signature), package.signature.kind
    estimator, band = package.estimator, package.band

    def score() -> object:
        frame = pl.DataFrame(rows, schema=types, orient="row")
        found = predict(estimator, frame, kind=kind)
        return band.around(frame, found)

    return score


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
