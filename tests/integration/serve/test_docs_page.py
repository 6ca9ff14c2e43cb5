"""The page for people in a browser, with words in it that would rather be something else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, find_browser, open_browser
from running import Running

from bucle.loop.serving.routes import Routes, make_routes
from bucle.models.rules import Rule
from bucle.models.signature import Feature, Signature
from bucle.serve.app import App
from bucle.serve.counts import Counts
from bucle.serve.guard import Guard
from bucle.serve.openapi import PAGE_HEADERS, describe
from bucle.serve.predictions import Predictor
from bucle.serve.rows import RowReader
from bucle.serve.slots import Served, Slots

pytestmark = pytest.mark.thorough

TOKEN = "t" * 43
SAID = "evil-was-here"
EVIL = (
    f"<img src=x onerror=alert('{SAID}')>",
    f"<script>alert('{SAID}')</script>",
    f"</pre></table><svg/onload=alert('{SAID}')>",
    f"<iframe src=javascript:alert('{SAID}')>",
    f"javascript:alert('{SAID}')",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<link rel=stylesheet href=http://127.0.0.1:9/a.css>",
    "<style>@import 'http://127.0.0.1:9/b.css'</style>",
    "<form action=http://127.0.0.1:9/><input name=a><button>",
    "<base href=http://127.0.0.1:9/>",
    "&lt;img src=x&gt;",
    "{{7*7}} ${7*7} #{7*7}",
    "\u202egnp.exe",
    "a\u200bb\u2066c\ufeff",
    "name " * 2000,
)


class Named:
    """As much of a package and of an engine as a description asks for."""

    name = f"<img src=x onerror=alert('{SAID}')>"
    can_explain = True

    def __init__(self, signature: Signature, profile: dict[str, Any]) -> None:
        self.signature = signature
        self.profile = {"columns": profile}


def served() -> Served:
    features = tuple(Feature(name=name.replace(chr(92), "/"), dtype="String") for name in EVIL)
    signature = Signature(kind="regression", target=EVIL[0], features=features)
    profile = {one.name: {"kind": "word", "top": [[one.name, 3]]} for one in features}
    package: Any = Named(signature, profile)
    rules = [
        Rule(name=one.name, one_of=EVIL) if number % 2 else Rule(name=one.name, pattern="^[<]")
        for number, one in enumerate(features)
    ]
    reader = RowReader(signature, rules=rules)
    return Served(model=EVIL[1], package=package, reader=reader, engine=package)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Routes:
    slots = Slots(champion=served())
    nothing: Any = None
    counts = Counts()
    predictor = Predictor(lambda: slots, nothing, counts, nothing)
    folder = tmp_path_factory.mktemp("serve")
    return make_routes(
        predictor,
        lambda: slots,
        counts,
        nothing,
        folder=folder,
        worker=(1, 0),
        name=EVIL[0],
        ask=lambda _: 1,
    )


@pytest.fixture(scope="module")
def running(routes: Routes) -> Iterator[Running]:
    with Running(App(routes, Guard(TOKEN), Counts())) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no browser is installed (apt-get install chromium)")
    with open_browser(program, tmp_path_factory.mktemp("browser")) as opened:
        opened.ask("Network.setExtraHTTPHeaders", headers={"Authorization": f"Bearer {TOKEN}"})
        yield opened


def test_nothing_of_the_data_runs_loads_or_turns_the_page(
    running: Running, browser: Browser
) -> None:
    address = f"http://127.0.0.1:{running.port}/docs"
    browser.open(address, width=1000)
    assert browser.dialogs == []
    assert browser.complaints == []
    assert set(browser.requests) <= {address, f"http://127.0.0.1:{running.port}/favicon.ico"}
    elements = browser.tell("[...document.querySelectorAll('*')].map(e => e.localName).join(' ')")
    allowed = "html head meta title style body h1 h2 p table tbody tr th td code pre"
    assert set(elements.split()) <= set(allowed.split())
    text = browser.tell("document.body.innerText")
    for word in EVIL[:-3]:
        assert word in text
    assert not {"\u202e", "\u200b", "\u2066", "\ufeff"} & set(text)
    assert "\\u202egnp.exe" in text
    assert browser.tell("document.title") == EVIL[1]
    # The page can be read on a telephone, however long a name is.
    browser.open(address, width=360)
    assert browser.tell("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("password", "title"), [(TOKEN, EVIL[1]), ("x", "")])
def test_a_browser_asks_for_the_token_as_a_password(
    running: Running, tmp_path: Path, password: str, title: str
) -> None:
    program = find_browser()
    if program is None:
        pytest.skip("no browser is installed (apt-get install chromium)")
    with open_browser(program, tmp_path) as stranger:
        stranger.open(f"http://anybody:{password}@127.0.0.1:{running.port}/docs", width=1000)
        assert stranger.tell("document.title") == title


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/none", "/predict"])
def test_no_page_of_another_site_can_read_or_show_an_answer(
    running: Running, browser: Browser, tmp_path: Path, path: str
) -> None:
    address = f"http://127.0.0.1:{running.port}{path}"
    page = tmp_path / "evil.html"
    page.write_text(
        f"<iframe src={address}></iframe><img src={address}><script src={address}></script>"
        f"<script>fetch({json.dumps(address)}, {{method: 'POST', body: '{{}}'}})"
        ".then(a => a.text()).then(a => document.title = 'read ' + a)"
        ".catch(a => document.title = 'kept out')</script>"
    )
    browser.open(page, width=1000)
    browser.ask(
        "Runtime.evaluate", expression="new Promise(a => setTimeout(a, 200))", awaitPromise=True
    )
    assert browser.tell("document.title") == "kept out"
    assert browser.dialogs == []


def test_a_browser_is_told_to_load_nothing(running: Running) -> None:
    answer = running.ask(
        b"GET /docs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
    )
    head = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    for name, value in PAGE_HEADERS:
        assert name + b": " + value.lower() in head
    policy = dict(PAGE_HEADERS)[b"content-security-policy"]
    assert policy.startswith(b"default-src 'none';")
    assert b"script-src" not in policy
    assert b"frame-ancestors 'none'" in policy


def test_every_route_is_described_and_everything_described_is_a_route(routes: Routes) -> None:
    paths = describe(served(), version="1", name=EVIL[0])["paths"]
    assert {path.decode() for path in routes} <= set(paths)
    # A model's own paths come and go with it; its id is no such word as here.
    lasting = {path: methods for path, methods in paths.items() if "/versions/" not in path}
    for path, methods in lasting.items():
        described = {method.upper() for method in methods}
        assert set(routes[path.encode()]) - {"HEAD"} == described, path
