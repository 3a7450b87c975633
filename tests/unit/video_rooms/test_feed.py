"""A voice and who listens to it: nothing is lost that came in time, and nothing waits for nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from video_rooms.core.feed import BEGIN, MOST, Brake, Cursor, Feed
from video_rooms.core.sound import FRAME_BYTES, SILENCE, SLICE_BYTES

pytestmark = pytest.mark.unit


def loud(number: int) -> bytes:
    """A slice that is told apart from others, and is no pause."""
    return (1000 + number).to_bytes(2, "little") * (SLICE_BYTES // 2)


def number_of(part: bytes) -> int:
    return int.from_bytes(part[:2], "little") - 1000


def heard(frame: bytes | None) -> list[int]:
    assert frame is None or len(frame) == FRAME_BYTES
    return [] if frame is None else [number_of(frame[:SLICE_BYTES]), number_of(frame[SLICE_BYTES:])]


def test_a_steady_voice_is_heard_whole_with_one_slice_in_hand() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    got: list[int] = []
    for number in range(400):
        feed.push(loud(number))
        if number % 2:
            got += heard(cursor.take())
    assert got == list(range(got[0], got[0] + len(got)))
    assert got[0] == 1, "what came before there was enough for a beginning is not made up for"
    assert (cursor.dry, cursor.left_out) == (0, 0)


def test_frames_of_two_slices_are_taken_as_well() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    got: list[int] = []
    for number in range(0, 200, 2):
        feed.push(loud(number) + loud(number + 1))
        got += heard(cursor.take())
    assert got == list(range(1, 1 + len(got)))
    assert (cursor.dry, cursor.left_out) == (0, 0)


def test_who_comes_later_hears_the_newest() -> None:
    feed = Feed()
    for number in range(300):
        feed.push(loud(number))
    cursor = Cursor(feed)
    assert cursor.take() is None
    for number in range(300, 304):
        feed.push(loud(number))
    assert heard(cursor.take()) == [301, 302]


def test_a_voice_that_is_late_by_less_than_what_is_in_hand_is_not_cut() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    got: list[int] = []
    number = 0
    for turn in range(300):
        come = 2 + (1 if turn % 7 == 3 else 0) - (1 if turn % 7 == 2 else 0)
        for _ in range(come):
            feed.push(loud(number))
            number += 1
        got += heard(cursor.take())
    assert cursor.dry <= 1, "after the first time there is enough in hand"
    gaps = [after - before for before, after in pairwise(got) if after - before != 1]
    assert len(gaps) <= 1


def test_a_stall_that_was_made_up_for_is_no_delay_for_ever() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    number = 0

    def turn(come: int, sound: bytes | None = None) -> bytes | None:
        nonlocal number
        for _ in range(come):
            feed.push(loud(number) if sound is None else sound)
            number += 1
        return cursor.take()

    for _ in range(10):
        turn(2)
    for _ in range(5):
        turn(3)
    behind = [number - heard(frame)[1] for _ in range(600) if (frame := turn(2)) is not None]
    assert behind[0] == 7
    assert behind[-1] <= 3
    assert behind == sorted(behind, reverse=True)
    assert cursor.dry == 0


def test_in_a_pause_all_that_waits_too_long_is_left_out_at_once() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    for _ in range(BEGIN):
        feed.push(loud(1))
    cursor.take()
    for _ in range(7):
        feed.push(loud(1))
    for turn in range(70):
        feed.push((loud(1) if turn < 55 else bytes(SLICE_BYTES)) * 2)
        cursor.take()
    assert cursor.left_out == 7, "one slice is in hand again"
    assert cursor.dry == 0


def test_after_a_hole_the_newest_is_heard() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    for number in range(6):
        feed.push(loud(number))
    assert cursor.take() is not None
    assert cursor.take() is None
    assert cursor.dry == 1
    for number in range(6, 16):
        feed.push(loud(number))
    assert heard(cursor.take()) == [13, 14]


def test_a_slice_is_left_out_in_a_pause_where_there_is_one() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    for _ in range(5):
        feed.push(loud(1))
    cursor.take()
    for _ in range(3):
        feed.push(loud(1))
    left: list[bool] = []
    for turn in range(120):
        quiet = turn % 20 == 19
        for _ in range(2):
            feed.push(bytes(SLICE_BYTES) if quiet else loud(1))
        before = cursor.left_out
        frame = cursor.take()
        left += [frame is None] if cursor.left_out > before else []
    assert left
    assert all(left), "only where nobody spoke"


def test_too_much_at_once_is_left_out_at_once() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    for number in range(BEGIN):
        feed.push(loud(number))
    cursor.take()
    for number in range(BEGIN, BEGIN + 100):
        feed.push(loud(number))
    assert heard(cursor.take()) == [BEGIN + 100 - MOST, BEGIN + 101 - MOST]
    assert cursor.left_out > 80


def test_silence_is_none_and_half_of_it_is_sound() -> None:
    feed = Feed()
    cursor = Cursor(feed)
    feed.push(SILENCE)
    feed.push(SILENCE)
    assert cursor.take() is None
    assert cursor.dry == 0
    feed.push(bytes(SLICE_BYTES) + loud(1))
    frame = cursor.take()
    assert frame is None
    frame = cursor.take()
    assert frame is None
    feed.push(loud(2) + loud(3))
    feed.push(loud(4) + loud(5))
    assert cursor.take() is not None


def test_a_frame_too_many_in_the_switch_is_not_sent_soon_in_a_pause_and_later_in_speech() -> None:
    brake, speech = Brake(), loud(1) * 2
    assert not any(brake.holds_back(0, None) for _ in range(200))
    held = [brake.holds_back(20, None) for _ in range(11)]
    assert held == [False] * 10 + [True]
    held = [brake.holds_back(20, speech) for _ in range(61)]
    assert held == [False] * 60 + [True]
    for _ in range(50):
        assert not brake.holds_back(20, speech)
    assert not brake.holds_back(0, speech), "it is over by itself"
    assert not any(brake.holds_back(20, speech) for _ in range(60))
