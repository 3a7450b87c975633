"""Plans that change, and rooms that are recorded; over both stores."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from telephony.errors import Conflict, InvalidInput, NotFound, RoomsUnavailable
from tests.rig.room_desk import OURS, T0, World
from video_rooms.core.room import Recurrence, Room, Status
from video_rooms.core.wishes import RoomChange
from video_rooms.fakes_around import FakeRecorder
from video_rooms.lives import Lives

pytestmark = pytest.mark.contract

HOUR = timedelta(hours=1)


# ---------------------------------------------------------------- recording


async def test_a_room_is_recorded_from_its_first_person_on(world: World) -> None:
    room = await world.schedule(recording_enabled=True)
    with pytest.raises(Conflict):
        await world.desk.scheduled.start_recording(OURS, room.id)
    assert world.recorder.rooms == {}
    await world.come(room, "ann")
    assert world.recorder.rooms == {room.id: "EG_1"}
    assert await world.desk.scheduled.start_recording(OURS, room.id) == "EG_1"
    assert world.told.kinds().count("room.recording.started") == 1
    await world.desk.scheduled.stop_recording(OURS, room.id)
    await world.desk.scheduled.stop_recording(OURS, room.id)
    assert world.recorder.stopped == ["EG_1"]
    await world.desk.recordings.recorded(OURS, room.id, "EG_1", url="https://files.example/1")
    assert (await world.room(room)).recording_url == "https://files.example/1"
    assert world.told.last("room.recording.finished")["recording_url"] == "https://files.example/1"
    assert await world.desk.scheduled.start_recording(OURS, room.id) == "EG_2"


async def test_whoever_sees_the_first_person_on_the_roster_can_record_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    began = Lives.began

    async def asked_just_before(self: Lives, room: Room, sid: str, at: datetime) -> Room:
        assert await world.present(room) == {"ann"}
        started.append(await world.desk.scheduled.start_recording(OURS, room.id))
        return await began(self, room, sid, at)

    room = await world.schedule()
    with pytest.raises(Conflict):
        await world.desk.scheduled.start_recording(OURS, room.id)
    monkeypatch.setattr(Lives, "began", asked_just_before)
    await world.come(room, "ann")
    assert (await world.room(room)).status is Status.LIVE
    assert started == ["EG_1"]
    assert world.recorder.rooms == {room.id: "EG_1"}
    await world.leave(room, "ann")
    with pytest.raises(Conflict):
        await world.desk.scheduled.start_recording(OURS, room.id)


async def test_a_recording_that_cannot_be_made_is_told(world: World) -> None:
    world.recorder.away = True
    room = await world.schedule(recording_enabled=True)
    await world.come(room, "ann")
    assert (await world.room(room)).status is Status.LIVE
    assert world.told.last("room.recording.failed")["why"] == "no recorder"
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.start_recording(OURS, room.id)
    await world.desk.recordings.recorded(OURS, room.id, "EG_9", url=None, failed="disk full")
    assert world.told.last("room.recording.failed")["why"] == "disk full"
    assert (await world.room(room)).recording_url is None


async def test_a_recording_that_is_ended_before_it_began_does_not_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, begin = asyncio.Event(), FakeRecorder.start

    async def slowly(self: FakeRecorder, room: Room) -> str:
        await slow.wait()
        return await begin(self, room)

    monkeypatch.setattr(FakeRecorder, "start", slowly)
    room = await world.schedule(recording_enabled=True)
    world.server.come_in((await world.join(room, "ann")).token)
    for delivery in world.server.take():
        await world.desk.hook.heard(delivery.body, delivery.authorization)
    await asyncio.sleep(0)
    await world.desk.scheduled.stop_recording(OURS, room.id)
    slow.set()
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {}
    assert world.recorder.stopped == ["EG_1"]
    assert await world.desk.scheduled.start_recording(OURS, room.id) == "EG_2"


async def test_a_room_that_is_live_when_we_start_is_recorded(world: World) -> None:
    room = await world.schedule(recording_enabled=True)
    await world.come(room, "ann")
    world.recorder.rooms.clear()
    await world.desk.reconciler.resume()
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {room.id: "EG_2"}


# ---------------------------------------------------------------- the plan


async def test_a_plan_changes_and_its_file_says_so(world: World) -> None:
    room = await world.schedule(
        scheduled_at=T0 + HOUR, recurrence=Recurrence("FREQ=DAILY;COUNT=3", "Europe/Berlin")
    )
    scheduled = world.desk.scheduled
    day = timedelta(days=1)
    assert (await scheduled.skip(OURS, room.id, T0 + HOUR + day)).sequence == 1
    moved = await scheduled.move(OURS, room.id, T0 + HOUR + 2 * day, T0 + 3 * day)
    assert moved.recurrence is not None
    assert (moved.sequence, moved.recurrence.moved) == (2, ((T0 + HOUR + 2 * day, T0 + 3 * day),))
    assert "SEQUENCE:2" in await scheduled.calendar(OURS, room.id)
    with pytest.raises(NotFound):
        await scheduled.skip(OURS, room.id, T0)
    later = await scheduled.change(OURS, room.id, RoomChange(scheduled_at=T0 + 2 * HOUR, duration_minutes=30))
    assert (later.sequence, later.duration_minutes) == (3, 30)
    assert later.recurrence == Recurrence("FREQ=DAILY;COUNT=3", "Europe/Berlin")
    same = await scheduled.change(OURS, room.id, RoomChange())
    assert same.sequence == 3
    with pytest.raises(InvalidInput):
        await scheduled.change(OURS, room.id, RoomChange(recurrence=Recurrence("FREQ=HOURLY", "UTC")))
    await scheduled.end(OURS, room.id)
    with pytest.raises(Conflict):
        await scheduled.move(OURS, room.id, T0 + 2 * HOUR, T0 + 3 * HOUR)


async def test_a_series_is_stopped_and_takes_place_once_more(world: World) -> None:
    series = Recurrence("FREQ=DAILY;COUNT=5", "Europe/Berlin")
    room = await world.schedule(scheduled_at=T0 + HOUR, recurrence=series)
    world.clock.advance(26 * 3600)
    stopped = await world.desk.scheduled.change(OURS, room.id, RoomChange(once=True, name="The last one"))
    assert (stopped.scheduled_at, stopped.recurrence, stopped.sequence) == (T0 + 49 * HOUR, None, 1)
    assert world.told.last("room.scheduled")["why"] == "moved"
    text = await world.desk.scheduled.calendar(OURS, room.id)
    assert "SUMMARY:The last one" in text
    assert "SEQUENCE:1" in text
    assert "RRULE" not in text


async def test_how_many_may_come_changes_while_nobody_is_there(world: World) -> None:
    room = await world.schedule(max_participants=1)
    first = await world.join(room, "ann")
    bob = await world.join(room, "bob")
    bigger = await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=2))
    assert (bigger.max_participants, bigger.sequence) == (2, 1)
    assert world.told.last("room.scheduled")["why"] == "changed"
    assert [one.max_people for one in await world.server.rooms([room.live_name])] == [2]
    for passed in (first, bob):
        world.server.come_in(passed.token)
    with pytest.raises(Conflict):  # of their coming nothing is reported yet
        await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=3))
    await world.reported()
    assert (await world.room(room)).status is Status.LIVE
    await world.leave(room, "ann")
    await world.leave(room, "bob")
    for few in (1, 3):
        with pytest.raises(Conflict):
            await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=few, name="x"))
    kept = await world.room(room)
    assert (kept.max_participants, kept.name, kept.status) == (2, "Onboarding", Status.LIVE)


async def test_how_many_may_come_stays_where_the_media_server_cannot_be_told(world: World) -> None:
    room = await world.schedule()
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=3))
    renamed = await world.desk.scheduled.change(OURS, room.id, RoomChange(name="Renamed", waiting_room=True))
    assert (renamed.max_participants, renamed.name, renamed.waiting_room) == (10, "Renamed", True)
    world.server.away = False
    assert (await world.join(room, "ann")).waiting


async def test_a_live_room_that_is_to_be_recorded_is_from_then_on(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    for wanted in (True, False):
        await world.desk.scheduled.change(OURS, room.id, RoomChange(recording_enabled=wanted))
        await world.desk.recordings.settle()
        assert world.recorder.rooms == {room.id: "EG_1"}
    assert not (await world.room(room)).recording_enabled


async def test_a_series_needs_a_start(world: World) -> None:
    with pytest.raises(InvalidInput):
        await world.schedule(recurrence=Recurrence("FREQ=DAILY", "UTC"))
    assert world.server._open == {}
