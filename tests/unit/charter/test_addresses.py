"""Addresses of databases are decoded once and shown without passwords."""

import pytest

from bucle.charter.addresses import hide_passwords, sqlite_path


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ana:s3cret@host/shop",
        "postgresql://ana:s3/cr@et-s3cret@host/shop",
        "postgresql://host/shop?user=ana&password=s3cret",
        "postgresql://host/shop?PASSWORD=s3cret&sslmode=require",
        "postgresql://host/shop?sslpassword=s3cret",
        "postgresql://[host/shop?password=s3cret",
    ],
)
def test_no_password_is_shown(address: str) -> None:
    shown = hide_passwords(f"look at {address} and go on")
    assert "s3cret" not in shown
    assert "s3/" not in shown
    assert "host/shop" in shown
    assert shown.endswith(" and go on")


@pytest.mark.parametrize("text", ["no address: a@b", "sqlite:///a@b.db", "https://host/x?id=3"])
def test_other_text_stays(text: str) -> None:
    assert hide_passwords(text) == text


def test_a_path_is_decoded_once() -> None:
    assert sqlite_path("sqlite:///a%2520b.db") == "a%20b.db"
    assert sqlite_path("sqlite:////srv/shop.db") == "/srv/shop.db"
