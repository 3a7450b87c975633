"""What one telephone hears: everybody else, music, prompts over it."""

from __future__ import annotations

from array import array

import pytest

from video_rooms.core.feed import Feed
from video_rooms.core.mix import Mix
from video_rooms.core.sound import FRAME_BYTES

pytestmark = pytest.mark.unit


def level(value: int) -> bytes:
    return array("h", [value] * (FRAME_BYTES // 2)).tobytes()


def first(frame: bytes | None) -> int | None:
    return None if frame is None else array("h", frame)[0]


def turn(mix: Mix, **voices: Feed) -> int | None:
    for feed, value in zip(voices.values(), (1000, 200, 30), strict=False):
        feed.push(level(value))
    return first(mix.frame()[0])


def test_all_others_are_heard_and_oneself_is_not() -> None:
    feeds = {"me": Feed(), "ada": Feed(), "bob": Feed()}
    mix = Mix()
    mix.enter(feeds, "me")
    assert [turn(mix, **feeds) for _ in range(4)][-1] == 230


def test_who_comes_and_who_goes() -> None:
    feeds = {"ada": Feed()}
    mix = Mix()
    mix.enter(feeds, "me")
    for _ in range(3):
        turn(mix, ada=feeds["ada"])
    feeds["bob"] = Feed()
    assert [turn(mix, **feeds) for _ in range(4)][-1] == 1200
    gone = feeds.pop("ada")
    assert turn(mix, ada=gone, bob=feeds["bob"]) == 200
    mix.leave()
    assert turn(mix, ada=gone, bob=feeds["bob"]) is None


def test_another_of_the_same_name_is_heard_anew() -> None:
    feeds = {"ada": Feed()}
    mix = Mix()
    mix.enter(feeds, "me")
    for _ in range(5):
        turn(mix, ada=feeds["ada"])
    feeds["ada"] = Feed()
    assert [turn(mix, ada=feeds["ada"]) for _ in range(4)][-1] == 1000


def test_to_enter_again_where_one_is_cuts_nobody_off() -> None:
    feeds = {"ada": Feed()}
    mix = Mix()
    mix.enter(feeds, "me")
    for _ in range(4):
        turn(mix, ada=feeds["ada"])
    mix.enter(feeds, "me")
    assert turn(mix, ada=feeds["ada"]) == 1000


def test_too_loud_is_cut_off_not_wrapped() -> None:
    feeds = {"ada": Feed(), "bob": Feed()}
    mix = Mix()
    mix.enter(feeds, "me")
    for _ in range(4):
        for feed in feeds.values():
            feed.push(level(30_000))
        frame, _ = mix.frame()
    assert first(frame) == 32_767


def test_music_goes_round_and_stops() -> None:
    mix = Mix()
    mix.music([level(1), level(2)])
    assert [first(mix.frame()[0]) for _ in range(5)] == [1, 2, 1, 2, 1]
    mix.music(())
    assert mix.frame() == (None, None)


def test_a_prompt_is_heard_over_what_is_softer_meanwhile_and_its_end_is_told_with_its_last_frame() -> None:
    mix = Mix()
    mix.music([level(400)])
    mix.prompt("p", [level(1000), level(2000)])
    assert [(first(frame), told) for frame, told in (mix.frame() for _ in range(3))] == [
        (1100, None),
        (2100, "p"),
        (400, None),
    ]


def test_an_empty_prompt_ends_at_once_and_a_newer_one_takes_the_place_of_the_older() -> None:
    mix = Mix()
    mix.prompt("none", [])
    assert mix.frame() == (None, "none")
    mix.prompt("old", [level(1)] * 5)
    mix.frame()
    mix.prompt("new", [level(7)])
    assert mix.frame()[1] == "new"
    mix.prompt("cut", [level(1)] * 5)
    mix.cut()
    assert mix.frame() == (None, None)
