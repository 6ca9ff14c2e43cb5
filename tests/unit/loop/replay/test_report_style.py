"""The colours of the report can be told from their paper, on light, dark and printed pages."""

import pkgutil
import re

import pytest

STYLE = (pkgutil.get_data("bucle.loop.replay", "report.css") or b"").decode()
LIGHT, DARK, PRINTED = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{([^}]*)\}", STYLE)
)


def _brightness(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted([_brightness(one), _brightness(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK, PRINTED], ids=["light", "dark", "printed"])
def test_text_stands_out_from_every_paper(scheme: dict[str, str]) -> None:
    for paper in ("paper", "tint", "warn-tint"):
        for ink in ("ink", "quiet", "accent"):
            assert _contrast(scheme[ink], scheme[paper]) >= 4.5, (ink, paper)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_stand_out_from_the_paper(scheme: dict[str, str]) -> None:
    assert _contrast(scheme["other"], scheme["paper"]) >= 3
    for number in range(1, 7):
        assert _contrast(scheme[f"c{number}"], scheme["paper"]) >= 4.5


def test_every_colour_that_is_used_is_set_in_every_scheme() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", STYLE))
    assert used <= set(LIGHT) & set(DARK) & set(PRINTED)
