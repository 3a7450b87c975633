"""Recorders and gateways that die in the middle of a recording, at a real media server: what was recorded
plays, each speaker apart, and what is said of it is true."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from gateway.room_recordings import RecorderParts, RoomRecordings
from gateway.room_salvage import RoomSalvage, SalvagePlace
from gateway.room_salvager import made
from gateway.runtime.programs import ffmpeg_program
from gateway.trial.audio import RATE, tone_seconds
from tests.contract.video_rooms import studio as studios
from tests.contract.video_rooms.studio import ALICE_HZ, BOB_HZ, FIRST, Kept, Studio, recorder_of
from tests.rig.films import decoded, sound_of
from tests.rig.visitors import visitor
from tests.unit.video_rooms.rooms import a_room
from video_rooms.core.reel import COMPOSITE, RESULT, TIMELINE
from video_rooms.core.salvage import MIXED, NOTES, PICTURE, SalvageSpec, SpeakerNote, note_line
from video_rooms.core.tape import CRASHED, INTERRUPTED, RoomTape, TapeState, goes_on
from video_rooms.recording.claim import claim, is_free
from video_rooms.recording.encoder import PictureFile
from video_rooms.recording.sound import RATE as RECORDED_RATE

pytestmark = [pytest.mark.contract, pytest.mark.timeout(240)]

studio = studios.studio
SECOND = (
    (np.sin(np.arange(RECORDED_RATE) * 2 * np.pi * ALICE_HZ / RECORDED_RATE) * 9000).astype("<i2").tobytes()
)


async def test_what_two_people_said_until_the_recorder_was_killed_plays(studio: Studio) -> None:
    before = time.monotonic()
    async with (
        visitor(studio.livekit.url, studio.token("alice")) as alice,
        visitor(studio.livekit.url, studio.token("bob")) as bob,
    ):
        await alice.speak(ALICE_HZ)
        await alice.show(220, width=320, height=180)
        await bob.speak(BOB_HZ)
        await alice.hears("bob", BOB_HZ)
        tape_id = await studio.recordings.start(studio.room)
        await alice.until(lambda: fragments(studio.folder(tape_id) / PICTURE), 60, "a picture on disk")
        for hz in (ALICE_HZ, BOB_HZ):
            await studio.records(tape_id, hz)
        seen_ms, heard = studio.recorded_ms(tape_id), (studio.folder(tape_id) / MIXED).read_bytes()
        os.killpg(recorder_of(studio), signal.SIGKILL)  # its encoder with it, as where memory runs out
        most_ms = (time.monotonic() - before) * 1000
        broken_off = asyncio.Event()
        studio.recordings.when_broken_off(lambda tenant, room, lasted_s: broken_off.set())
        tape = await studio.outcome()
    assert broken_off.is_set()
    assert (tape.state, tape.why, tape.incomplete, tape.speakers) == (TapeState.READY, CRASHED, True, 2)
    assert seen_ms <= tape.duration_ms <= most_ms
    assert tape.ended_at is not None
    assert abs((tape.ended_at - tape.started_at).total_seconds() * 1000 - tape.duration_ms) < 1
    film = studio.folder(tape_id) / COMPOSITE
    assert tape.size == film.stat().st_size
    sound = await sound_of(film)
    assert abs(len(sound) / 2 / RATE * 1000 - tape.duration_ms) <= 150
    for hz in (ALICE_HZ, BOB_HZ):
        on_disk = tone_seconds(heard, hz, rate=RECORDED_RATE, share=0.2)
        assert tone_seconds(sound, hz, share=0.2) >= max(0.3, on_disk / 2), "what was on disk is in the film"
    grey = await decoded(film, "-f", "rawvideo", "-pix_fmt", "gray")
    frames = len(grey) // (320 * 180)
    assert 40 <= frames <= tape.duration_ms // 100 + 1
    assert sum(shade > 200 for shade in grey[-320 * 90 :][:320]) > 50, "alice's camera is in the picture"
    await each_is_alone(studio.folder(tape_id))
    assert not list(studio.folder(tape_id).glob("*.part*"))
    assert await studio.recordings.goes_on(studio.room), "nobody wished its end"


async def each_is_alone(folder: Path) -> None:
    told = json.loads((folder / TIMELINE).read_text())
    assert told["incomplete"] == CRASHED
    by_name = {one["identity"]: one for one in told["speakers"]}
    for who, hz, other in (("alice", ALICE_HZ, BOB_HZ), ("bob", BOB_HZ, ALICE_HZ)):
        alone = await sound_of(folder / by_name[who]["file"])
        assert abs(len(alone) / 2 / RATE * 1000 - by_name[who]["duration_ms"]) <= 150
        own = tone_seconds(alone, hz)
        assert own >= 0.5, who
        assert tone_seconds(alone, other) <= own / 5, who


def fragments(film: Path) -> bool:
    return film.exists() and b"moof" in film.read_bytes()


async def test_where_the_gateway_and_its_recorder_die_one_of_two_next_ones_saves_it(studio: Studio) -> None:
    async with visitor(studio.livekit.url, studio.token("alice")) as alice:
        await alice.speak(ALICE_HZ)
        tape_id = await studio.recordings.start(studio.room)
        await studio.records(tape_id, ALICE_HZ, of=FIRST)
        await studio.records(tape_id, ALICE_HZ)
        begun = studio.recordings._running.pop(studio.room.id)
        assert begun.watch is not None
        begun.watch.cancel()
        assert begun.process is not None
        os.killpg(begun.process.pid, signal.SIGKILL)
    lives = [RoomRecordings(studio.parts) for _ in range(2)]
    for life in lives:
        life.told = studio.hear
        await life.take_up()
    for life in lives:
        await asyncio.gather(*life._tasks)
        await life.close()
    [tape] = studio.told
    assert (tape.id, tape.state, tape.why, tape.speakers) == (tape_id, TapeState.READY, INTERRUPTED, 1)
    assert tone_seconds(await sound_of(studio.folder(tape_id) / COMPOSITE), ALICE_HZ) >= 0.5
    assert goes_on(replace(studio.room, recording_enabled=True), [tape])


# ---------------------------------------------------------------- parts, and no media server


@pytest.fixture
def place(tmp_path: Path) -> SalvagePlace:
    return SalvagePlace(tmp_path / "rooms", ffmpeg_program())


def parts_of(place: SalvagePlace, tape_id: str, seconds: int = 2) -> Path:
    """What a recorder that was killed leaves: sound, one speaker's sound, a note of it, half of another."""
    folder = place.folder / tape_id
    folder.mkdir(parents=True)
    (folder / MIXED).write_bytes(SECOND * seconds)
    (folder / FIRST).write_bytes(SECOND + b"\x00")
    note = note_line(SpeakerNote("alice", "Alice", FIRST, 1000))
    (folder / NOTES).write_bytes(note + note[:20])
    os.close(claim(folder) or -1)
    return folder


