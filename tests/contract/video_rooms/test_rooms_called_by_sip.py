"""Telephones that LiveKit's SIP service is asked to bring: through a real LiveKit server and its real Redis
into its real rooms, and to our real media port. Only the service itself and the switch are played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from unittest.mock import patch

import aiohttp
import pytest
import pytest_asyncio
from livekit import api

from gateway.clocks import SystemClock
from gateway.room_chances import RoomChances
from gateway.room_sip import PHONE, RoomsBySip, RoomSipPlan
from gateway.room_workers import RoomsHere, RoomWorkersPlan
from tests.contract.video_rooms.legs_world import LegWorld, tone_frames
from tests.rig.calling_sip import CallingSip
from tests.rig.livekit import LiveKitRig, running_livekit
from tests.rig.livekit_sip import Asked, SipService, running_sip_service
from tests.rig.redis_port import redis_on_a_port
from tests.rig.visitors import share_of, visitor
from video_rooms.core.leg import Answer, Joined, JoinFailed, Leave, Left, LegFact
from video_rooms.core.trunks import Outbound, TrunkPlan
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.siptrunk import door
from video_rooms.siptrunk import stay as stay_by_sip

pytestmark = pytest.mark.contract

PASSWORD = "q" * 32
PLAN = TrunkPlan("0a1b2c3d", None, Outbound("127.0.0.1:5060", "room_sip", PASSWORD))
LEG = "call_1"
SERVICE_S = 15.0
"""More than the service ever takes here: it shares this process with everybody else."""


@dataclass(frozen=True, slots=True)
class Servers:
    livekit: LiveKitRig
    bus: SipService


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    folder = tmp_path_factory.mktemp("called")
    async with (
        redis_on_a_port(folder / "redis") as redis,
        running_livekit(folder, redis=redis) as livekit,
        running_sip_service(redis) as bus,
    ):
        yield Servers(livekit, bus)


class World(LegWorld):
    """One carrier, by this way, and the service."""

    service: CallingSip
    bus: SipService

    async def enters(self, room: str) -> str:
        """A telephone is to be in the room; its identity."""
        assert isinstance(self.carrier, RoomsBySip)
        identity = self.carrier.identity(PHONE)
        await self.comes(LEG)
        attributes = {"role": "phone", "patchbay.pass": "p1"}
        self.order(LEG, Answer(), self.join(room, identity, name="Ann", attributes=attributes))
        return identity

    async def fact(self, kind: type[LegFact]) -> LegFact:
        ear = self.ears[LEG]
        await self.until(lambda: bool(ear.of(kind)), kind.__name__, within_s=40.0)
        return ear.of(kind)[-1]

    async def kinds(self, room: str) -> dict[str, int]:
        assert self.rooms is not None
        return {one.identity: one.kind for one in await self.rooms.people(room) if one.state < 3}

    async def until_kinds(self, room: str, wanted: dict[str, int]) -> None:
        assert self.rooms is not None
        await self.rooms.until_people(
            room, lambda all_: {one.identity: one.kind for one in all_ if one.state < 3} == wanted
        )


@asynccontextmanager
async def called(
    servers: Servers, *, alone: bool = False, within_s: float = SERVICE_S
) -> AsyncIterator[World]:
    """``alone``: no telephone comes in by any other way; ``within_s``: how long the service may take."""
    at = servers.livekit.address
    server = LiveKitRooms(LiveKitAddress(at.url, at.key, at.secret.reveal()), SystemClock())
    plan = RoomSipPlan(PLAN, "room1", "127.0.0.1", 0, alone=alone, keep=False, called=True)
    other = RoomsHere(RoomWorkersPlan(0, "127.0.0.1", 0))
    carrier = RoomsBySip(plan, other, server, LiveKitTrunks(server), RoomChances(), SystemClock())

    def port(dialled: str) -> tuple[str, int]:
        number = int(dialled.split("/")[1].removeprefix("room"))
        return "127.0.0.1", next(one.port for one in carrier.states if one.number == number)

    async with AsyncExitStack() as exits:
        exits.enter_context(patch.object(door, "TAKE_S", within_s))
        exits.enter_context(patch.object(door, "SEEN_S", within_s))
        exits.push_async_callback(server.close)
        http = await exits.enter_async_context(aiohttp.ClientSession())
        service = CallingSip(servers.livekit, http, lambda: carrier.states[-1].port, PASSWORD)
        exits.push_async_callback(service.close)
        servers.bus.calls, servers.bus.listens = service, True
        servers.bus.asked.clear()
        await carrier.start()
        exits.push_async_callback(carrier.stop)
        world = World(carrier, port, http, servers.livekit)
        world.service, world.bus = service, servers.bus
        exits.push_async_callback(world.close)
        await world.until(lambda: carrier.keeper.ready, "the trunk", within_s=45.0)
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def world(servers: Servers) -> AsyncIterator[World]:
    async with called(servers) as made:
        yield made


async def asked(world: World) -> Asked:
    (one,) = world.bus.asked
    return one


SIP, PLAIN = api.ParticipantInfo.Kind.SIP, api.ParticipantInfo.Kind.STANDARD


async def test_a_telephone_is_in_the_room_as_who_it_is_and_both_hear_each_other(world: World) -> None:
    room = await world.room()
    assert world.rooms is not None
    token = world.rooms.token(room, "browser", kind="standard")
    async with visitor(world.rooms.url, token) as guest:
        await guest.speak(440.0)
        identity = await world.enters(room)
        await world.fact(Joined)
        assert (await world.kinds(room))[identity] == SIP
        shown = await world.attributes(room, identity)
        assert {"role": "phone", "patchbay.pass": "p1"}.items() <= shown.items()
        assert not any("honeNumber" in name for name in shown), "the socket's name is nobody's business"
        (person,) = [one for one in await world.rooms.people(room) if one.identity == identity]
        assert person.name == "Ann"
        phone = world.phones[LEG]
        phone.says = tone_frames(700)
        await guest.until(lambda: share_of(guest.heard(identity, 0.3), 700) > 0.8, within_s=20)
        await world.until(lambda: phone.hears(440), "the room", within_s=20)
    assert len(world.phones) == 1


async def test_it_is_called_by_a_name_that_works_once_over_our_trunk(world: World) -> None:
    room = await world.room()
    await world.enters(room)
    await world.fact(Joined)
    call = await asked(world)
    assert (call.address, call.user, call.caller) == ("127.0.0.1:5060", "room_sip", "rooms")
    assert len(call.number) == 33
    assert await world.service.brings(call) is None


async def test_no_rule_no_anchor_and_nobody_else_is_there(world: World) -> None:
    room = await world.room()
    identity = await world.enters(room)
    await world.fact(Joined)
    assert world.rooms is not None
    sip = world.rooms.control.sip
    assert not (await sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items
    assert not (await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items
    assert await world.kinds(room) == {identity: SIP}


async def test_whoever_leaves_is_in_the_room_no_longer(world: World) -> None:
    room = await world.room()
    await world.enters(room)
    await world.fact(Joined)
    world.order(LEG, Leave())
    assert await world.fact(Left) == Left("asked")
    await world.until_kinds(room, {})
    await world.until(lambda: not world.service.channels[0].up, "the end of the call")
    assert world.phones[LEG].channel.up, "the telephone stays with us"


@pytest.mark.parametrize("why", ["removed", "room_ended"])
async def test_whoever_is_put_out_is_told_why(
    world: World, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await world.room()
    identity = await world.enters(room)
    await world.fact(Joined)
    if why == "removed":
        await world.put_out(room, identity)
    else:
        # on a busy machine what has ended may be listed for long
        monkeypatch.setattr(stay_by_sip, "ENDS_S", 10.0)
        monkeypatch.setattr(stay_by_sip, "LOOK_AGAIN_S", 0.5)
        await world.ends(room)
    assert await world.fact(Left) == Left(why)
    assert world.phones[LEG].channel.up


async def test_a_room_that_is_not_there_is_not_made(world: World) -> None:
    room = world.missing()
    await world.enters(room)
    assert await world.fact(JoinFailed) == JoinFailed("no_room")
    assert world.rooms is not None
    assert not (await world.rooms.control.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms


@pytest.mark.parametrize("refuses", [486, 503])
async def test_where_the_switch_refuses_the_bridge_takes_over(world: World, refuses: int) -> None:
    room = await world.room()
    world.service.refuses = refuses
    identity = await world.enters(room)
    await world.fact(Joined)
    await world.until_kinds(room, {identity: PLAIN})
    assert world.ears[LEG].of(JoinFailed) == []
    assert len(world.bus.asked) == 1


async def test_without_a_service_the_bridge_takes_over(world: World) -> None:
    room = await world.room()
    world.bus.listens = False
    identity = await world.enters(room)
    await world.fact(Joined)
    await world.until_kinds(room, {identity: PLAIN})
    assert world.bus.asked == []


async def test_a_service_that_says_nothing_leaves_nobody_behind(servers: Servers) -> None:
    async with called(servers, within_s=3.0) as world:  # enough to be asked
        room = await world.room()
        world.service.silent = True
        identity = await world.enters(room)
        await world.fact(Joined)
        await world.until_kinds(room, {identity: PLAIN})
        call = await asked(world)
        assert await world.service.brings(call) is None, "its name is worth nothing any more"


async def test_alone_it_is_the_only_way(servers: Servers) -> None:
    async with called(servers, alone=True) as world:
        room = await world.room()
        world.service.refuses = 503
        await world.enters(room)
        assert await world.fact(JoinFailed) == JoinFailed("unreachable")
        await world.until_kinds(room, {})
