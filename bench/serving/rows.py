"""Some rows of the project as JSON, and all as rows.csv for the peers: rows.py PROJECT."""

import json
import sys
from pathlib import Path

import polars as pl

from bucle.store.delta_tables import DeltaTables

MOST = 5000


def main() -> None:
    """Take the lines that are on record through the project's own steps."""
    root = Path(sys.argv[1])
    sys.path.insert(0, str(root))
    from learner import FEATURES  # noqa: PLC0415  (the project's)
    from price import clean, quotes  # noqa: PLC0415  (the project's)

    lines = DeltaTables(root / ".bucle" / "tables").read("lines")
    known = quotes(clean(lines)).drop_nulls("pack_price").select(*FEATURES, "pack_price")
    known.write_csv(root / "rows.csv")
    assert isinstance(known, pl.DataFrame)
    asked = known.drop("pack_price").sample(min(MOST, known.height), shuffle=True, seed=0)
    print(json.dumps(asked.to_dicts()))


if __name__ == "__main__":
    main()
