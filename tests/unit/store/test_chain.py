"""The chain: what is sealed fits its place and nothing else does."""

import hashlib
import json

import msgspec
import pytest

from bucle.errors import LogDamagedError, LogError
from bucle.ids import canonical_json
from bucle.store.chain import (
    START,
    ZERO_HASH,
    Row,
    check,
    fits_itself,
    follow,
    seal,
    seal_all,
    sealed_content,
)
from bucle.types import Draft, Event, Head


def fact(number: int = 0) -> Draft:
    return Draft(kind="noted", body={"number": number, "ñ": [1.5, None]}, at="now", actor="me")


def rows_of(events: tuple[Event, ...]) -> list[Row]:
    return [(event.position, sealed_content(event), event.hash.encode()) for event in events]


def test_hash_covers_every_field_but_itself_in_canonical_form() -> None:
    event = seal(fact(3), position=1, previous=ZERO_HASH)
    fields = msgspec.to_builtins(event)
    digest = fields.pop("hash")
    content = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(content.encode()).hexdigest() == digest
    assert sealed_content(event) == canonical_json(fields)


def test_known_event_has_its_known_hash() -> None:
    # Written by hand: a change of this value means that old logs no longer verify.
    draft = Draft(kind="promoted", body={"model": "m-1"}, at="2026-01-02", actor="ana", cause="c")
    content = (
        b'{"actor":"ana","at":"2026-01-02","body":{"model":"m-1"},"cause":"c","kind":"promoted",'
        b'"position":7,"previous":"' + b"f" * 64 + b'","version":1}'
    )
    event = seal(draft, position=7, previous="f" * 64)
    assert event.hash == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("field", ["position", "kind", "version", "at", "actor", "cause", "body"])
def test_change_of_any_field_is_seen(field: str) -> None:
    event = seal(fact(), position=1, previous=ZERO_HASH)
    other = {"position": 1, "version": 2, "body": {"number": 1}}.get(field, "other")
    changed = msgspec.structs.replace(event, **{field: other})
    place = other if field == "position" else 1
    said = check(changed, position=place, previous=ZERO_HASH)
    assert (said == "") == (changed == event)
    if field == "position":
        changed = msgspec.structs.replace(event, position=2)
        assert "content" in check(changed, position=2, previous=ZERO_HASH)
        assert "event 2" in check(changed, position=1, previous=ZERO_HASH)


def test_event_that_follows_another_is_seen() -> None:
    event = seal(fact(), position=2, previous="a" * 64)
    assert check(event, position=2, previous="b" * 64) == "it does not follow event 1"


def test_following_a_chain_gives_its_events() -> None:
    events = seal_all([fact(number) for number in range(4)], after=START)
    assert tuple(follow(rows_of(events), after=START)) == events
    head = Head(events[1].position, events[1].hash)
    assert tuple(follow(rows_of(events[2:]), after=head)) == events[2:]


@pytest.mark.parametrize(
    ("spoil", "position"),
    [
        (lambda rows: rows[1:], 1),
        (lambda rows: [rows[0], rows[2], rows[1]], 2),
        (lambda rows: [rows[0], rows[0], rows[1]], 2),
        (lambda rows: [*rows[:2], (3, rows[2][1][:-1], rows[2][2])], 3),
        (lambda rows: [*rows[:2], (3, rows[2][1], b"0" * 64)], 3),
        (lambda rows: [*rows[:2], (3, None, rows[2][2])], 3),
        (lambda rows: [*rows[:2], (3, 12, rows[2][2])], 3),
        (lambda rows: [*rows[:2], (3, rows[2][1], None)], 3),
        (lambda rows: [*rows[:2], (b"3", rows[2][1], rows[2][2])], 3),
        (lambda rows: [(1, b"[]", hashlib.sha256(b"[]").hexdigest().encode())], 1),
        (lambda rows: [(1, b"", hashlib.sha256(b"").hexdigest().encode())], 1),
    ],
)
def test_first_row_that_does_not_fit_is_named(spoil, position: int) -> None:
    events = seal_all([fact(number) for number in range(3)], after=START)
    seen: list[Event] = []
    with pytest.raises(LogDamagedError) as damage:
        seen.extend(follow(spoil(rows_of(events)), after=START))
    assert damage.value.position == position
    assert tuple(seen) == events[: position - 1]


def test_row_fits_itself_wherever_it_stands() -> None:
    (_, content, digest) = rows_of(seal_all([fact()], after=START))[0]
    assert fits_itself((99, content, digest))
    assert not fits_itself((1, content + b" ", digest))
    assert not fits_itself((1, content.decode(), digest))


@pytest.mark.parametrize("body", [{"a": float("nan")}, {"a": {1}}, {"a": "\udc80"}, {2: 1, 10: 1}])
def test_body_that_cannot_be_read_back_alike_is_refused(body: dict) -> None:
    with pytest.raises(LogError) as refusal:
        seal(Draft(kind="noted", body=body, at="", actor=""), position=1, previous=ZERO_HASH)
    assert refusal.value.code == "bucle-203"
    assert "'noted'" in str(refusal.value)


def test_body_that_holds_itself_is_refused() -> None:
    body: dict = {}
    body["again"] = body
    with pytest.raises(LogError):
        seal(Draft(kind="noted", body=body, at="", actor=""), position=1, previous=ZERO_HASH)
