"""The tables of the page on watching, made of the lines that were kept.

Each stands between two comments, `<!-- measured: NAME -->` and `<!-- end -->`, and is replaced as a
whole.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["fill_in"]

Line = dict[str, Any]
NAMES = {
    "bucle": "Bucle",
    "ks": "KS or χ² p < 0.05 in any column",
    "nannyml": "NannyML, chunks of a tenth of the reference",
    "evidently": "Evidently, its preset",
    "duckdb": "DuckDB, histograms alone",
}
LOSSES = {
    "gamma": "gamma (0.55)",
    "exponential": "exponential (1)",
    "lognormal": "log-normal (1.8)",
}
LAYERS = {"harm": "losses", "inputs": "inputs", "contract": "volume", "all": "any"}


def fill_in(text: str, lines: Sequence[Line]) -> str:
    """Return the page with every table anew; one without lines stays as it is."""

    def table(found: re.Match[str]) -> str:
        rows = list(TABLES[found["name"]](lines))
        body = "\n".join(rows) if len(rows) > HEAD else found["body"].strip("\n")
        return f"<!-- measured: {found['name']} -->\n{body}\n<!-- end -->"

    return re.sub(
        r"<!-- measured: (?P<name>\w+) -->\n(?P<body>.*?)<!-- end -->", table, text, flags=re.DOTALL
    )


HEAD = 2
"""A table of so many rows has a head only."""


def _head(*names: str) -> Iterable[str]:
    yield _row(*names)
    yield "|---" * len(names) + "|"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def _about(lines: Sequence[Line], figure: str) -> list[Line]:
    return [line for line in lines if line["figure"] == figure and "skipped" not in line]


def _rise(lines: Sequence[Line]) -> Iterable[str]:
    yield from _head(
        "losses (sd / mean)", "rows of a day", "within 1,500 labels", "half by", "nine in ten by"
    )
    for line in _about(lines, "a loss 30 % larger, found within 1,500 labelled rows"):
        yield _row(
            LOSSES[line["losses"]],
            f"alike, ICC {line['icc']}" if line["icc"] else "independent",
            _share(line["share"]),
            *(_rows_until(line[name]) for name in ("median_rows", "p90_rows")),
        )


def _rows_until(value: float | None) -> str:
    return "not in 60 days" if value is None else f"{value:,.0f}"


def _half_year(lines: Sequence[Line]) -> Iterable[str]:
    yield from _head("world", "projects", *LAYERS.values())
    found = _about(lines, "false alarms in half a year")
    for line in found:
        yield _row(
            line["world"],
            f"{line['projects']:,}",
            *(_share(line[layer]["share"]) for layer in LAYERS),
        )
    if found:
        layers = [found[0][layer] for layer in LAYERS]
        yield _row("*allowed by the budget*", "", *(_share(layer["allowed"]) for layer in layers))
        for one in {line["projects"]: line for line in found}.values():
            bounds = (_share(one[layer]["at_most"]) for layer in LAYERS)
            yield _row(f"*the 99 % bound of {one['projects']:,}*", "", *bounds)


def _within(lines: Sequence[Line]) -> Iterable[str]:
    yield from _head(
        "rise", "labels an hour", "losses (sd / mean)", "within the day", "half by", "nine in ten"
    )
    for line in _about(lines, "a loss several times larger, found within the day"):
        yield _row(
            f"{line['times']:.0f} times",
            f"{line['labels_an_hour']:,}",
            LOSSES[line["losses"]],
            _share(line["share"]),
            _minutes(line["median_minutes"]),
            _minutes(line["p90_minutes"]),
        )


def _minutes(value: float | None) -> str:
    return "its end or later" if value is None else f"{value:.0f} min"


def _busy(lines: Sequence[Line]) -> Iterable[str]:
    yield from _head("world", "projects", "labels a day", "losses", "*allowed*", "*99 % bound*")
    for line in _about(lines, "false alarms where labels are many, judged within the day"):
        yield _row(
            line["world"],
            f"{line['projects']:,}",
            f"{line['labels_a_day']:,}",
            *(_share(line[name]) for name in ("share", "allowed", "at_most")),
        )


def _simulated(lines: Sequence[Line]) -> Iterable[str]:
    worlds = [line["world"] for line in _about(lines, "false alarms in half a year")]
    yield from _head("share of days in alarm", *worlds)
    ours = _about(lines, "false alarms in half a year")
    if ours:
        yield _row(
            f"Bucle, {ours[0]['projects']:,} projects of 180 days",
            *(_share(line["all"]["days_in_alarm"] / 180) for line in ours),
        )
    for name in ("ks", "evidently"):
        theirs = {
            line["world"]: line
            for line in _about(lines, "days in alarm without a change")
            if line["contender"] == name
        }
        if theirs:
            one = next(iter(theirs.values()))
            yield _row(
                f"{NAMES[name]}, {one['projects']} of {one['days']} days",
                *(_share(theirs[world]["share"]) if world in theirs else "" for world in worlds),
            )


def _losses(lines: Sequence[Line]) -> Iterable[str]:
    yield from _head(
        "rule on the losses of each day",
        "labels until a rise of 30 % is found, half by",
        "days in alarm without a rise",
    )
    ours = [
        line
        for line in _about(lines, "a loss 30 % larger, found within 1,500 labelled rows")
        if line["losses"] == "gamma" and not line["icc"]
    ]
    quiet = _about(lines, "false alarms in half a year")
    if ours and quiet:
        days = quiet[0]["harm"]["days_in_alarm"] / 180
        yield _row(NAMES["bucle"], f"{ours[0]['median_rows']:,.0f}", _share(days))
    for line in _about(lines, "a loss 30 % larger, by another rule"):
        yield _row(
            {"ks": "KS p < 0.05"}.get(line["contender"], NAMES[line["contender"]]),
            f"{line['median_rows']:,.0f}",
            _share(line["quiet_days_in_alarm"]),
        )


def _samples(lines: Sequence[Line]) -> Iterable[str]:
    found = [line for line in _about(lines, "monitors") if "false_reports" in line]
    pairs = list(found[0]["false_reports"]) if found else []
    yield from _head("rule", *(_pair(pair) for pair in pairs))
    for line in found:
        yield _row(
            NAMES[line["contender"]],
            *(
                f"{_share(one['share'])} of {one['repeats']}"
                for one in line["false_reports"].values()
            ),
        )


def _pair(pair: str) -> str:
    name, _, sizes = pair.partition(" ")
    known, now = (int(size) for size in sizes.split("/"))
    return f"{name}, {known:,} beside {now:,}"


def _days(lines: Sequence[Line]) -> Iterable[str]:
    yield from _head(
        "rule",
        "days of February in alarm",
        "1 % of fares missing",
        "fares 10 % dearer",
        "2 of 10 paid otherwise",
    )
    for line in _about(lines, "monitors"):
        if "days" in line:
            yield _row(
                NAMES[line["contender"]],
                f"{line['false_days']} of {line['days']}",
                *(_delay(line["found"][key]) for key in ("nulls", "prices", "payment")),
            )


def _delay(one: dict[str, Any]) -> str:
    if one["delay_days"] is None:
        return "never"
    without = f", {one['named_without']} without" if one["named_without"] else ""
    return f"from day {one['delay_days']} on: {one['days_named']} of {one['of']}{without}"


def _nulls(lines: Sequence[Line]) -> Iterable[str]:
    found = _about(lines, "1 % nulls in one column of a report")
    tables = list(dict.fromkeys(line["table"] for line in found))
    yield from _head("rule", *tables)
    for name, called in NAMES.items():
        mine = {line["table"]: line for line in found if line["contender"] == name}
        if mine:
            cells = [f"{one['named']} of {one['of']}" for one in map(mine.get, tables) if one]
            yield _row(called, *cells)


def _cost(lines: Sequence[Line]) -> Iterable[str]:
    yield from _head("rows", "", "seconds", "seconds of CPU", "MB at most")
    for line in _about(lines, "cost of a report"):
        yield _row(
            line["rows"],
            NAMES[line["contender"]],
            f"{line['s']:.3g}",
            f"{line['cpu_s']:.3g}",
            f"{line['memory_mb']:,.0f}",
        )
    for line in _about(lines, "cost of a report, of DuckDB's histograms"):
        yield _row(
            "", "*Bucle's, of DuckDB's*", f"{line['ratio']:.2f}", f"{line['cpu_ratio']:.2f}", ""
        )


TABLES: dict[str, Callable[[Sequence[Line]], Iterable[str]]] = {
    "rise": _rise,
    "within": _within,
    "half_year": _half_year,
    "busy": _busy,
    "simulated": _simulated,
    "losses": _losses,
    "samples": _samples,
    "days": _days,
    "nulls": _nulls,
    "cost": _cost,
}
