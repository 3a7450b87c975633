"""Who waits, is let in, or is sent away; over both stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from telephony.errors import NotFound, RoomsUnavailable
from tests.rig.room_desk import OURS, T0, World
from video_rooms.core.room import Presence, Role, Status
from video_rooms.fakes import FakeRoomServer

pytestmark = pytest.mark.contract


async def test_a_guest_waits_until_let_in(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    passed = await world.join(room, "ann")
    assert passed.waiting
    world.server.come_in(passed.token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.WAITING
    assert (await world.room(room)).status is Status.SCHEDULED
    with pytest.raises(PermissionError):
        world.server.publish(room.live_name, "ann", "audio", "microphone")
    assert not world.server.hears(room.live_name, "ann")
    host = await world.join(room, "host", Role.HOST)
    assert not host.waiting
    world.clock.advance(20)
    world.server.come_in(host.token)
    await world.reported()
    world.clock.advance(20)
    line = await world.desk.scheduled.admit(OURS, room.id, "ann")
    assert (line.presence, line.joined_at) == (Presence.JOINED, world.clock.wall())
    world.server.publish(room.live_name, "ann", "audio", "microphone")
    assert world.server.hears(room.live_name, "ann")
    await world.look()
    assert (await world.line(room, "ann")).presence is Presence.JOINED
    assert (await world.room(room)).started_at == T0 + timedelta(seconds=20)
    about_ann = [kind for kind, _, told in world.told.events if told.get("identity") == "ann"]
    assert about_ann == [f"room.participant.{what}" for what in ("waiting", "admitted", "joined")]
    with pytest.raises(NotFound):
        await world.desk.scheduled.admit(OURS, room.id, "ann")


async def test_who_was_let_in_comes_back_without_waiting(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    await world.come(room, "host", Role.HOST)
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    await world.desk.scheduled.admit(OURS, room.id, "ann")
    world.clock.advance(5)
    world.server.leave(room.live_name, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.JOINED
    assert world.server.hears(room.live_name, "ann")
    world.clock.advance(5)
    world.server.come_in(passed.token)
    await world.reported()
    assert world.server.hears(room.live_name, "ann")
    world.server.come_in((await world.join(room, "ann")).token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.WAITING


async def test_who_is_let_in_while_the_media_server_is_away_is_let_in_by_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await world.schedule(waiting_room=True)
    await world.come(room, "ann")

    async def away(*_: object, **__: object) -> bool:
        raise RoomsUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(FakeRoomServer, "update", away)
        with pytest.raises(RoomsUnavailable):
            await world.desk.scheduled.admit(OURS, room.id, "ann")
    assert not world.server.hears(room.live_name, "ann")
    await world.look()
    assert world.server.hears(room.live_name, "ann")


async def test_who_is_sent_away_waits_again_only_with_a_fresh_pass(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    world.clock.advance(1)
    await world.desk.scheduled.deny(OURS, room.id, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    assert world.there(room) == set()
    assert (await world.line(room, "ann")).why_left == "denied"
    await world.come(room, "ann")
    assert (await world.line(room, "ann")).presence is Presence.WAITING
    await world.desk.scheduled.kick(OURS, room.id, "ann")
    assert (await world.line(room, "ann")).why_left == "kicked"
    with pytest.raises(NotFound):
        await world.desk.scheduled.deny(OURS, room.id, "ann")


async def test_a_guest_who_gave_up_waiting_is_not_let_in(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    await world.come(room, "ann")
    world.server.leave(room.live_name, "ann")
    with pytest.raises(NotFound):
        await world.desk.scheduled.admit(OURS, room.id, "ann")
    assert (await world.line(room, "ann")).presence is Presence.LEFT
    assert (await world.room(room)).status is Status.SCHEDULED


async def test_who_waited_when_the_media_server_was_lost_waits_no_more(world: World) -> None:
    room, quiet = await world.schedule(waiting_room=True), await world.schedule(waiting_room=True)
    await world.come(room, "ann")
    await world.come(quiet, "bob")
    world.clock.advance(10)
    world.server.leave(quiet.live_name, "bob")
    world.server.take()
    await world.look()
    assert (await world.line(quiet, "bob")).presence is Presence.LEFT
    world.server.crash()
    await world.look()
    assert (await world.line(room, "ann")).presence is Presence.LEFT
    assert (await world.room(room)).status is Status.SCHEDULED
    await world.come(room, "ann")
    assert (await world.line(room, "ann")).presence is Presence.WAITING


async def test_a_room_that_cannot_be_compared_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await world.schedule(), await world.schedule()
    for room in (first, second):
        await world.come(room, "ann")
    people = FakeRoomServer.people

    async def broken(self: FakeRoomServer, name: str) -> object:
        if name == first.live_name:
            raise ValueError("nonsense")
        return await people(self, name)

    monkeypatch.setattr(FakeRoomServer, "people", broken)
    world.server.leave(second.live_name, "ann")
    world.clock.advance(5)
    await world.look()
    assert await world.present(second) == set()
    assert await world.present(first) == {"ann"}
    assert world.desk.reconciler.tally["broken"] == 1


async def test_telephones_in_the_lobby_are_let_in_by_their_own_desk(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    world.phones.outside.add((room.id, "phone_1"))
    await world.come(room, "phone_2", Role.PHONE)
    assert (await world.line(room, "phone_2")).presence is Presence.JOINED
    line = replace(await world.line(room, "phone_2"), identity="phone_1", presence=Presence.WAITING, sid="")
    await world.people.put(line)
    await world.look()
    assert (await world.line(room, "phone_1")).presence is Presence.WAITING
    await world.desk.scheduled.admit(OURS, room.id, "phone_1")
    await world.desk.scheduled.deny(OURS, room.id, "phone_1")
    assert world.phones.orders[-2:] == [("admit", room.id, "phone_1"), ("deny", room.id, "phone_1")]
