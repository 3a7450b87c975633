"""Telephones among the services of rooms: one media server, one roster and one story for all. The media
server and the carrier are those in memory; what the server reports is taken when the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from telephony.errors import Conflict, NotFound
from tests.rig.room_desk import OURS, World
from tests.unit.video_rooms.phone_stage import CALLER, LINE, Calls, Tries, Voice
from video_rooms.core.leg import Join
from video_rooms.core.room import Person, Presence, Role, Room, Status
from video_rooms.core.wishes import CallOut
from video_rooms.core.words_spoken import ENGLISH, Words
from video_rooms.desk import Around, furnish
from video_rooms.fakes import TurnedAway
from video_rooms.fakes_legs import FakeLeg, FakeLegCarrier
from video_rooms.guest import PhoneCall, PhoneSurroundings
from video_rooms.phone_sounds import PhoneSounds
from video_rooms.phones import LaterEntrance, PhoneDesk
from video_rooms.pins import RoomPins

pytestmark = pytest.mark.contract


@dataclass
class Line:
    """A dial-in line before the services of rooms. The carrier's legs are people at the media server."""

    world: World
    carrier: FakeLegCarrier
    phones: PhoneDesk
    calls: Calls = field(default_factory=Calls)
    numbers: int = 0

    async def dials_in(self, pin: str) -> tuple[str, FakeLeg]:
        """A telephone calls and types a meeting number."""
        self.numbers += 1
        call_id = f"call_{self.numbers}"
        call = PhoneCall(call_id, OURS, "", "+44 •••• 0123", 3600.0, CALLER, LINE)
        await self.phones.dial_in(call, 30.0)
        self.carrier.arrives(call_id)
        await self.rest()
        self.carrier.presses(call_id, pin)
        await self.rest()
        return call_id, self.carrier.legs[call_id]

    async def rest(self) -> None:
        """What needs no time happens, and the media server's reports are taken."""
        for _ in range(2):
            for _ in range(60):
                await asyncio.sleep(0)
            await self.world.reported()

    def said(self, call_id: str) -> list[str]:
        return [path.stem for path in self.carrier.legs[call_id].played[-1].paths]

    async def says(self, call_id: str, words: list[str]) -> None:
        """Once it is time, this is what is being said."""
        async with asyncio.timeout(20):
            while self.said(call_id) != words:  # noqa: ASYNC110  # it is told to nobody
                await asyncio.sleep(0.01)

    async def telephone(self, room: Room) -> Person:
        (line,) = [one for one in await self.world.people.of(room.id) if one.role is Role.PHONE]
        return line


@pytest_asyncio.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    world, door, calls = World(), LaterEntrance(), Calls()

    def room_of(join: Join) -> str:
        """The carrier's participant comes in at the media server."""
        grant = world.server.grant_of(join.token)
        try:
            world.server.come_in(join.token)
        except TurnedAway as turned:
            carrier.refused = turned.why if turned.why != "expired" else "refused"
        return grant.room

    carrier = FakeLegCarrier(room_of=room_of)
    sounds = PhoneSounds(Voice(tmp_path), tmp_path)
    loop = asyncio.get_running_loop()
    around = PhoneSurroundings(
        carrier=carrier,
        pins=RoomPins(world.rooms, world.people, Tries(), world.clock.wall),
        entrance=door,
        people=world.people,
        announcer=world.told,
        sounds=sounds,
        calls=calls,
        now=loop.time,
        wall=world.clock.wall,
    )
    phones = PhoneDesk(around, world.rooms, world.chances.hexes)
    world.desk = furnish(
        Around(
            world.server,
            world.rooms,
            world.people,
            world.invites,
            world.recorder,
            phones,
            world.told,
            world.chances,
            world.clock,
        )
    )
    door.to = world.desk.scheduled
    sounds.make_tones()
    await sounds.speak_all()
    yield Line(world, carrier, phones, calls)
    await phones.close()


