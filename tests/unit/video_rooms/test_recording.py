"""The picture, the sound and the words of a recording."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import InvalidInput
from video_rooms.core.reel import (
    ReelNews,
    ReelSpec,
    SpeakerTrack,
    news_line,
    read_news,
    read_spec,
    spec_line,
    timeline,
)
from video_rooms.core.tiles import MOST, Tile, fitted, grid
from video_rooms.recording.canvas import Canvas, Face, Picture, picture_of
from video_rooms.recording.sound import RATE, Voice, mixed

pytestmark = pytest.mark.unit

SIZES = st.tuples(st.integers(80, 960), st.integers(60, 540)).map(lambda size: (size[0] * 2, size[1] * 2))


@given(faces=st.integers(0, 40), size=SIZES)
def test_tiles_fill_the_picture_and_never_overlap(faces: int, size: tuple[int, int]) -> None:
    width, height = size
    tiles = grid(faces, width, height)
    assert len(tiles) == min(faces, MOST)
    covered = np.zeros((height, width), np.uint8)
    for tile in tiles:
        assert not (tile.x | tile.y | tile.width | tile.height) & 1
        assert min(tile.x, tile.y) >= 0
        assert tile.x + tile.width <= width
        assert tile.y + tile.height <= height
        covered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
    assert covered.max(initial=0) <= 1


@given(source=st.tuples(st.integers(0, 4000), st.integers(0, 4000)), tile=SIZES)
def test_a_picture_fits_into_its_tile_whole(source: tuple[int, int], tile: tuple[int, int]) -> None:
    spot = fitted(*source, Tile(10, 20, *tile))
    assert spot.x >= 10
    assert spot.y >= 20
    assert spot.x + spot.width <= 10 + tile[0]
    assert spot.y + spot.height <= 20 + tile[1]
    assert (spot.width == 0) is (0 in source)


def flat(width: int, height: int, bright: int) -> Picture:
    half = ((height + 1) // 2, (width + 1) // 2)
    return Picture(np.full((height, width), bright, np.uint8), *(np.full(half, 128, np.uint8) for _ in "uv"))


def test_each_face_is_where_its_tile_is() -> None:
    canvas = Canvas(320, 180)
    faces = [Face("a", flat(64, 36, 200)), Face("b", flat(64, 36, 90)), Face("c", None)]
    drawn = picture_of(canvas.draw(faces), 320, 180)
    first, second, third = grid(3, 320, 180)
    middles = [drawn.y[t.y + t.height // 2, t.x + t.width // 2] for t in (first, second, third)]
    assert middles == [200, 90, 60]


def test_whoever_speaks_is_framed() -> None:
    canvas, tile = Canvas(320, 180), grid(2, 320, 180)[1]
    plain = canvas.draw([Face("a", None), Face("b", None)])
    framed = picture_of(canvas.draw([Face("a", None), Face("b", None, speaking=True)]), 320, 180)
    assert framed.y[tile.y, tile.x] != picture_of(plain, 320, 180).y[tile.y, tile.x]
    assert len(plain) == 320 * 180 * 3 // 2


def test_nobody_is_a_black_picture() -> None:
    assert set(Canvas(64, 64).draw([])) == {16, 128}


@given(st.lists(st.integers(1, 700), max_size=60), st.lists(st.integers(1, 3000), max_size=20))
def test_sound_comes_out_in_order_and_only_silence_is_added(arrivals: list[int], takes: list[int]) -> None:
    voice, sent = Voice(), 0
    for size in arrivals:
        voice.hear(np.arange(sent + 1, sent + size + 1, dtype=np.int64).astype(np.int16))
        sent += size
    heard = np.concatenate([voice.take(count) for count in takes]) if takes else np.zeros(0, np.int16)
    told = heard[heard != 0].astype(np.int64)
    assert len(heard) == sum(takes)
    if len(told) > 1 and sent < 30_000:
        assert (np.diff(told) == 1).all()


def test_sound_begins_once_a_tenth_of_a_second_is_there() -> None:
    voice = Voice()
    voice.hear(np.full(RATE // 10 - 1, 5, np.int16))
    assert not voice.take(100).any()
    voice.hear(np.full(1, 5, np.int16))
    assert (voice.take(100) == 5).all()


def test_what_is_late_by_more_than_a_second_is_dropped() -> None:
    voice = Voice()
    for _ in range(15):
        voice.hear(np.full(RATE // 10, 7, np.int16))
    assert voice.dropped == RATE // 2


def test_speaking_lasts_a_little_longer_than_the_sound() -> None:
    voice = Voice()
    voice.hear(np.full(RATE // 5, 4000, np.int16))
    voice.take(RATE // 5)
    assert voice.speaking
    voice.take(RATE // 4)
    assert voice.speaking
    voice.take(RATE // 4)
    assert not voice.speaking


def test_loud_voices_together_are_clipped_not_wrapped() -> None:
    loud = np.full(4, 30_000, np.int16)
    assert mixed([loud, loud], 4).tolist() == [32_767] * 4
    assert mixed([-loud, -loud], 4).tolist() == [-32_768] * 4
    assert mixed([], 3).tolist() == [0, 0, 0]


def test_what_is_said_between_the_processes_is_understood() -> None:
    spec = ReelSpec("ws://127.0.0.1:7880", "secret-token", "/var/x", "/bin/ffmpeg")
    assert read_spec(spec_line(spec)) == spec
    assert "secret-token" not in repr(spec)
    news = ReelNews("finished", duration_ms=1000, size=5, speakers=2)
    assert read_news(news_line(news)) == news


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"null", b'{"what": "boom"}', b'{"what": "started", "x": 1}', b"\xff"]
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_news(line)


def test_the_timeline_says_who_is_in_which_file() -> None:
    shown = json.loads(timeline(9000, [SpeakerTrack("a", "Jürgen", "speaker-1.ogg", 250, 8000)]))
    assert shown["speakers"][0] == {
        "identity": "a",
        "name": "Jürgen",
        "file": "speaker-1.ogg",
        "started_ms": 250,
        "duration_ms": 8000,
    }
