"""Who may ask, and who may not."""

import base64
import itertools

import pytest

from bucle.serve.guard import Guard, host_name
from bucle.serve.problems import ProblemError

TOKEN = "t" * 32
HOST = (b"host", b"localhost:8000")
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())


def basic(text: str) -> tuple[bytes, bytes]:
    return (b"authorization", b"Basic " + base64.b64encode(text.encode()))


def refusal(
    *pairs: tuple[bytes, bytes], guard: Guard | None = None, address: str = "127.0.0.1"
) -> ProblemError:
    with pytest.raises(ProblemError) as found:
        (guard or Guard(TOKEN)).check(pairs, address=address)
    assert TOKEN not in str(found.value)
    return found.value


@pytest.mark.parametrize(
    "shown",
    [
        BEARER,
        (b"authorization", b"bearer " + TOKEN.encode()),
        (b"authorization", b"BEARER " + TOKEN.encode()),
        basic(f"me:{TOKEN}"),
        basic(f":{TOKEN}"),
    ],
)
def test_the_right_token_opens(shown: tuple[bytes, bytes]) -> None:
    headers = Guard(TOKEN).check([HOST, shown], address="127.0.0.1")
    assert headers[b"host"] == HOST[1]


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer " + TOKEN[:-1].encode(),
        b"Bearer " + TOKEN.encode() + b"t",
        b"Bearer  " + TOKEN.encode(),
        TOKEN.encode(),
        b"Token " + TOKEN.encode(),
        b"Basic !!!",
        b"Basic " + base64.b64encode(TOKEN.encode()),
        b"Basic " + base64.b64encode(f"{TOKEN}:".encode()),
        b"Basic " + base64.b64encode(b":" + TOKEN.encode())[:-4],
        b"Bearer \xff\x00",
        b"Bearer " + b"t" * 100_000,
    ],
)
def test_another_token_does_not(given: bytes) -> None:
    problem = refusal(HOST, (b"authorization", given))
    assert problem.status == 401
    challenges = [value for name, value in problem.headers if name == b"www-authenticate"]
    assert [challenge.split()[0] for challenge in challenges] == [b"Bearer", b"Basic"]
    assert problem.what == ("The token is wrong" if given else "The token is missing")


def test_no_token_is_told_apart_from_a_wrong_one() -> None:
    assert refusal(HOST).what == "The token is missing"


def test_many_wrong_tokens_are_slowed_down_and_the_right_one_is_not() -> None:
    guard = Guard(TOKEN)
    wrong = (b"authorization", b"Bearer no")
    seen = [refusal(HOST, wrong, guard=guard).status for _ in range(1000)]
    assert seen[:20] == [401] * 20
    assert 429 in seen
    problem = next(
        one for _ in range(1000) if (one := refusal(HOST, wrong, guard=guard)).status == 429
    )
    assert dict(problem.headers)[b"retry-after"] == b"1"
    assert guard.check([HOST, BEARER], address="127.0.0.1")
    assert refusal(HOST, guard=guard).status == 401


def test_requests_without_a_token_do_not_lock_anybody_out() -> None:
    guard = Guard(TOKEN)
    assert {refusal(HOST, guard=guard).status for _ in range(1000)} == {401}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "LOCALHOST:8000",
        "localhost.",
        "LocalHost.:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]",
        "[::1]:8000",
        "shop.example",
        "Shop.Example:443",
        "10.0.0.7:8000",
    ],
)
def test_the_names_of_the_machine_and_those_of_the_charter_are_ours(host: str) -> None:
    guard = Guard(TOKEN, ["shop.example"])
    for _ in range(2):  # the second time, it is remembered
        assert guard.check([(b"host", host.encode()), BEARER], address="10.0.0.7")


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"evil.com",
        b"evil.com:8000",
        b"localhost.evil.com",
        b"evil-localhost",
        b"localhost:evil",
        b"localhost:80:80",
        b"localhost..",
        b"localhost/",
        b"user@localhost",
        b"localhost evil",
        b"localhost,evil.com",
        b"localhost\xa0",
        b"[::1",
        b"[::1]x",
        b"[::1]:x",
        b"[::1]:\xb2",
        b"::1",
        b"[evil]",
        b"127.0.0.2",
        b"127.1",
        b"2130706433",
        b"0.0.0.0",
        b".",
        b":8000",
        b"\xff\xfe",
        b"a" * 30_000,
    ],
)
def test_any_other_name_is_refused_even_with_the_token(host: bytes) -> None:
    guard = Guard(TOKEN)
    for _ in range(2):
        problem = refusal((b"host", host), BEARER, guard=guard)
        assert problem.status == 421
        assert len(problem.what) < 600