async def test_the_first_telephone_waits_for_the_host_and_both_are_in_one_room(line: Line) -> None:
    world = line.world
    room = await world.schedule()
    call_id, leg = await line.dials_in(room.pin)
    assert leg.room is None
    assert line.said(call_id) == [ENGLISH[Words.WAIT_FOR_HOST]]
    assert (await line.telephone(room)).presence is Presence.WAITING
    await world.come(room, "key_host", Role.HOST)
    await line.rest()
    seen = await line.telephone(room)
    assert seen.presence is Presence.JOINED
    assert seen.sid, "the media server has it, under the same line"
    assert seen.identity in world.there(await world.room(room))
    assert (await world.room(room)).status is Status.LIVE
    kinds = [kind for kind in world.told.kinds() if kind.startswith("room.participant")]
    assert sorted(kinds) == [
        "room.participant.admitted",
        "room.participant.joined",
        "room.participant.joined",
        "room.participant.waiting",
    ]


async def test_a_host_lets_in_and_sends_away(line: Line) -> None:
    world = line.world
    room = await world.schedule(waiting_room=True)
    await world.come(room, "key_host", Role.HOST)
    _, first = await line.dials_in(room.pin)
    waiting = await line.telephone(room)
    assert first.music
    await world.desk.scheduled.admit(OURS, room.id, waiting.identity)
    await line.rest()
    assert first.room == room.live_name
    with pytest.raises(NotFound):
        await world.desk.scheduled.admit(OURS, room.id, waiting.identity)
    second_id, second = await line.dials_in(room.pin)
    identity = next(iter(set(await _waiting(world, room))))
    await world.desk.scheduled.deny(OURS, room.id, identity)
    await line.rest()
    assert second.room is None
    assert line.said(second_id) == [ENGLISH[Words.DENIED]]
    denied = await world.line(room, identity)
    assert (denied.presence, denied.why_left) == (Presence.LEFT, "denied")


async def _waiting(world: World, room: Room) -> list[str]:
    people = await world.people.of(room.id)
    return [one.identity for one in people if one.presence is Presence.WAITING]


async def test_a_kick_of_one_that_waits_ends_its_call(line: Line) -> None:
    world = line.world
    room = await world.schedule(waiting_room=True)
    call_id, _ = await line.dials_in(room.pin)
    (identity,) = await _waiting(world, room)
    await world.desk.scheduled.kick(OURS, room.id, identity)
    await line.rest()
    assert line.calls.ended == [] or line.calls.ended[0][0] == call_id
    kicked = await world.line(room, identity)
    assert (kicked.presence, kicked.why_left) == (Presence.LEFT, "kicked")
    assert world.told.kinds().count("room.participant.kicked") == 1


async def test_telephones_count_and_a_full_room_sounds_like_a_wrong_number(line: Line) -> None:
    world = line.world
    room = await world.schedule(max_participants=2)
    await world.come(room, "key_host", Role.HOST)
    _, first = await line.dials_in(room.pin)
    assert first.room == room.live_name
    call_id, second = await line.dials_in(room.pin)
    assert second.room is None
    await line.says(call_id, [ENGLISH[Words.REFUSED], ENGLISH[Words.ASK_AGAIN]])
    assert second.room is None
    with pytest.raises(Conflict) as full:
        await line.phones.call_out(OURS, room.id, CallOut("+14155552671"), "call_77", 60.0)
    assert full.value.code == "ROOM_FULL"


async def test_the_end_of_a_room_reaches_who_waits_and_who_rings(line: Line) -> None:
    world = line.world
    room = await world.schedule(waiting_room=True)
    await world.come(room, "key_host", Role.HOST)
    waiting_id, _ = await line.dials_in(room.pin)
    await line.phones.call_out(OURS, room.id, CallOut("+14155552671"), "call_77", 60.0)
    line.phones.call_rang("call_77")
    await line.rest()
    await world.desk.scheduled.end(OURS, room.id)
    await line.rest()
    assert line.said(waiting_id) == [ENGLISH[Words.ENDED]]
    telephones = [one for one in await world.people.of(room.id) if one.role is Role.PHONE]
    assert {one.presence for one in telephones} == {Presence.LEFT}
    assert {one.why_left for one in telephones} == {"room_ended"}
    assert line.phones.guest("call_77") is None
    assert world.told.kinds().count("room.phone.failed") == 1


async def test_an_ended_room_opens_to_no_number(line: Line) -> None:
    world = line.world
    room = await world.schedule()
    await world.desk.scheduled.end(OURS, room.id)
    call_id, leg = await line.dials_in(room.pin)
    await line.says(call_id, [ENGLISH[Words.REFUSED], ENGLISH[Words.ASK_AGAIN]])
    assert leg.room is None
