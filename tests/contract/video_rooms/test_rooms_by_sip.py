"""Telephones that come in by SIP, at a real LiveKit server: its own rules, rosters, mutes and kicks. In the
switch's and the SIP service's place are those of ``tests.rig.pretend_sip``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import aiohttp
import pytest
import pytest_asyncio
from livekit import api

from gateway.clocks import SystemClock
from gateway.room_chances import RoomChances
from gateway.room_worker import RoomPort
from tests.contract.video_rooms.sip_world import PLAN, SERVICE_S
from tests.rig.livekit import LiveKitRig
from tests.rig.pretend_sip import SipService
from video_rooms.bridge.rtc_rooms import RtcRooms
from video_rooms.core.leg import Join
from video_rooms.core.live import PASS, ROLE, Grant, Kind
from video_rooms.core.room import Role
from video_rooms.core.roster import is_seen
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.ports_media import NotAdmitted, SwitchLeg
from video_rooms.siptrunk import door as door_of_sip
from video_rooms.siptrunk import stay as stay_by_sip
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.door import DoorParts, SipDoor
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import SipStay
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.wire.asterisk import MediaAbilities

pytestmark = pytest.mark.contract


@dataclass
class Ear:
    """Fits ``StayEar``."""

    told: list[str] = field(default_factory=list)

    def put_out(self, why: str) -> None:
        self.told.append(f"out {why}")

    def track_muted(self, on: bool) -> None:
        self.told.append(f"muted {on}")

    def crowd(self) -> None:
        self.told.append("crowd")

    def voices(self) -> None: ...


@dataclass
class World:
    rig: LiveKitRig
    server: LiveKitRooms
    port: RoomPort
    service: SipService
    door: SipDoor
    names: TrunkNames
    anchors: Anchors
    room: str

    def join(self, name: str = "+44 •••• 1234") -> Join:
        now = datetime.now(UTC)
        grant = Grant(
            room=self.room,
            identity=self.names.identity(),
            name=name,
            role=Role.PHONE,
            pass_id=RoomChances().pass_id(now),
            expires_at=now + timedelta(hours=1),
        )
        return Join(self.rig.url, self.server.token(grant), grant.identity)

    async def enter(self, join: Join | None = None) -> tuple[SipStay, Ear]:
        ear = Ear()
        return await self.door.enter(join or self.join(), ear, muted=False), ear


@pytest_asyncio.fixture(loop_scope="session")
async def world(livekit_with_redis: LiveKitRig) -> AsyncIterator[World]:
    rig = livekit_with_redis
    at = LiveKitAddress(rig.address.url, rig.address.key, rig.address.secret.reveal())
    server, chances, rtc_rooms = LiveKitRooms(at, SystemClock()), RoomChances(), RtcRooms()
    async with AsyncExitStack() as exits:
        for most in ("TAKE_S", "SEEN_S"):
            exits.enter_context(patch.object(door_of_sip, most, SERVICE_S))
        exits.push_async_callback(server.close)
        exits.push_async_callback(rtc_rooms.close)
        media = WebSocketPort(MediaAbilities(), connection="room0")
        exits.push_async_callback(media.close)
        address, port = await media.start("127.0.0.1", 0), RoomPort(media)
        http = await exits.enter_async_context(aiohttp.ClientSession())
        service = SipService(rig, http, lambda _: address)
        exits.push_async_callback(service.close)
        keeper = TrunkKeeper(LiveKitTrunks(server), PLAN, time.time, keep=False)
        exits.push_async_callback(keeper.stop)
        assert await keeper.look()
        anchors = Anchors(rtc_rooms, server, chances, lambda: datetime.now(UTC))
        names = TrunkNames(chances.hexes)
        parts = DoorParts(port, service, keeper, server, anchors, names, chances, time.monotonic)
        door = SipDoor(parts)
        exits.push_async_callback(door.close)
        room = await rig.create(max_participants=3)
        yield World(rig, server, port, service, door, names, anchors, room)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is waited for is told to nobody
            await asyncio.sleep(0.02)


async def rules(world: World) -> int:
    return len((await world.rig.control.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items)


async def no_rule(world: World) -> None:
    """Each call's own is taken away beside everything else, once the call has been taken."""
    async with asyncio.timeout(20):
        while await rules(world):  # noqa: ASYNC110 - what is waited for is told to nobody
            await asyncio.sleep(0.02)


