"""Whom workers died with."""

import json
import os
from pathlib import Path

import pytest

from bucle.loop.serving.caution import Caution, caution_path, deaths_noted, forgive


def test_a_challenger_that_three_workers_died_with_is_left_out(tmp_path: Path) -> None:
    note = tmp_path / "challenger-0.json"
    # Each is a worker that ends without a word.
    assert [Caution(note).dares("m-2") for _ in range(5)] == [True, True, True, False, False]
    assert Caution(note).dares("m-3")


def test_asking_again_counts_once(tmp_path: Path) -> None:
    note = tmp_path / "challenger-0.json"
    worker = Caution(note)
    assert all(worker.dares("m-2") for _ in range(50))
    assert Caution(note).dares("m-2")


def test_who_ends_in_order_has_survived(tmp_path: Path) -> None:
    note = tmp_path / "challenger-0.json"
    for _ in range(9):
        worker = Caution(note)
        assert worker.dares("m-2")
        worker.survived()
    assert not note.exists()


def test_after_long_enough_a_death_has_other_reasons(tmp_path: Path) -> None:
    note = tmp_path / "challenger-0.json"
    for _ in range(9):
        worker = Caution(note, steady_s=-1)
        assert worker.dares("m-2")
        worker.look()
    assert not note.exists()
    patient = Caution(note, steady_s=3600)
    patient.dares("m-2")
    patient.look()
    assert note.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"model": 3}', b"[]"])
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    note = tmp_path / "challenger-0.json"
    note.write_bytes(content)
    assert Caution(note).dares("m-2")


def test_a_note_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    assert Caution(tmp_path / "nowhere" / "challenger-0.json").dares("m-2")


def test_deaths_are_charged_until_the_challenger_is_left_out(tmp_path: Path) -> None:
    note = caution_path(tmp_path, 0)
    assert deaths_noted(note) == 0
    charged = []
    for _ in range(5):
        Caution(note).dares("m-2")
        charged.append(deaths_noted(note))
    assert charged == [1, 2, 3, 3, 3]
    survivor = Caution(note)
    survivor.dares("m-3")
    survivor.survived()
    assert deaths_noted(note) == 0


def test_who_was_told_to_end_has_not_died(tmp_path: Path) -> None:
    note = tmp_path / "challenger-0.json"
    for _ in range(9):
        assert Caution(note).dares("m-2")
        forgive(note, os.getpid())
    assert not note.exists()
    Caution(note).dares("m-2")
    Caution(note).dares("m-2")
    forgive(note, os.getpid() + 1)  # the note is another's
    assert deaths_noted(note) == 2
    forgive(note, os.getpid())
    assert deaths_noted(note) == 1


def test_a_worker_that_replaces_one_that_runs_follows_no_death(tmp_path: Path) -> None:
    note = tmp_path / "challenger-0.json"
    running = {"model": "m-2", "deaths": 3, "pid": os.getppid()}
    note.write_text(json.dumps(running))
    worker = Caution(note)
    assert worker.dares("m-2")
    assert deaths_noted(note) == 3

    note.write_text(json.dumps(running))
    worker.survived()
    assert json.loads(note.read_text()) == running
