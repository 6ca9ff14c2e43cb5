"""Calls for a shell: what a shell makes of them is what was meant."""

import json
import shlex

import pytest

from bucle.serve.curl import curl_line


def taking(example: object) -> dict[str, object]:
    return {"requestBody": {"content": {"application/json": {"example": example}}}}


@pytest.mark.parametrize(
    "value", ["it's", '"', "$(rm -rf ~)", "`id`", "a\nb", "\u202egnp", "\U000e0001", "ñ \\ %", ""]
)
def test_a_shell_gives_the_body_that_was_meant(value: str) -> None:
    line = curl_line("post", "/predict", taking({"a": value}))
    assert "\n" not in line
    assert not {"\u202e", "\U000e0001"} & set(line)
    words = shlex.split(line)
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8000/predict"]
    assert words[-2] == "-d"
    assert json.loads(words[-1]) == {"a": value}


def test_what_is_only_read_needs_the_token_alone() -> None:
    assert shlex.split(curl_line("get", "/model", {}))[3:] == [
        "-H",
        "Authorization: Bearer $(cat .bucle/serve/token)",
    ]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("shop.example:81", "shop.example:81"),
        ("[::1]:8000", "[::1]:8000"),
        ("a;id", "127.0.0.1:8000"),
        ("a/b", "127.0.0.1:8000"),
        ("", "127.0.0.1:8000"),
    ],
)
def test_only_a_name_and_a_port_are_taken_from_who_asks(host: str, said: str) -> None:
    assert shlex.split(curl_line("get", "/v2", {}, host=host))[2] == f"http://{said}/v2"
