"""Rooms recorded by processes of ours, at a real media server: what becomes of each is told, and is true."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.clocks import SystemClock
from gateway.room_chances import RoomChances
from gateway.room_recordings import RecorderParts, RoomRecordings
from gateway.runtime.programs import ffmpeg_program
from gateway.trial.audio import RATE, tone_seconds
from telephony.errors import RoomsUnavailable
from tests.contract.video_rooms.worlds import address_of
from tests.rig.livekit import LiveKitRig
from tests.rig.visitors import visitor
from tests.unit.video_rooms.rooms import a_room
from video_rooms.core.live import EgressNews
from video_rooms.core.room import Room
from video_rooms.core.tape import RoomTape, TapeState
from video_rooms.livekit.control import LiveKitRooms

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

ALICE_HZ, BOB_HZ = 440.0, 1000.0


@dataclass
class Kept:
    """Fits ``Tapes``."""

    tapes: dict[str, RoomTape] = field(default_factory=dict)

    async def save(self, tape: RoomTape) -> None:
        self.tapes[tape.id] = tape

    async def unfinished(self) -> tuple[RoomTape, ...]:
        return tuple(tape for tape in self.tapes.values() if not tape.state.final)


@dataclass
class Studio:
    """A recorder, and what it told."""

    livekit: LiveKitRig
    parts: RecorderParts
    kept: Kept
    recordings: RoomRecordings
    room: Room
    told: list[RoomTape] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, tape: RoomTape) -> None:
        self.told.append(tape)
        self.changed.set()

    async def outcome(self) -> RoomTape:
        async with asyncio.timeout(30):
            await self.changed.wait()
        return self.told[-1]

    def token(self, who: str) -> str:
        return self.livekit.token(self.room.live_name, who)

    def folder(self, tape_id: str) -> Path:
        return self.parts.folder / tape_id


@pytest.fixture
async def studio(livekit: LiveKitRig, tmp_path: Path) -> AsyncIterator[Studio]:
    chances, ids, kept = RoomChances(), itertools.count(1), Kept()
    server = LiveKitRooms(address_of(livekit), SystemClock())
    parts = RecorderParts(
        server=server,
        tapes=kept,
        folder=tmp_path / "recordings",
        ffmpeg=ffmpeg_program(),
        now=lambda: datetime.now(UTC),
        new_id=lambda: f"EG_{next(ids):026d}",
        pass_id=chances.pass_id,
        own_only=True,
        width=320,
        height=180,
        frames=10,
    )
    room = replace(a_room(), live_name=await livekit.create())
    made = Studio(livekit, parts, kept, RoomRecordings(parts), room)
    made.recordings.told = made.hear
    yield made
    await made.recordings.close()
    await server.close()


async def decoded(film: Path, *how: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(ffmpeg_program(), "-loglevel", "error", "-i", str(film), *how, "-"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out


async def sound_of(film: Path) -> bytes:
    return await decoded(film, "-f", "s16le", "-ar", str(RATE), "-ac", "1")


async def test_faces_voices_and_every_speaker_apart(studio: Studio) -> None:
    async with (
        visitor(studio.livekit.url, studio.token("alice")) as alice,
        visitor(studio.livekit.url, studio.token("bob")) as bob,
    ):
        await alice.speak(ALICE_HZ)
        await alice.show(220, width=320, height=180)
        await alice.sees("bob")
        tape_id = await studio.recordings.start(studio.room)
        assert studio.recordings.running(studio.room.id) == tape_id
        assert studio.kept.tapes[tape_id].state is TapeState.RECORDING
        await alice.until(lambda: alice.room.is_recording, 5, "seeing that it is recorded")
        assert [*alice.others] == ["bob"], "the recorder is seen by nobody"
        await asyncio.sleep(0.7)  # bob comes in later, and his file says so
        await bob.speak(BOB_HZ)
        await alice.hears("bob", BOB_HZ)
        await asyncio.sleep(1.5)  # what is recorded takes as long as it takes
        assert await studio.recordings.stop(studio.room.id)
        tape = await studio.outcome()
    assert (tape.state, tape.why, tape.speakers) == (TapeState.READY, "", 2)
    film = studio.folder(tape_id) / "composite.mp4"
    assert tape.size == film.stat().st_size
    sound = await sound_of(film)
    assert abs(len(sound) / 2 / RATE * 1000 - tape.duration_ms) <= 150
    assert tone_seconds(sound, ALICE_HZ, share=0.2) >= 1.0
    assert tone_seconds(sound, BOB_HZ, share=0.2) >= 1.0
    grey = await decoded(
        film, "-f", "rawvideo", "-pix_fmt", "gray", "-vf", "select=eq(n\\,12)", "-frames:v", "1"
    )
    assert len(grey) == 320 * 180
    middle = grey[320 * 90 :][:320]
    assert sum(shade > 200 for shade in middle) > 100, "alice's camera is in the picture"
    timeline = json.loads((studio.folder(tape_id) / "timeline.json").read_text())
    by_name = {one["identity"]: one for one in timeline["speakers"]}
    assert by_name["bob"]["started_ms"] > by_name["alice"]["started_ms"]
    alone = await sound_of(studio.folder(tape_id) / by_name["bob"]["file"])
    assert tone_seconds(alone, BOB_HZ) >= 1.0
    assert tone_seconds(alone, ALICE_HZ, share=0.2) == 0.0
    assert not list(studio.folder(tape_id).glob("*.part*"))


async def test_two_who_ask_at_once_get_one_recording(studio: Studio) -> None:
    first, second = await asyncio.gather(*(studio.recordings.start(studio.room) for _ in range(2)))
    assert first == second
    assert len(studio.kept.tapes) == 1


async def test_the_end_of_the_room_is_the_end_of_the_recording(studio: Studio) -> None:
    async with visitor(studio.livekit.url, studio.token("alice")) as alice:
        await alice.speak(ALICE_HZ)
        await studio.recordings.start(studio.room)
        await asyncio.sleep(1.0)
        await studio.livekit.delete(studio.room.live_name)
        tape = await studio.outcome()
    assert tape.state is TapeState.READY
    assert studio.recordings.running(studio.room.id) is None
    assert not await studio.recordings.stop(studio.room.id)


def recorder_of(studio: Studio) -> int:
    process = studio.recordings._running[studio.room.id].process
    assert process is not None
    return process.pid


async def test_a_recorder_that_is_killed_has_failed(studio: Studio) -> None:
    await studio.recordings.start(studio.room)
    os.kill(recorder_of(studio), signal.SIGKILL)
    tape = await studio.outcome()
    assert (tape.state, tape.why) == (TapeState.FAILED, "crashed")
    again = await studio.recordings.start(studio.room)
    assert again != tape.id, "the room can be recorded anew"


async def test_an_encoder_that_dies_is_a_failure(studio: Studio) -> None:
    await studio.recordings.start(studio.room)
    mother = recorder_of(studio)
    for encoder in _children_of(mother):
        os.kill(encoder, signal.SIGKILL)
    tape = await studio.outcome()
    assert (tape.state, tape.why) == (TapeState.FAILED, "encoder")


def _children_of(mother: int) -> list[int]:
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [int(entry.name) for entry in entries if _mother_of(entry) == mother]


def _mother_of(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.mark.parametrize(
    "broken",
    [
        lambda parts: replace(parts, ffmpeg=""),
        lambda parts: replace(parts, ffmpeg="/nowhere/ffmpeg"),
        lambda parts: replace(parts, folder=Path("/proc/none")),
    ],
    ids=["no-encoder", "a-wrong-encoder", "no-disk"],
)
async def test_what_cannot_begin_is_refused(
    studio: Studio, broken: Callable[[RecorderParts], RecorderParts]
) -> None:
    recordings = RoomRecordings(broken(studio.parts))
    with pytest.raises(RoomsUnavailable):
        await recordings.start(studio.room)
    assert recordings.running(studio.room.id) is None
    assert studio.kept.tapes == {}
    await recordings.close()


async def test_a_room_that_is_not_there_is_not_recorded(studio: Studio) -> None:
    with pytest.raises(RoomsUnavailable):
        await studio.recordings.start(replace(studio.room, live_name="never-made"))


async def test_our_own_end_finishes_what_is_recorded(studio: Studio) -> None:
    """The gateway stops in the middle: the file is whole, and what becomes of it is kept."""
    async with visitor(studio.livekit.url, studio.token("alice")) as alice:
        await alice.speak(ALICE_HZ)
        tape_id = await studio.recordings.start(studio.room)
        await asyncio.sleep(1.0)
        await studio.recordings.close()
    assert studio.kept.tapes[tape_id].state is TapeState.READY


async def test_what_another_life_left_behind_is_taken_up(studio: Studio) -> None:
    """The gateway dies: its recorder sees its input end, finishes the file, and the next life finds it."""
    async with visitor(studio.livekit.url, studio.token("alice")) as alice:
        await alice.speak(ALICE_HZ)
        tape_id = await studio.recordings.start(studio.room)
        await asyncio.sleep(1.0)
        begun = studio.recordings._running.pop(studio.room.id)
        assert begun.watch is not None
        begun.watch.cancel()
        assert begun.process is not None
        assert begun.process.stdin is not None
        begun.process.stdin.close()
        next_life = RoomRecordings(studio.parts)
        next_life.told = studio.hear
        await next_life.take_up()
        tape = await studio.outcome()
        await next_life.close()
    assert (tape.id, tape.state) == (tape_id, TapeState.READY)
    assert (studio.folder(tape_id) / "composite.mp4").exists()


async def test_the_media_servers_own_recorder_is_preferred_where_it_answers(studio: Studio) -> None:
    class WithEgress:
        def __init__(self) -> None:
            self.stopped: list[str] = []

        async def start_recording(self, name: str, file: str) -> str | None:
            return "EG_theirs"

        async def stop_recording(self, egress_id: str) -> bool:
            self.stopped.append(egress_id)
            return True

    server = WithEgress()
    recordings = RoomRecordings(replace(studio.parts, server=server, own_only=False))  # type: ignore[arg-type]
    recordings.told = studio.hear
    assert await recordings.start(studio.room) == "EG_theirs"
    assert await recordings.stop(studio.room.id)
    assert server.stopped == ["EG_theirs"]
    recordings.heard(EgressNews("EG_theirs", studio.room.live_name, done=False))
    recordings.heard(EgressNews("EG_others", studio.room.live_name, done=True))
    where = "https://bucket.example/room.mp4"
    recordings.heard(EgressNews("EG_theirs", studio.room.live_name, done=True, location=where, size=7))
    tape = await studio.outcome()
    assert (tape.id, tape.state, tape.location, tape.size) == ("EG_theirs", TapeState.READY, where, 7)
    await recordings.close()
