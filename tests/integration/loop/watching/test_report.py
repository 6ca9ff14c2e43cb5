"""The page of a watch in a browser, as its reader opens it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser, open_browser
from watched_samples import detailed, empty

from bucle.loop.watching.report import render_watch_report

NAMES = {
    "as it is": "size",
    "long": "a_very_long_name_of_a_column_that_nobody_would_ever_type_twice_" * 3,
    "script": "<script>document.title='mine'</script>\"'&\u202e\u200f",
    "markup": "</style></title><img src='http://192.0.2.1/x' onerror='alert(1)'>",
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

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no browser is installed (apt-get install chromium)")
    with open_browser(program, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_and_asks_for_nothing(
    browser: Browser, tmp_path: Path, name: str, width: int, *, dark: bool
) -> None:
    page = tmp_path / "watch.html"
    text = render_watch_report(detailed(NAMES[name]), project=NAMES[name])
    page.write_text(text, encoding="utf-8")
    browser.open(page, width=width, dark=dark)
    browser.tell("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
    assert browser.tell(OUTSIDE) == []
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []
    assert browser.dialogs == []
    assert browser.tell("document.title") == f"Watch of {NAMES[name]}".replace("\u202e", "\ufffd")


def test_a_page_that_can_say_nothing_fits_too(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "watch.html"
    page.write_text(render_watch_report(empty(), project="shop"), encoding="utf-8")
    browser.open(page, width=400)
    assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints == []
