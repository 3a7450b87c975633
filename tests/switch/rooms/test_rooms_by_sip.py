"""A telephone at the real switch, brought into a room by a call to LiveKit's SIP service, with SIPp in that
one's place: prompts and keys as ever, sound both ways, and the other way where the service fails."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from gateway.clocks import SystemClock
from gateway.room_chances import RoomChances
from gateway.room_worker import RoomPort
from gateway.trial.audio import has_tone, tone
from gateway.trial.sip_call import CallState
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.watch import Watch
from tests.rig.trunk_calls import BACK, HOST, NUMBER, TrunkWorld, running_trunk
from video_rooms.bridge.carrier import Bridge
from video_rooms.bridge.sounds import SoundShelf
from video_rooms.core.leg import Answer, Arrived, HangUp, Join, Joined, Leave, Left, LegFact, Others
from video_rooms.core.live import Grant
from video_rooms.core.room import Role
from video_rooms.core.trunks import Inbound, TrunkPlan
from video_rooms.fakes import FakeRoomServer
from video_rooms.fakes_trunk import FakeTrunkCalls, FakeTrunkDesk
from video_rooms.livekit.tokens import press
from video_rooms.ports_media import NotAdmitted, RoomStay, StayEar
from video_rooms.ports_trunk import TrunkCall, TrunkEar
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.door import DoorParts, Ladder, SipDoor
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames

pytestmark = pytest.mark.switch

PLAN = TrunkPlan("0a1b2c3d", Inbound(NUMBER, "patchbay", "p" * 32))
ROOM = "vr_live"
TONE_HZ = 700.0


class Served(FakeTrunkCalls):
    """The real switch's calls; who is taken is in the room at the media server in memory, too."""

    def __init__(self, desk: FakeTrunkDesk, world: TrunkWorld) -> None:
        super().__init__(desk)
        self._world = world

    async def place(self, call: TrunkCall, ear: TrunkEar) -> None:
        self.placed.append(call)
        rule = self.desk.rule_of(call.number, call.caller)
        served = self

        class InRoom:
            def taken(self) -> None:
                assert rule is not None
                served._come_in(rule)
                ear.taken()

            def over(self, cause: int | None) -> None:
                ear.over(cause)

        await self._world.calls.place(call, InRoom())

    def forget(self, call_id: str) -> None:
        self._world.calls.forget(call_id)


@dataclass
class Ear:
    """Fits ``LegEar``."""

    facts: list[LegFact] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)

    def heard(self, leg_id: str, fact: LegFact) -> None:
        self.facts.append(fact)
        self.watch.changed()

    async def until(self, holds: Callable[[LegFact], bool], what: str) -> LegFact:
        await self.watch.until(
            lambda: any(map(holds, self.facts)), within_s=30, what=what, seen=lambda: self.facts
        )
        return next(fact for fact in self.facts if holds(fact))


@dataclass
class Nobody:
    """Fits ``RoomDoor``: the other way, where anchors are let in and telephones are only noted."""

    server: FakeRoomServer
    asked: list[str] = field(default_factory=list)

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> RoomStay:
        if not join.identity.startswith("anchor_"):
            self.asked.append(join.identity)
            raise NotAdmitted("full")
        self.server.come_in(join.token)
        return _Anchor()  # type: ignore[return-value]

    async def close(self) -> None: ...


class _Anchor:
    def say(self, frame: bytes) -> None: ...

    async def leave(self) -> None: ...


@dataclass
class Rooms:
    world: TrunkWorld
    server: FakeRoomServer
    calls: Served
    other: Nobody
    names: TrunkNames
    door: SipDoor
    bridge: Bridge
    phone: SipPhone

    def join(self, name: str = "answers") -> Join:
        now = datetime.now(UTC)
        grant = Grant(
            room=ROOM,
            identity=self.names.identity(),
            name=name,
            role=Role.PHONE,
            pass_id="01J00000000000000000000001",
            expires_at=now + timedelta(hours=1),
        )
        token = press(grant, "key", "s" * 40, now, host_is_admin=True)
        return Join("ws://rooms.invalid", token, grant.identity)

    async def telephone(self, leg: str) -> tuple[OutgoingCall, Ear]:
        """A telephone that speaks a tone, with the bridge, and in no room yet."""
        ear = Ear()
        dial = await self.bridge.expect(leg, ear, 30.0)
        token = re.search(r"/([0-9a-f]{32})$", dial)
        assert token is not None
        at = (self.world.switch.address.sip_host, self.world.switch.address.sip_port)
        who = Credentials("room_sip", BACK.reveal())
        sound = tone(TONE_HZ, 1.0)
        call = self.phone.call(Dial(f"0{token[1]}", at, "rooms", credentials=who, audio=sound))
        await ear.until(lambda fact: isinstance(fact, Arrived), "the telephone")
        self.bridge.order(leg, Answer())
        await call.reaches(CallState.ANSWERED)
        return call, ear


@asynccontextmanager
async def rooms_by_sip(world: TrunkWorld) -> AsyncIterator[Rooms]:
    server, chances = FakeRoomServer(SystemClock()), RoomChances()
    desk = FakeTrunkDesk(server)
    calls, other = Served(desk, world), Nobody(server)
    keeper = TrunkKeeper(desk, PLAN, time.time)
    await keeper.look()
    anchors = Anchors(other, server, chances, lambda: datetime.now(UTC))
    names, port = TrunkNames(chances.hexes), RoomPort(world.port)
    parts = DoorParts(port, calls, keeper, server, anchors, names, chances, time.monotonic)
    door = SipDoor(parts)
    bridge = Bridge(port, Ladder(door, other), SoundShelf(None))
    await server.create(ROOM, max_people=10)
    phone = await SipPhone.open(HOST)
    async with phone:
        yield Rooms(world, server, calls, other, names, door, bridge, phone)
        await bridge.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TrunkWorld]:
    async with running_trunk(tmp_path_factory.mktemp("by-sip")) as running:
        yield running


@pytest_asyncio.fixture
async def rooms(world: TrunkWorld) -> AsyncIterator[Rooms]:
    async with rooms_by_sip(world) as made:
        yield made


async def test_a_telephone_is_in_the_room_and_hears_what_comes_from_there(rooms: Rooms) -> None:
    call, ear = await rooms.telephone("call_1")
    join = rooms.join()
    rooms.bridge.order("call_1", join)
    joined = await ear.until(lambda fact: isinstance(fact, Joined), "the room")
    assert joined == Joined(0)
    assert rooms.other.asked == [], "it is in the room by the first way"
    await call.hears(lambda pcm: has_tone(pcm, TONE_HZ, seconds=0.5), 20.0, "the service's echo of it")
    people = [one.identity for one in await rooms.server.people(ROOM)]
    assert join.identity in people
    rooms.bridge.order("call_1", Leave())
    assert await ear.until(lambda fact: isinstance(fact, Left), "the way out") == Left("asked")
    assert call.state is CallState.ANSWERED, "the telephone stays with us"
    await call.hang_up()


async def test_two_telephones_are_two_people(rooms: Rooms) -> None:
    calls, ears, joins = [], [], [rooms.join(), rooms.join()]
    for number, join in enumerate(joins):
        call, ear = await rooms.telephone(f"call_{number}")
        rooms.bridge.order(f"call_{number}", join)
        assert await ear.until(lambda fact: isinstance(fact, Joined), "the room") == Joined(number)
        calls.append(call)
        ears.append(ear)
    assert await ears[0].until(lambda fact: isinstance(fact, Others) and fact.count == 1, "the other one")
    assert len({call.caller for call in rooms.calls.placed}) == 2
    for call in calls:
        await call.hang_up()


async def test_one_that_the_service_hangs_up_was_put_out(rooms: Rooms) -> None:
    call, ear = await rooms.telephone("call_1")
    rooms.bridge.order("call_1", rooms.join("hangs up"))
    await ear.until(lambda fact: isinstance(fact, Joined), "the room")
    assert await ear.until(lambda fact: isinstance(fact, Left), "the end") == Left("removed")
    assert call.state is CallState.ANSWERED
    rooms.bridge.order("call_1", HangUp())
    await call.reaches(CallState.ENDED)


@pytest.mark.parametrize("plays", ["out of order", "forbids", "knows nobody", "busy", "never answers"])
async def test_where_the_service_fails_the_bridge_is_asked(rooms: Rooms, plays: str) -> None:
    call, ear = await rooms.telephone("call_1")
    join = rooms.join(plays)
    rooms.bridge.order("call_1", join)
    await ear.until(lambda fact: type(fact).__name__ == "JoinFailed", "what the other way says")
    assert rooms.other.asked == [join.identity]
    assert call.state is CallState.ANSWERED
    await call.hang_up()


async def test_what_is_said_of_the_room_is_final(rooms: Rooms) -> None:
    call, ear = await rooms.telephone("call_1")
    rooms.bridge.order("call_1", rooms.join("declines"))
    failed = await ear.until(lambda fact: type(fact).__name__ == "JoinFailed", "the refusal")
    assert failed.why == "refused"  # type: ignore[union-attr]
    assert rooms.other.asked == []
    await call.hang_up()