def test_a_request_without_host_is_refused() -> None:
    assert refusal(BEARER).status == 421


def test_thousands_of_strange_hosts_do_not_shut_out_ours() -> None:
    guard = Guard(TOKEN)
    for number in range(2000):
        refusal((b"host", b"evil%d" % number), BEARER, guard=guard)
    assert guard.check([HOST, BEARER], address="127.0.0.1")


def test_an_address_that_was_connected_to_is_ours_only_there() -> None:
    guard = Guard(TOKEN)
    assert guard.check([(b"host", b"[fe80::1]:8"), BEARER], address="fe80::1")
    assert refusal((b"host", b"[fe80::1]:8"), BEARER, guard=guard, address="::1").status == 421


@pytest.mark.parametrize("origin", [b"http://localhost:8000", b"https://localhost:8000"])
def test_a_page_of_this_server_may_ask(origin: bytes) -> None:
    own = [HOST, BEARER, (b"origin", origin), (b"sec-fetch-site", b"same-origin")]
    assert Guard(TOKEN).check(own, address="127.0.0.1")


@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"null"),
        (b"origin", b""),
        (b"origin", b"http://evil.com"),
        (b"origin", b"http://localhost"),
        (b"origin", b"http://localhost:8001"),
        (b"origin", b"http://localhost:8000.evil.com"),
        (b"origin", b"file://"),
        (b"origin", b"http://localhost:8000/"),
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-site", b"same-site"),
        (b"sec-fetch-site", b""),
    ],
)
def test_a_page_of_another_site_may_not_ask(header: tuple[bytes, bytes]) -> None:
    assert refusal(HOST, BEARER, header).status == 403


def test_a_page_of_another_site_learns_nothing_of_the_token() -> None:
    evil = (b"origin", b"http://evil.com")
    assert refusal(HOST, evil).status == refusal(HOST, BEARER, evil).status == 403


@pytest.mark.parametrize(
    "name",
    [
        b"host",
        b"authorization",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"origin",
        b"sec-fetch-site",
    ],
)
def test_a_header_that_is_there_twice_is_refused(name: bytes) -> None:
    for pairs in (
        [HOST, BEARER, (name, b"x"), (name, b"x")],
        [(name, b"x"), HOST, BEARER, (name, b"y")],
    ):
        assert refusal(*pairs).status == 400


def test_other_headers_may_be_there_twice() -> None:
    twice = [HOST, BEARER, (b"accept", b"a"), (b"accept", b"b")]
    assert Guard(TOKEN).check(twice, address="127.0.0.1")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A.B:1", "a.b"),
        ("a.:1", "a"),
        ("a:", ""),
        ("a:-1", ""),
        ("a:1 ", ""),
        ("a:²", ""),
        ("[::1]:", ""),
        ("[FE80::1]", "[fe80::1]"),
        ("[::1]:1:2", ""),
    ],
)
def test_the_name_of_a_host_is_without_port_and_dot(text: str, name: str) -> None:
    assert host_name(text) == name


def test_what_is_admitted_at_once_is_what_would_be_allowed() -> None:
    guard = Guard(TOKEN, ["shop.example"])
    hosts = (b"localhost", b"shop.example:1", b"evil.com", b"", None)
    shown = (BEARER[1], BEARER[1].lower(), b"Bearer no", b"", None)
    origins = (None, b"http://localhost", b"http://evil.com", b"null")
    sites = (None, b"none", b"same-origin", b"cross-site")
    admitted = 0
    for values in itertools.product(hosts, shown, origins, sites):
        names = (b"host", b"authorization", b"origin", b"sec-fetch-site")
        pairs = [pair for pair in zip(names, values, strict=True) if pair[1] is not None]
        if guard.admits(dict(pairs), address="127.0.0.1"):
            admitted += 1
            assert guard.check(pairs, address="127.0.0.1")
    assert admitted == 2
