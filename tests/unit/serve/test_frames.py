"""Frames: what was written is found, what was cut off or changed is told."""

import pytest

from bucle.serve.frames import HEAD_BYTES, frame, frames, scan, seed_of

SEED = seed_of("w0-0123456789abcdef-00000001")
RECORDS = [b"first", b"", b"\x00" * 40, b"last"]


def test_records_come_back_in_order() -> None:
    found = scan(frames(RECORDS, seed=SEED), seed=SEED)
    assert (found.payloads, found.damaged, found.torn) == (RECORDS, (), 0)


def test_an_empty_file_holds_nothing() -> None:
    found = scan(b"", seed=SEED)
    assert (found.payloads, found.damaged, found.torn) == ([], (), 0)


def test_frames_of_another_file_do_not_fit() -> None:
    content = frames(RECORDS, seed=seed_of("w1-0123456789abcdef-00000001"))
    found = scan(content, seed=SEED)
    assert found.payloads == []
    assert found.damaged == ((0, len(content)),)


def test_a_frame_within_a_record_is_not_taken_for_one_after_damage() -> None:
    inner = frame(b"forged", seed=seed_of("a guess"))
    content = bytearray(frame(b"x" + inner, seed=SEED) + frame(b"good", seed=SEED))
    content[HEAD_BYTES] ^= 1
    found = scan(bytes(content), seed=SEED)
    assert found.payloads == [b"good"]


def test_damage_in_the_middle_costs_its_own_frame_only() -> None:
    content = bytearray(frames(RECORDS, seed=SEED))
    second = len(frame(RECORDS[0], seed=SEED))
    content[second] ^= 0xFF
    found = scan(bytes(content), seed=SEED)
    assert found.payloads == [RECORDS[0], *RECORDS[2:]]
    assert found.damaged == ((second, second + HEAD_BYTES),)


@pytest.mark.parametrize("zeros", [1, 3, 15, 16, 4096])
def test_zeros_after_a_loss_of_power_are_told(zeros: int) -> None:
    content = frames(RECORDS, seed=SEED)
    found = scan(content + b"\0" * zeros, seed=SEED)
    assert found.payloads == RECORDS
    assert found.damaged == ((len(content), len(content) + zeros),)


def test_damage_before_a_torn_end_tells_both() -> None:
    whole = frames(RECORDS, seed=SEED)
    content = bytearray(whole + frame(b"cut off", seed=SEED)[:-2])
    content[-40] ^= 1
    found = scan(bytes(content), seed=SEED)
    assert found.torn == HEAD_BYTES + 5
    assert len(found.damaged) == 1
    assert found.payloads == RECORDS[:-1]