async def test_a_torn_picture_plays_up_to_its_last_whole_fragment(place: SalvagePlace) -> None:
    folder = parts_of(place, "EG_1")
    picture = PictureFile(place.ffmpeg, folder / PICTURE, 64, 64, 5)
    await picture.start()
    for step in range(41):
        while not picture.put(bytes([step]) * (64 * 64 * 3 // 2)):  # noqa: ASYNC110  # the encoder's pace
            await asyncio.sleep(0)
    await picture.close()
    whole = (folder / PICTURE).read_bytes()
    (folder / PICTURE).write_bytes(whole[: whole.rindex(b"moof") + 40])
    news = await RoomSalvage(place).of("EG_1", CRASHED)
    assert (news.what, news.why, news.duration_ms, news.speakers) == ("finished", CRASHED, 2000, 1)
    grey = await decoded(folder / COMPOSITE, "-f", "rawvideo", "-pix_fmt", "gray")
    assert len(grey) == 40 * 64 * 64


@pytest.mark.parametrize("died", ["joining", "clearing", "telling"])
async def test_a_salvage_that_is_itself_cut_off_comes_to_the_same_end(place: SalvagePlace, died: str) -> None:
    folder = parts_of(place, "EG_1")
    copies = place.folder.parent / "copies"
    shutil.copytree(folder, copies)
    first = await made(SalvageSpec(str(folder), place.ffmpeg, CRASHED))
    film = (folder / COMPOSITE).read_bytes()
    if died != "telling":
        shutil.copytree(copies, folder, dirs_exist_ok=True)
    if died == "joining":
        (folder / COMPOSITE).unlink()
        (folder / "composite.part.mp4").write_bytes(film[:100])
    (folder / RESULT).unlink()
    why = CRASHED if died == "joining" else "another"
    again = await made(SalvageSpec(str(folder), place.ffmpeg, why))
    assert again == first
    assert (folder / COMPOSITE).stat().st_size == first.size
    assert not list(folder.glob("*.part*"))


async def test_what_cannot_be_read_has_failed_and_stays_for_whoever_can(place: SalvagePlace) -> None:
    folder = parts_of(place, "EG_1", seconds=0)
    (folder / PICTURE).write_bytes(b"no picture at all" * 99)
    tape = RoomTape("EG_1", "room", a_room().tenant, TapeState.RECORDING, a_room().created_at)
    kept = Kept({"EG_1": tape})
    parts_of(place, "EG_STRANGE")
    strange = {part.name: part.stat().st_size for part in (place.folder / "EG_STRANGE").iterdir()}
    told: list[RoomTape] = []

    async def hear(one: RoomTape) -> None:
        told.append(one)

    recordings = RoomRecordings(parts_without_server(kept, place))
    recordings.told = hear
    await recordings.take_up()
    await asyncio.gather(*recordings._tasks)
    await recordings.close()
    assert [(one.state, one.why, one.incomplete) for one in told] == [(TapeState.FAILED, INTERRUPTED, False)]
    assert (folder / PICTURE).exists()
    assert {part.name: part.stat().st_size for part in (place.folder / "EG_STRANGE").iterdir()} == strange
    assert await RoomSalvage(place).leftovers(await kept.known(["EG_1"])) == 1


def parts_without_server(kept: Kept, place: SalvagePlace) -> RecorderParts:
    def never(*_: object) -> str:
        raise AssertionError("nothing is begun here")

    return RecorderParts(
        server=None,  # type: ignore[arg-type]
        tapes=kept,
        folder=place.folder,
        ffmpeg=place.ffmpeg,
        now=lambda: datetime.now(UTC),
        new_id=never,
        pass_id=never,
        own_only=True,
    )


async def test_files_that_somebody_works_on_are_waited_for(place: SalvagePlace) -> None:
    folder = parts_of(place, "EG_1")
    held = claim(folder)
    assert held is not None
    assert is_free(folder) is False
    waiting = asyncio.create_task(RoomSalvage(place).of("EG_1", CRASHED))
    done, _ = await asyncio.wait([waiting], timeout=1)
    assert not done
    assert not (folder / COMPOSITE).exists()
    os.close(held)
    assert (await waiting).what == "finished"


async def test_a_salvage_has_a_deadline(place: SalvagePlace) -> None:
    folder = parts_of(place, "EG_1")
    assert (await RoomSalvage(replace(place, longest_s=0.01)).of("EG_1", CRASHED)).what == "failed"
    assert (folder / MIXED).exists()
