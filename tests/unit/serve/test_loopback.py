"""Only this machine can be loaded, whatever an address looks like."""

import socket

import pytest

from bucle.errors import UsageError
from bucle.serve.loopback import find_loopback

NAMES = {
    "localhost": ["127.0.0.1", "::1", "127.0.0.1"],
    "inside": ["127.0.0.1", "192.168.1.4"],
    "localhost.evil.com": ["203.0.113.7"],
    "evil": ["203.0.113.7"],
    "nothing": [],
    "scoped": ["fe80::1%eth0"],
}


def resolve(host: str) -> list[str]:
    if host in NAMES:
        return NAMES[host]
    # Numbers only, so that no test asks a name server.
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(one[4][0]) for one in found]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
        ("http://127.9.9.9:1", "127.9.9.9:1"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("HTTP://LOCALHOST:8000", "127.0.0.1:8000"),
        ("http://2130706433:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1", "127.0.0.1:80"),
    ],
)
def test_a_loopback_address_is_taken_by_its_numbers(address: str, host: str) -> None:
    place = find_loopback(address, resolve=resolve)
    assert place.at(place.addresses[0]) == host


def test_a_name_of_several_numbers_keeps_each_once() -> None:
    found = find_loopback("http://localhost:8000", resolve=resolve)
    assert found.addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    "address",
    [
        "http://0.0.0.0:8000",
        "http://0.0.0.0",
        "http://0:8000",
        "http://[::]:8000",
        "http://192.168.1.4:8000",
        "http://[fe80::1]:8000",
        "http://[::ffff:192.168.1.4]:8000",
        "http://localhost.evil.com",
        "http://evil",
        "http://inside:8000",
        "http://nothing:8000",
        "http://scoped:8000",
        "http://no.such.name:8000",
        "http://a@127.0.0.1@evil",
        "http://127.0.0.1@evil",
        "http://evil@127.0.0.1",
        "http://user:word@127.0.0.1:8000",
        "http://127.0.0.1\\@evil",
        "http://127.0.0.1#@evil",
        "http://127.0.0.1?@evil",
        "http://127.0.0.1:8000/predict",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://127.0.0.1:8 000",
        "http://127.0.0.1:8000\r\nX: 1",
        "http://127.0.0.１:8000",
        "http://[127.0.0.1]:8000",
        "http://[::1:8000",
        "http://[localhost]:8000",
        "http://:8000",
        "http://",
        "https://127.0.0.1:8000",
        "file:///etc/hosts",
        "127.0.0.1:8000",
        "localhost:8000",
        "",
        "http://" + "a" * 70_000,
    ],
)
def test_anything_else_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="only a server of this machine") as caught:
        find_loopback(address, resolve=resolve)
    assert caught.value.code == "bucle-365"
    assert len(caught.value.render()) < 1000


def test_a_server_on_all_addresses_answers_on_the_loopback_one() -> None:
    for said, number in (("http://0.0.0.0:8000", "127.0.0.1"), ("http://[::]:8000", "::1")):
        assert find_loopback(said, is_own=True, resolve=resolve).addresses == (number,)
    with pytest.raises(UsageError):
        find_loopback("http://192.168.1.4:8000", is_own=True, resolve=resolve)
