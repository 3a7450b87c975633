"""Prompts and music from disk: read once, whatever is wrong with a file."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest

from video_rooms.bridge.sounds import SoundShelf
from video_rooms.core.sound import FRAME_BYTES

pytestmark = pytest.mark.unit


def written(path: Path, value: int, frames: int = 3) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(value.to_bytes(2, "little") * (FRAME_BYTES // 2 * frames))
    return path


async def test_files_are_played_one_after_another_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    paths = [
        written(tmp_path / "a.wav", 1),
        tmp_path / "bad.wav",
        tmp_path / "none.wav",
        written(tmp_path / "b.wav", 2, 1),
    ]
    frames = await SoundShelf().frames(paths)
    assert [frame[0] for frame in frames] == [1, 1, 1, 2]


async def test_a_file_that_has_changed_is_read_again_and_one_that_has_not_is_kept(tmp_path: Path) -> None:
    shelf, path = SoundShelf(), written(tmp_path / "a.wav", 1)
    first = await shelf.frames([path])
    assert (await shelf.frames([path]))[0] is first[0]
    written(path, 7, 4)
    os.utime(path, ns=(1, 1))
    assert [frame[0] for frame in await shelf.frames([path])] == [7] * 4


def test_music_is_silence_where_there_is_none(tmp_path: Path) -> None:
    assert SoundShelf().music == ()
    assert SoundShelf(tmp_path / "none.wav").music == ()
    assert len(SoundShelf(written(tmp_path / "hold.wav", 5)).music) == 3
