"""The looks at the media server that go on by themselves: what they find, and what does not stop them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from telephony.errors import RoomsUnavailable
from tests.rig.room_desk import OURS, T0, Clock, World
from tests.unit.dialplan.virtual_time import VirtualLoop, in_virtual_time
from video_rooms.core.room import Presence, Recurrence, Role, Room, Status
from video_rooms.fakes import FakeRoomServer

pytestmark = pytest.mark.unit


class LoopClock(Clock):
    """The event loop's time."""

    def wall(self) -> datetime:
        return T0 + timedelta(seconds=self.mono())

    def mono(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def looking() -> AsyncIterator[World]:
    world = World(LoopClock())
    world.desk.start()
    try:
        yield world
    finally:
        await world.desk.stop()


async def come(world: World, room: Room, identity: str) -> str:
    """Connect; nothing is reported."""
    token = (await world.join(room, identity)).token
    world.server.come_in(token)
    world.server.take()
    return token


@in_virtual_time
async def test_whoever_comes_unreported_is_found_within_seconds() -> None:
    async with looking() as world:
        room = await world.schedule()
        await come(world, room, "ann")
        await asyncio.sleep(3.5)
        assert await world.present(room) == {"ann"}
        assert (await world.room(room)).status is Status.LIVE
        world.server.leave(room.live_name, "ann")
        await asyncio.sleep(3.5)
        assert (await world.line(room, "ann")).why_left == "lost"


@in_virtual_time
async def test_who_was_put_out_is_out_again_within_a_second_though_nothing_is_reported() -> None:
    async with looking() as world:
        room = await world.schedule()
        token = await come(world, room, "ann")
        await asyncio.sleep(3.5)
        await world.desk.scheduled.kick(OURS, room.id, "ann")
        for _ in range(20):
            world.server.come_in(token)
            await asyncio.sleep(0.6)
            assert world.there(room) == set()


@in_virtual_time
async def test_who_is_put_out_while_the_media_server_is_away_is_out_within_a_second_of_its_return() -> None:
    async with looking() as world:
        room = await world.schedule()
        token = await come(world, room, "ann")
        await asyncio.sleep(3.5)
        world.server.away = True
        with pytest.raises(RoomsUnavailable):
            await world.desk.scheduled.kick(OURS, room.id, "ann")
        await asyncio.sleep(60)
        assert world.there(room) == {"ann"}
        world.server.away = False
        await asyncio.sleep(0.6)
        assert world.there(room) == set()
        world.server.come_in(token)
        await asyncio.sleep(0.6)
        assert world.there(room) == set()


@in_virtual_time
async def test_looks_go_on_after_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    async with looking() as world:
        room = await world.schedule(recording_enabled=True)
        world.server.away = True
        await asyncio.sleep(10)
        assert world.desk.reconciler.tally["unanswered"] >= 3
        world.server.away = False
        with monkeypatch.context() as broken:

            async def defect(*_: object) -> None:
                raise ValueError("defect")

            broken.setattr(FakeRoomServer, "rooms", defect)
            await asyncio.sleep(4)
        assert world.desk.reconciler.tally["broken"] >= 1
        await come(world, room, "ann")
        await asyncio.sleep(3.5)
        assert await world.present(room) == {"ann"}


@in_virtual_time
async def test_a_room_to_which_nobody_came_ends_by_itself_with_another_broken_beside_it() -> None:
    async with looking() as world:
        broken = await world.schedule(scheduled_at=T0)
        world.rooms.rows[broken.id] = replace(broken, recurrence=Recurrence("FREQ=NEVER", "UTC"))
        room = await world.schedule(scheduled_at=T0)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.advance(25 * 3600 - 10)
        await asyncio.sleep(4)
        assert (await world.room(room)).status is Status.SCHEDULED
        await asyncio.sleep(70)
        assert ((await world.room(room)).status, world.told.last("room.ended")["why"]) == (
            Status.ENDED,
            "time_over",
        )


@in_virtual_time
async def test_what_was_live_before_our_start_is_taken_up() -> None:
    before = World(LoopClock())
    room = await before.schedule(recording_enabled=True)
    await come(before, room, "ann")
    await before.look()
    ended = await before.schedule()
    await come(before, ended, "bob")
    before.server.away = True
    with pytest.raises(Exception, match="away"):
        await before.desk.scheduled.end(OURS, ended.id)
    before.server.away = False
    before.recorder.rooms.clear()
    before.desk.start()
    await asyncio.sleep(0.1)
    assert before.recorder.rooms == {room.id: "EG_2"}
    assert before.there(ended) == set()
    assert before.there(room) == {"ann"}
    await before.desk.stop()


@in_virtual_time
async def test_bans_and_reports_are_forgotten_once_no_pass_can_be_so_old() -> None:
    async with looking() as world:
        room = await world.schedule()
        token = await come(world, room, "ann")
        await world.desk.scheduled.kick(OURS, room.id, "ann")
        await world.people.first_time("EV_x", world.clock.wall())
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.advance(23 * 3600)
        await asyncio.sleep(4)
        assert world.people.bans
        assert not await world.people.first_time("EV_x", world.clock.wall())
        loop.advance(3 * 3600)
        await asyncio.sleep(4)
        assert not world.people.bans
        assert await world.people.first_time("EV_x", world.clock.wall())
        assert world.server.grant_of(token).expires_at < world.clock.wall()


@in_virtual_time
async def test_a_telephone_that_waits_outside_stays_on_the_roster_while_the_media_servers_room_goes() -> None:
    async with looking() as world:
        room = await world.schedule(waiting_room=True)
        await come(world, room, "ann")
        await asyncio.sleep(4)
        line = await world.line(room, "ann")
        assert line.presence is Presence.WAITING
        outside = replace(line, identity="phone_1", role=Role.PHONE, sid="")
        await world.people.put(outside)
        world.server.leave(room.live_name, "ann")
        await asyncio.sleep(70)
        world.server.end_idle()
        await world.reported()
        assert (await world.line(room, "ann")).presence is Presence.LEFT
        assert await world.line(room, "phone_1") == outside
        assert (await world.room(room)).status is Status.SCHEDULED
