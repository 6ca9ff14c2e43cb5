"""The report of a replay in a browser, as its reader opens it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser, open_browser
from findings_samples import build_findings, edge_cases, hostile

from bucle.loop.replay.findings import Findings
from bucle.loop.replay.report import render_report

PHONE, DESK = 400, 1280
CASES = {
    "as it is": build_findings(),
    "hostile": hostile("<script>document.title='mine'</script>\"'&\u202e\u200f"),
    "markup": hostile("</style></title><img src='http://192.0.2.1/x' onerror='alert(1)'>"),
    **edge_cases(),
}
# What lies outside the window, but for what scrolls in a box of its own or is folded away.
OUTSIDE = """
[...document.querySelectorAll("main *, footer *")].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1)
    && !one.closest(".scroll") && !(one instanceof SVGElement && one.tagName !== "svg"
      && one.tagName !== "text");
}).map(one => one.tagName + "." + (one.getAttribute("class") || "") + ": " + one.textContent)
"""
# Labels of one picture that lie upon each other.
OVERLAPS = """
[...document.querySelectorAll("svg.plot, svg.axis")].flatMap(picture => {
  const texts = [...picture.querySelectorAll("text")]
    .filter(one => getComputedStyle(one).display !== "none");
  const boxes = texts.map(one => one.getBoundingClientRect());
  return texts.flatMap((one, i) => texts.slice(i + 1).filter((_, k) => {
    const a = boxes[i], b = boxes[i + 1 + k];
    return a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
  }).map(other => one.textContent + " on " + other.textContent));
})
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no browser is installed (apt-get install chromium)")
    with open_browser(program, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def written(findings: Findings, folder: Path) -> Path:
    page = folder / "report.html"
    page.write_text(render_report(findings), encoding="utf-8")
    return page


@pytest.mark.parametrize("case", CASES)
def test_a_page_fits_a_phone_and_asks_for_nothing(
    browser: Browser, tmp_path: Path, case: str
) -> None:
    page = written(CASES[case], tmp_path)
    browser.open(page, width=PHONE)
    assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
    assert browser.tell(OUTSIDE) == []
    assert browser.tell(OVERLAPS) == []
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []
    assert browser.tell("document.title") == f"Replay of {CASES[case].project}".replace(
        "\u202e", "\ufffd"
    )


@pytest.mark.parametrize("case", CASES)
def test_a_page_fits_a_desk(browser: Browser, tmp_path: Path, case: str) -> None:
    browser.open(written(CASES[case], tmp_path), width=DESK)
    assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
    assert browser.tell(OUTSIDE) == []
    assert browser.tell(OVERLAPS) == []


def test_everything_unfolded_still_fits_a_phone(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(CASES["as it is"], tmp_path), width=PHONE)
    browser.tell("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
    assert browser.tell("document.querySelectorAll('details tbody tr').length") > 9 * 54


def test_a_page_fits_on_paper(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(CASES["as it is"], tmp_path), width=720, dark=True)
    browser.ask("Emulation.setEmulatedMedia", media="print")
    try:
        browser.tell("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
        paper = "getComputedStyle(document.body).backgroundColor"
        assert browser.tell(paper) == "rgb(255, 255, 255)"
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="")


def test_pictures_follow_the_colours_of_the_screen(browser: Browser, tmp_path: Path) -> None:
    page = written(CASES["as it is"], tmp_path)
    asked = "getComputedStyle(document.querySelector('.plot .l1')).stroke"
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.open(page, width=DESK)
    light = (browser.tell(asked), browser.tell(paper))
    browser.open(page, width=DESK, dark=True)
    dark = (browser.tell(asked), browser.tell(paper))
    assert light == ("rgb(11, 92, 173)", "rgb(255, 255, 255)")
    assert dark == ("rgb(116, 182, 255)", "rgb(18, 22, 27)")


def test_the_watch_sees_a_page_that_asks_complains_and_is_too_wide(
    browser: Browser, tmp_path: Path
) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><main><p style='width:900px'>wide</p><img src='http://127.0.0.1:9/x.png'>"
        "<svg class='plot'><text y='20'>one</text><text y='20'>two</text></svg></main>"
        "<script>console.log('said')</script>"
    )
    browser.open(page, width=PHONE)
    assert "http://127.0.0.1:9/x.png" in browser.requests
    assert len(browser.complaints) >= 1
    assert not browser.tell("document.documentElement.scrollWidth <= innerWidth")
    assert browser.tell(OUTSIDE) != []
    assert browser.tell(OVERLAPS) == ["one on two"]
