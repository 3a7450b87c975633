"""Recordings made playable: the header checked by the standard library, whatever the switch left behind."""

from __future__ import annotations

import asyncio
import os
import wave
from pathlib import Path

import pytest

from gateway.archive import RecordingArchive, _closed_by_the_switch, finish, is_written, wav_header
from tests.unit.dialplan.made_calls import talking
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

TAPE = "call_01ARZ3NDEKTSV4RRFFQ69G5FAV-1"
SECOND = bytes(range(256)) * 125  # one second of two channels


def put(path: Path, content: bytes, *, more: bool = False) -> None:
    with path.open("ab" if more else "wb") as file:
        file.write(content)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def exists(path: Path) -> bool:
    return path.exists()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / f"{TAPE}.raw"


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / f"{TAPE}.wav"


async def test_a_recording_becomes_a_wav_that_plays(raw: Path, done: Path) -> None:
    put(raw, SECOND * 3)
    ok, detail = await RecordingArchive(raw.parent).file(talking(), TAPE)
    assert ok
    assert dict(detail) == {"file": done.name, "duration_ms": "3000", "channels": "2", "bytes": "96044"}
    with wave.open(str(done)) as played:
        assert (played.getnchannels(), played.getsampwidth(), played.getframerate()) == (2, 2, 8000)
        assert played.getnframes() == 24_000
        assert played.readframes(24_000) == SECOND * 3
    assert names(raw.parent) == [done.name]


@pytest.mark.parametrize("extra", [1, 2, 3])
def test_a_frame_cut_short_is_left_out(raw: Path, done: Path, extra: int) -> None:
    put(raw, SECOND + b"x" * extra)
    assert finish(raw, done) == len(SECOND)
    with wave.open(str(done)) as played:
        assert played.getnframes() == 8000


async def test_filing_twice_gives_the_same_answer(raw: Path) -> None:
    put(raw, SECOND)
    archive = RecordingArchive(raw.parent)
    assert await archive.file(talking(), TAPE) == await archive.file(talking(), TAPE)


async def test_a_crash_between_the_two_files_leaves_one(raw: Path, done: Path) -> None:
    put(raw, SECOND)
    put(done, wav_header(len(SECOND)) + SECOND)
    ok, detail = await RecordingArchive(raw.parent).file(talking(), TAPE)
    assert ok
    assert dict(detail)["duration_ms"] == "1000"
    assert not exists(raw)


async def test_a_crash_while_writing_is_begun_again(raw: Path, done: Path) -> None:
    put(raw, SECOND)
    put(done.with_suffix(".part"), b"half")
    ok, _ = await RecordingArchive(raw.parent).file(talking(), TAPE)
    assert ok
    assert names(raw.parent) == [done.name]


@pytest.mark.parametrize("left", [None, b"", b"x", b"xxx"])
async def test_no_audio(raw: Path, done: Path, left: bytes | None) -> None:
    if left is not None:
        put(raw, left)
    assert await RecordingArchive(raw.parent).file(talking(), TAPE) == (False, (("reason", "no_audio"),))
    assert not exists(done)


async def test_a_folder_that_cannot_be_written_to_is_said_so(raw: Path, done: Path) -> None:
    put(raw, SECOND)
    done.with_suffix(".part").mkdir()
    assert await RecordingArchive(raw.parent).file(talking(), TAPE) == (False, (("reason", "disk_error"),))
    assert exists(raw)


@pytest.mark.parametrize(
    "name", ["../x", "call_01ARZ3NDEKTSV4RRFFQ69G5FAV", f"{TAPE}/../x", "", f"../{TAPE}", f"{TAPE}\n", "x-1"]
)
async def test_a_name_not_made_by_us_touches_no_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    outside = tmp_path / "x.raw"
    put(outside, SECOND)
    assert await RecordingArchive(folder).file(talking(), name) == (False, (("reason", "bad_name"),))
    assert exists(outside)
    assert names(folder) == []


@in_virtual_time
async def test_a_file_that_is_still_written_is_waited_for(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long its size stands still."""
    put(raw, SECOND)
    written = True
    monkeypatch.setattr("gateway.archive.is_written", lambda path: written)
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(_closed_by_the_switch(raw))
    await asyncio.sleep(2.0)
    assert not waiting.done()
    written = False
    await waiting
    assert loop.time() <= 2.1


@in_virtual_time
async def test_a_file_that_nobody_writes_is_not_waited_for(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(raw, SECOND)
    monkeypatch.setattr("gateway.archive.is_written", lambda path: False)
    await _closed_by_the_switch(raw)
    assert asyncio.get_running_loop().time() == 0.0


def test_who_writes_is_seen_where_the_system_tells(raw: Path) -> None:
    """A file system without leases, or a file of somebody else's: then it cannot be told."""
    assert is_written(raw) is None
    with raw.open("wb") as writer:
        writer.write(SECOND)
        assert is_written(raw) in (True, None)
    assert is_written(raw) in (False, None)
    with raw.open("rb"):
        assert is_written(raw) in (False, None)


@in_virtual_time
async def test_a_file_that_still_grows_is_waited_for(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.archive.is_written", lambda path: None)
    put(raw, SECOND)
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(_closed_by_the_switch(raw))
    for _ in range(4):
        await asyncio.sleep(0.15)
        assert not waiting.done()
        put(raw, SECOND, more=True)
    await waiting
    assert 0.8 <= loop.time() <= 0.9


@in_virtual_time
@pytest.mark.parametrize("told", [True, None])
async def test_a_file_that_never_stops_growing_is_waited_for_no_longer_than_the_deadline(
    raw: Path, monkeypatch: pytest.MonkeyPatch, told: bool | None
) -> None:
    monkeypatch.setattr("gateway.archive.is_written", lambda path: told)
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(_closed_by_the_switch(raw))
    while not waiting.done():
        put(raw, b"x", more=True)
        await asyncio.sleep(0.1)
    assert 5.0 <= loop.time() <= 5.2


def test_a_file_that_shrinks_while_it_is_read_is_an_error(
    raw: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(raw, SECOND)
    grown = os.stat_result((0o100644, 1, 1, 1, 0, 0, len(SECOND) * 2, 0, 0, 0))
    sound = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path: grown if path == raw else sound(path))
    with pytest.raises(OSError, match="shorter"):
        finish(raw, done)
    monkeypatch.undo()
    assert not exists(done)
    assert exists(raw)


@pytest.mark.parametrize("size", [0, 4, 32_000, 2**31, 2**32 - 40])
def test_the_header_tells_every_length(size: int) -> None:
    header = wav_header(size)
    assert len(header) == 44
    assert int.from_bytes(header[40:44], "little") == size
    assert int.from_bytes(header[4:8], "little") == size + 36
