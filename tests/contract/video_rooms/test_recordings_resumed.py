"""Whose recording goes on by itself: after a recorder's death, and after our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.rig.room_desk import OURS, T0, World, opened_world
from video_rooms.core.room import Recurrence, Room, Status
from video_rooms.fakes_around import FakeRecorder

pytestmark = pytest.mark.contract

URL = "https://files.example/1"


@pytest.fixture(params=["fakes", "sql"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with opened_world(request.param) as opened:
        yield opened


async def recorded_room(world: World, *, by_hand: bool = False) -> Room:
    room = await world.schedule(recording_enabled=not by_hand)
    await world.come(room, "ann")
    if by_hand:
        await world.desk.scheduled.start_recording(OURS, room.id)
    assert world.recorder.rooms == {room.id: "EG_1"}
    return room


async def test_an_incomplete_recording_is_finished_and_says_so(world: World) -> None:
    room = await recorded_room(world)
    await world.desk.recordings.recorded(OURS, room.id, "EG_1", url=URL, failed="crashed")
    told = world.told.last("room.recording.finished")
    assert (told["recording_url"], told["incomplete"], told["why"]) == (URL, True, "crashed")
    assert (await world.room(room)).recording_url == URL
    assert "room.recording.failed" not in world.told.kinds()
    await world.desk.recordings.recorded(OURS, room.id, "EG_2", url=URL)
    whole = world.told.last("room.recording.finished")
    assert "incomplete" not in whole
    assert "why" not in whole


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_dead_recorders_place_is_taken_while_the_room_is_live(world: World, by_hand: bool) -> None:
    room = await recorded_room(world, by_hand=by_hand)
    world.recorder.dies(room)
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {room.id: "EG_2"}
    assert world.told.kinds().count("room.recording.started") == 2
    assert world.told.last("room.recording.started")["recording_id"] == "EG_2"


async def test_recorders_that_keep_dying_are_given_time_and_then_up(world: World) -> None:
    room = await recorded_room(world)
    world.recorder.dies(room, 3.0)
    await world.desk.recordings.settle()
    world.recorder.dies(room, 3.0)
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {}, "the second one's place is taken some seconds later; we end before"
    for _ in range(2):
        world.recorder.rooms[room.id] = "EG_9"
        world.recorder.dies(room, 3.0)
        await world.desk.recordings.settle()
    assert world.desk.recordings._beginning == {}
    world.recorder.rooms[room.id] = "EG_9"
    world.recorder.dies(room, 3600.0)
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {room.id: "EG_3"}


async def test_nobody_takes_the_place_where_the_recording_was_ended_in_between(world: World) -> None:
    room = await recorded_room(world)
    world.recorder.dies(room)
    await world.desk.scheduled.stop_recording(OURS, room.id)
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {}


async def test_nobody_takes_the_place_in_a_room_that_is_over(world: World) -> None:
    room = await recorded_room(world)
    await world.desk.scheduled.end(OURS, room.id)
    world.recorder.rooms[room.id] = "EG_1"
    world.recorder.dies(room)
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {}


async def test_a_series_is_recorded_further_after_our_own_start(world: World) -> None:
    """The address of last week's recording decides nothing about this week's."""
    room = await world.schedule(
        scheduled_at=T0, recurrence=Recurrence("FREQ=DAILY;COUNT=3", "Europe/Berlin"), recording_enabled=True
    )
    await world.come(room, "ann")
    await world.leave(room, "ann")
    await world.all_gone()
    await world.desk.recordings.recorded(OURS, room.id, "EG_1", url=URL)
    world.clock.advance(timedelta(days=1).total_seconds() - 61)
    world.recorder.ended.clear()
    await world.come(room, "ann")
    assert (await world.room(room)).status is Status.LIVE
    assert (await world.room(room)).recording_url == URL
    world.recorder.rooms.clear()
    await world.desk.reconciler.resume()
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {room.id: "EG_3"}


async def test_a_recording_that_was_ended_by_hand_stays_ended_after_our_own_start(world: World) -> None:
    room = await recorded_room(world)
    await world.desk.scheduled.stop_recording(OURS, room.id)
    await world.desk.reconciler.resume()
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {}


async def test_a_place_that_waits_to_be_taken_holds_up_no_end(world: World) -> None:
    room = await recorded_room(world)
    assert isinstance(world.recorder, FakeRecorder)
    for _ in range(2):
        world.recorder.rooms[room.id] = "EG_1"
        world.recorder.dies(room, 3.0)
        await asyncio.sleep(0)
    async with asyncio.timeout(4):
        await world.desk.recordings.settle()
