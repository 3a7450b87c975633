"""Rooms recorded by processes of ours, at a real media server: what becomes of each is told, and is true."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import room_recordings
from gateway.room_recordings import RecorderParts, RoomRecordings
from gateway.trial.audio import RATE, tone_seconds
from telephony.errors import RoomsUnavailable
from tests.contract.video_rooms import studio as studios
from tests.contract.video_rooms.studio import (
    ALICE_HZ,
    BOB_HZ,
    FIRST,
    SECOND,
    Studio,
    children_of,
    recorder_of,
)
from tests.rig.films import decoded, sound_of
from tests.rig.visitors import visitor
from video_rooms.core.live import EgressNews
from video_rooms.core.tape import INTERRUPTED, TapeState

studio = studios.studio
pytestmark = [pytest.mark.contract, pytest.mark.timeout(180)]


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
        await alice.until(lambda: alice.room.is_recording, what="seeing that it is recorded")
        assert [*alice.others] == ["bob"], "the recorder is seen by nobody"
        await studio.records(tape_id, ALICE_HZ, of=FIRST)
        await bob.speak(BOB_HZ)  # later, and his file says so
        await studio.records(tape_id, BOB_HZ, 1.5, of=SECOND)
        await studio.records(tape_id, ALICE_HZ, 1.5)
        assert await studio.recordings.stop(studio.room.id)
        tape = await studio.outcome()
    assert (tape.state, tape.why, tape.speakers) == (TapeState.READY, "", 2)
    film = studio.folder(tape_id) / "composite.mp4"
    assert tape.size == film.stat().st_size
    sound = await sound_of(film)
    assert abs(len(sound) / 2 / RATE * 1000 - tape.duration_ms) <= 150
    assert tone_seconds(sound, ALICE_HZ, share=0.2) >= 1.0
    assert tone_seconds(sound, BOB_HZ, share=0.2) >= 1.0
    grey = await decoded(film, "-f", "rawvideo", "-pix_fmt", "gray")
    assert len(grey) % (320 * 180) == 0
    middle = grey[-320 * 90 :][:320]  # of the last picture
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
        await studio.records(await studio.recordings.start(studio.room), ALICE_HZ)
        await studio.livekit.delete(studio.room.live_name)
        tape = await studio.outcome()
    assert tape.state is TapeState.READY
    assert studio.recordings.running(studio.room.id) is None
    assert not await studio.recordings.stop(studio.room.id)


async def test_what_was_heard_is_kept_where_the_encoder_dies(studio: Studio) -> None:
    async with visitor(studio.livekit.url, studio.token("alice")) as alice:
        await alice.speak(ALICE_HZ)
        tape_id = await studio.recordings.start(studio.room)
        await studio.records(tape_id, ALICE_HZ, of=FIRST)
        await studio.records(tape_id, ALICE_HZ)
        for encoder in children_of(recorder_of(studio)):
            os.kill(encoder, signal.SIGKILL)
        tape = await studio.outcome()
    assert (tape.state, tape.why, tape.incomplete) == (TapeState.READY, "encoder", True)
    sound = await sound_of(studio.folder(tape_id) / "composite.mp4")
    assert tone_seconds(sound, ALICE_HZ) >= 0.5


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
    assert not [*studio.parts.folder.glob("*")], "nothing is left behind"
    await recordings.close()


async def test_a_room_that_is_not_there_is_not_recorded(studio: Studio) -> None:
    with pytest.raises(RoomsUnavailable):
        await studio.recordings.start(replace(studio.room, live_name="never-made"))


async def test_our_own_end_finishes_what_is_recorded(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway stops in the middle: the file is whole, and what becomes of it is kept."""
    monkeypatch.setattr(room_recordings, "_STOP_S", 60.0)  # what needs longer, the next life takes up
    async with visitor(studio.livekit.url, studio.token("alice")) as alice:
        await alice.speak(ALICE_HZ)
        tape_id = await studio.recordings.start(studio.room)
        await studio.records(tape_id, ALICE_HZ)
        await studio.recordings.close()
    kept = studio.kept.tapes[tape_id]
    assert (kept.state, kept.why) == (TapeState.READY, INTERRUPTED), (
        "the room goes on, its recording does not"
    )


async def test_what_another_life_left_behind_is_taken_up(studio: Studio) -> None:
    """The gateway dies: its recorder sees its input end, finishes the file, and the next life finds it."""
    async with visitor(studio.livekit.url, studio.token("alice")) as alice:
        await alice.speak(ALICE_HZ)
        tape_id = await studio.recordings.start(studio.room)
        await studio.records(tape_id, ALICE_HZ)
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
    assert (tape.id, tape.state, tape.why) == (tape_id, TapeState.READY, INTERRUPTED)
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
