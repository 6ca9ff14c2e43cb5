"""What a hundred rows cost a model without a server: in_process.py PROJECT.

Says when it is ready; then answers each number of seconds that it reads with the milliseconds of
CPU of a call, after calling for as long. Each call has other rows, read just before, as each
request to a server has: a processor learns the paths of rows that come again and again by heart,
and a word that was looked up once remembers where to look. No client asks so.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import polars as pl

from bucle.models.package import Package, open_package
from bucle.models.prediction import predict
from bucle.models.signature import Signature, dtypes_of

TOGETHER = 100


def main() -> None:
    """Answer until nobody asks any more."""
    root = Path(sys.argv[1])
    (model,) = [path.name for path in (root / ".bucle" / "packages").glob("m-*")]
    package = open_package(root / ".bucle" / "packages", model, project=root)
    bodies = cycle(_bodies(root, package.signature))
    score = package.scorer().answers if package.engine.name == "compiled" else _whole(package)
    print("ready", flush=True)
    for line in sys.stdin:
        calls, spent, until = 0, 0.0, time.perf_counter() + float(line)
        while not calls or time.perf_counter() < until:
            rows = [tuple(row) for row in json.loads(next(bodies))]
            began = time.process_time()
            score(rows)
            spent += time.process_time() - began
            calls += 1
        print(spent / calls * 1000, flush=True)


def _whole(package: Package) -> Callable[[Sequence[tuple[object, ...]]], object]:
    """Return what answers with the estimator itself: a frame, the number, its interval."""
    types, kind = dtypes_of(package.signature), package.signature.kind
    estimator, band = package.estimator, package.band

    def score(rows: Sequence[tuple[object, ...]]) -> object:
        frame = pl.DataFrame(rows, schema=types, orient="row")
        found = predict(estimator, frame, kind=kind)
        return band.around(frame, found)

    return score


def _bodies(root: Path, signature: Signature) -> list[str]:
    """Return what is asked as JSON: lists of the values of a hundred rows."""
    told = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("rows.py")), str(root)],
        capture_output=True,
        check=True,
    )
    names = [feature.name for feature in signature.features]
    rows = [[row[name] for name in names] for row in json.loads(told.stdout)]
    return [
        json.dumps(rows[at : at + TOGETHER]) for at in range(0, len(rows) - TOGETHER + 1, TOGETHER)
    ]


if __name__ == "__main__":
    main()
