"""One stage for DVC: read what the stage needs from files, write what it makes."""

import json
import sys
from pathlib import Path
from typing import Any

import pipeline
import polars as pl
from skops import io as skops_io

OUT = Path("out")
NEEDS = {
    "load": [],
    "clean": ["load"],
    "validate": ["clean"],
    "features": ["validate"],
    "train": ["features"],
    "evaluate": ["train", "features"],
}


def read(name: str) -> Any:
    """Read what a stage wrote."""
    if name == "train":
        path = OUT / "train.skops"
        return skops_io.load(path, trusted=skops_io.get_untrusted_types(file=path))
    return pl.read_parquet(OUT / f"{name}.parquet")


def write(name: str, value: Any) -> None:
    """Write what a stage made."""
    OUT.mkdir(exist_ok=True)
    if name == "train":
        skops_io.dump(value, OUT / "train.skops")
    elif name == "evaluate":
        (OUT / "evaluate.json").write_text(json.dumps(value))
    else:
        value.write_parquet(OUT / f"{name}.parquet")


if __name__ == "__main__":
    stage = sys.argv[1]
    write(stage, getattr(pipeline, stage)(*(read(need) for need in NEEDS[stage])))
