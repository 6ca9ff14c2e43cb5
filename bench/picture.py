"""The picture of the first page: `python -m bench.picture [FINDINGS.json]` writes it anew.

Without a file it replays the freight of the consignment file itself. Drawn are the policies of
the picture: what each lost over time beyond the best that could have been done in hindsight.
"""

import json
import sys
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from bench.figures import run, workplace

__all__ = ["draw"]

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY.parent / "shared" / "data" / "scms_consignments.csv"
PICTURE = REPOSITORY / "docs" / "pictures" / "replay.svg"
POLICIES = ("never", "every:1mo referee+refit", "every:6mo", "every:1mo")
WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 52, 242, 74, 40
STYLE = """
.paper{fill:#fff}.ink{fill:#17202a}.quiet{fill:#566270}
.grid{stroke:#d5dbe1}.base{stroke:#17202a;stroke-width:2}
.l0{stroke:#b3261e}.l1{stroke:#9a5b00}.l2{stroke:#7b3fb5}.l3{stroke:#0b5cad}
.c0{fill:#b3261e}.c1{fill:#9a5b00}.c2{fill:#7b3fb5}.c3{fill:#0b5cad}
path{fill:none;stroke-width:3;stroke-linejoin:round;stroke-linecap:round}
text{font:16px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
.big{font-size:19px;font-weight:600}.name{font-weight:600}
@media(prefers-color-scheme:dark){
.paper{fill:#12161b}.ink{fill:#e7ecf1}.quiet{fill:#a3afbb}
.grid{stroke:#323b45}.base{stroke:#e7ecf1}
.l0{stroke:#ff8f85}.l1{stroke:#f0b45c}.l2{stroke:#cba4ff}.l3{stroke:#74b6ff}
.c0{fill:#ff8f85}.c1{fill:#f0b45c}.c2{fill:#cba4ff}.c3{fill:#74b6ff}
}
""".strip()


def draw(findings: dict[str, Any], names: Sequence[str] = POLICIES) -> str:
    """Return the picture as SVG, from the JSON of a replay; a dot marks a new champion."""
    known = {one["name"]: one for one in findings["policies"]}
    chosen = [known[name] for name in names]
    best = [*accumulate(findings["oracle"]["spent"], initial=0.0)]
    lines = [[paid - least for paid, least in zip(_paid(one), best, strict=True)] for one in chosen]
    millions = max(max(line) for line in lines) / 1e6
    top = int(millions) + 1
    moments = [tick["at"] for tick in chosen[0]["timeline"]]

    def place(number: float, value: float) -> str:
        across = LEFT + (WIDTH - LEFT - RIGHT) * number / len(moments)
        down = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / (top * 1e6)
        return f"{across:.1f} {down:.1f}"

    parts = [
        *_frame(findings, top=top, place=place),
        *_years(moments, place=place),
        *(
            part
            for number, (one, line) in enumerate(zip(chosen, lines, strict=True))
            for part in _policy(number, one, line, place=place)
        ),
    ]
    ends = [float(place(0, line[-1]).split()[1]) for line in lines]
    parts += _names(chosen, lines, _apart(ends, 40.0), findings["metric"])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _paid(policy: dict[str, Any]) -> list[float]:
    ticks = policy["timeline"]
    return [*accumulate((tick["money"] + tick["upkeep"] for tick in ticks), initial=0.0)]


def _frame(findings: dict[str, Any], *, top: int, place: Any) -> list[str]:
    rows, count = findings["rows"], findings["periods"]
    about = "; ".join(
        f"{one['name']}: {one['regret'] / 1e6:.1f} million {findings['currency']}"
        for one in findings["policies"]
        if one["name"] in POLICIES
    )
    right = place(len(findings["policies"][0]["timeline"]), 0).split()[0]
    grid = []
    for value in range(top + 1):
        at = place(0, value * 1e6).split()[1]
        kind = "grid" if value else "base"
        grid.append(f'<line class="{kind}" x1="{LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        grid.append(
            f'<text class="quiet" x="{LEFT - 8}" y="{at}" dy=".32em" text-anchor="end">'
            f"{value}</text>"
        )
    at = float(place(0, 0).split()[1])
    return [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'aria-labelledby="title about">'
        ),
        (
            f'<title id="title">What each policy lost beyond the best in hindsight</title>'
            f'<desc id="about">{about}</desc>'
        ),
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        (
            f'<text class="ink big" x="16" y="30">Lost beyond the best in hindsight, million '
            f"{findings['currency']}</text>"
        ),
        (
            f'<text class="quiet" x="16" y="54">{rows:,} shipments over {count} months; '
            "a dot is a new champion</text>"
        ),
        *grid,
        (
            f'<text class="ink name" x="{float(right) + 12:.0f}" y="{at - 2:.1f}">best in hindsight'
            f'</text><text class="quiet" x="{float(right) + 12:.0f}" y="{at + 17:.1f}">'
            f"{findings['metric']} {findings['oracle']['error']:.3f}</text>"
        ),
    ]


def _years(moments: Sequence[str], *, place: Any) -> list[str]:
    firsts = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(moments)) if a[:4] != b[:4])]
    return [
        f'<text class="quiet" x="{place(number, 0).split()[0]}" y="{HEIGHT - 14}">'
        f"{moments[number][:4]}</text>"
        for number in firsts
    ]


def _policy(number: int, one: dict[str, Any], line: Sequence[float], *, place: Any) -> list[str]:
    path = "M" + "L".join(place(at, value) for at, value in enumerate(line))
    dots = [
        '<circle class="c{}" cx="{}" cy="{}" r="4"/>'.format(number, *place(at, line[at]).split())
        for at, tick in enumerate(one["timeline"])
        if "promote" in tick["did"]
    ]
    # Where every month has one, a dot says nothing.
    return [f'<path class="l{number}" d="{path}"/>', *(dots if len(dots) < len(line) // 2 else [])]


def _names(
    chosen: Sequence[dict[str, Any]],
    lines: Sequence[Sequence[float]],
    ends: Sequence[float],
    metric: str,
) -> list[str]:
    x = WIDTH - RIGHT + 12
    found = []
    for number, (one, line, end) in enumerate(zip(chosen, lines, ends, strict=True)):
        found.append(f'<text class="name c{number}" x="{x}" y="{end - 2:.1f}">{one["name"]}</text>')
        said = f"{line[-1] / 1e6:+.1f} M, {metric} {one['error']:.3f}"
        found.append(f'<text class="quiet" x="{x}" y="{end + 17:.1f}">{said}</text>')
    return found


def _apart(ends: Sequence[float], gap: float) -> list[float]:
    """Move labels that would lie over one another; the lowest has the oracle below it."""
    limit = HEIGHT - BOTTOM - gap
    moved = dict.fromkeys(range(len(ends)), 0.0)
    for number in sorted(moved, key=lambda number: -ends[number]):
        moved[number] = min(ends[number], limit)
        limit = moved[number] - gap
    return [moved[number] for number in range(len(ends))]


def main() -> None:
    """Write the picture into the documentation."""
    if len(sys.argv) > 1:
        findings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    else:
        with workplace() as folder:
            run(["bucle", "new", "freight", "--template", "scms", "--data", str(DATA)], folder)
            told = run(["bucle", "replay", "--json", "--from", "2011-01-01"], folder / "freight")
            findings = json.loads(told)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(findings), encoding="utf-8")
    print(f"{PICTURE.relative_to(REPOSITORY)}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