async def test_into_an_empty_room_as_who_it_was_to_be(world: World) -> None:
    join = world.join()
    stay, _ = await world.enter(join)
    (person,) = [one for one in await world.server.people(world.room) if is_seen(one)]
    assert (person.identity, person.kind) == (join.identity, Kind.SIP)
    assert person.attributes[ROLE] == "phone"
    assert person.attributes[PASS]
    assert (stay.others, stay.recording) == (0, False)
    await world.rig.until_people(world.room, lambda all_: any(one.name == "+44 •••• 1234" for one in all_))
    await no_rule(world)


async def test_an_anchor_takes_nobodys_place(world: World) -> None:
    for number in range(3):  # as many as there is room for
        stay, _ = await world.enter()
        assert stay.others == number
    assert len(world.anchors) == 1


async def test_an_anchor_leaves_with_the_last(world: World) -> None:
    stay, _ = await world.enter()
    await stay.leave()
    await world.rig.until_people(
        world.room, lambda all_: not any(one.identity.startswith("anchor_") for one in all_)
    )


async def test_whoever_is_put_out_is_told_so(world: World) -> None:
    stay, ear = await world.enter()
    assert await world.server.remove(world.room, stay.identity)
    await until(lambda: bool(ear.told))
    assert ear.told == ["out removed"]


async def test_a_room_that_ends_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # on a busy machine what has ended may be listed for long
    monkeypatch.setattr(stay_by_sip, "ENDS_S", 10.0)
    monkeypatch.setattr(stay_by_sip, "LOOK_AGAIN_S", 0.5)
    _, ear = await world.enter()
    assert await world.server.delete(world.room)
    await until(lambda: any(told.startswith("out") for told in ear.told))
    assert ear.told[-1] == "out room_ended"


async def test_a_hosts_mute_is_noticed_and_can_be_taken_back(world: World) -> None:
    stay, ear = await world.enter()
    await world.rig.until_people(
        world.room, lambda all_: any(one.tracks for one in all_ if one.identity == stay.identity)
    )
    await world.server.mute(world.room, stay.identity, "audio")
    await until(lambda: "muted True" in ear.told)
    stay.mute(False)
    await world.rig.until_people(
        world.room,
        lambda all_: not any(t.muted for one in all_ if one.identity == stay.identity for t in one.tracks),
    )


async def test_what_it_shows_is_seen(world: World) -> None:
    stay, _ = await world.enter()
    stay.show({"hand_raised": "true"})
    await world.rig.until_people(
        world.room, lambda all_: any(one.attributes.get("hand_raised") == "true" for one in all_)
    )


@dataclass
class Again:
    """Fits ``TrunkEar``, and ``SwitchEar`` of our own end, which is let up."""

    told: list[str] = field(default_factory=list)

    def taken(self) -> None:
        self.told.append("taken")

    def over(self, cause: int | None) -> None:
        self.told.append(f"over {cause}")

    def arrived(self, leg: SwitchLeg) -> None:
        leg.answer()

    def audio(self, frame: bytes) -> None: ...

    def digit(self, digit: str) -> None: ...

    def mark(self, name: str, heard: bool) -> None: ...

    def gone(self, why: str) -> None: ...


async def test_nobody_comes_in_twice_by_one_rule(world: World) -> None:
    join = world.join()
    await world.enter(join)
    (call,) = world.service.placed
    again, token = Again(), "f" * 32
    world.port.expect(token, again, 60.0)
    await no_rule(world)
    socket = world.port.dial_string(token)
    await world.service.place(replace(call, id="room_again", socket=socket), again)
    await until(lambda: bool(again.told))
    assert again.told == ["over 1"]


async def test_a_room_that_is_not_there_is_not_made(world: World) -> None:
    await world.rig.delete(world.room)
    with pytest.raises(NotAdmitted) as caught:
        await world.enter()
    assert caught.value.why == "no_room"
    assert await world.server.rooms([world.room]) == ()
