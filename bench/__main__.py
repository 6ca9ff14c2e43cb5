"""Run benchmarks: `python -m bench [NAME …] [--repeats N]`; one line of JSON for each figure."""

import argparse
import importlib

NAMES = (
    "start",
    "steps",
    "pipeline",
    "replay",
    "year",
    "serve",
    "swaps",
    "leases",
    "backup",
    "watch",
)


def main() -> None:
    """Measure what was asked for, everything by default."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--repeats", type=int, default=9, help="turns of each contender")
    parser.add_argument(
        "--only", nargs="+", metavar="PART", default=(), help="parts of watch, such as cost"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    if options.only and options.names != ["watch"]:
        parser.error("--only takes parts of watch: python -m bench watch --only PART")
    parts = {"only": options.only} if options.only else {}
    for name in options.names or NAMES:
        importlib.import_module(f"bench.{name}").measure(repeats=options.repeats, **parts)


if __name__ == "__main__":
    main()
