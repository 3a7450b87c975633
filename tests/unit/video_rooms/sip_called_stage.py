"""The same stage as in ``sip_stage``, where it is LiveKit's SIP service that calls the switch."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.clocks import SystemClock
from telephony.errors import RoomsUnavailable
from tests.unit.video_rooms.sip_stage import PASS_ID, ROOM, URL, Ear, Elsewhere, Leg, settle
from video_rooms.core.leg import Join
from video_rooms.core.live import PASS, ROLE, Grant
from video_rooms.core.room import Role
from video_rooms.core.trunks import CallOut, Outbound, TrunkPlan
from video_rooms.fakes import FakeRoomServer
from video_rooms.fakes_around import CountedChances
from video_rooms.fakes_trunk import FakeTrunkCalls, FakeTrunkDesk
from video_rooms.livekit.tokens import press
from video_rooms.ports_media import NotAdmitted, SwitchEar
from video_rooms.siptrunk import eyes
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.door import DoorParts, Ladder, SipDoor
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import SipStay

PLAN = TrunkPlan("mark", None, Outbound("192.0.2.1:5060", "room_sip", "q" * 32))
_IDS = itertools.count(1)


@dataclass
class Port:
    """Fits ``SwitchPort``: the switch brings what is called by its name, once."""

    expected: dict[str, SwitchEar] = field(default_factory=dict)
    legs: list[Leg] = field(default_factory=list)

    def dial_string(self, token: str) -> str:
        return f"WebSocket/room3/c(slin16)nf(json)/{token}"

    def expect(self, token: str, ear: SwitchEar, within_s: float) -> None:
        self.expected[token] = ear

    def forget(self, token: str) -> None:
        self.expected.pop(token, None)

    def brings(self, number: str) -> bool:
        ear = self.expected.pop(number[1:], None) if number[0] == "3" else None
        if ear is None:
            return False
        self.legs.append(Leg(ear.gone))
        ear.arrived(self.legs[-1])
        return True


@dataclass
class Service:
    """LiveKit's SIP service: in the room first, then it calls. ``plays``: how that goes."""

    server: FakeRoomServer
    port: Port
    plays: str = "answers"
    final: int = 486
    asked: list[CallOut] = field(default_factory=list)

    async def __call__(self, call: CallOut) -> int | None:
        self.asked.append(call)
        if self.plays == "away":
            raise RoomsUnavailable("the media server answered unavailable")
        if self.plays == "out of order":
            return 500
        self._come_in(call)
        match self.plays:
            case "refused":
                return self.final
            case "silent":
                return None
            case "breaks":
                raise RoomsUnavailable("the media server answered unavailable")
            case "elsewhere":
                return 200
        return 200 if self.port.brings(call.number) else 403

    def _come_in(self, call: CallOut) -> None:
        told = dict(call.attributes)
        grant = Grant(
            room=call.room,
            identity=call.identity,
            name=call.name,
            role=Role(told.pop(ROLE)),
            pass_id=told.pop(PASS),
            expires_at=self.server.clock.wall() + timedelta(hours=1),
            attributes=told,
        )
        self.server.come_in(self.server.token(grant))
        self.server.publish(call.room, call.identity, "audio", "microphone")


@dataclass
class Stage:
    server: FakeRoomServer
    desk: FakeTrunkDesk
    port: Port
    service: Service
    switch: FakeTrunkCalls
    anchors: Anchors
    keeper: TrunkKeeper
    other: Elsewhere
    door: SipDoor
    ladder: Ladder
    now: list[float]

    def join(self, identity: str = "") -> Join:
        wall = datetime.now(UTC)
        who = identity or f"phone_{next(_IDS):08x}"
        until_ = wall + timedelta(hours=1)
        grant = Grant(
            room=ROOM, identity=who, name="Ann", role=Role.PHONE, pass_id=PASS_ID, expires_at=until_
        )
        return Join(URL, press(grant, "key", "s" * 40, wall, host_is_admin=True), who)

    async def enter(self, join: Join | None = None) -> tuple[SipStay, Ear]:
        ear = Ear()
        stay = await self.door.enter(join or self.join(), ear, muted=False)
        await settle()
        return stay, ear

    async def refused(self) -> str:
        with pytest.raises(NotAdmitted) as caught:
            await self.enter()
        return caught.value.why

    async def inside(self) -> list[str]:
        return [one.identity for one in await self.server.people(ROOM)]


@asynccontextmanager
async def staged(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(eyes, "EVERY_S", 0.01)
    monkeypatch.setattr("video_rooms.siptrunk.stay.ENDS_S", 0.1)
    server, chances, now, port = FakeRoomServer(SystemClock()), CountedChances(), [0.0], Port()
    desk, other = FakeTrunkDesk(server), Elsewhere(server)
    desk.service = service = Service(server, port)
    switch = FakeTrunkCalls(desk)
    keeper = TrunkKeeper(desk, PLAN, lambda: 1_000.0)
    await keeper.look()
    anchors = Anchors(other, server, chances, lambda: datetime.now(UTC))
    names = TrunkNames(chances.hexes)
    parts = DoorParts(port, switch, keeper, server, anchors, names, chances, lambda: now[0], line="3")
    door = SipDoor(parts)
    await server.create(ROOM, max_people=10)
    ladder = Ladder(door, other)
    made = Stage(server, desk, port, service, switch, anchors, keeper, other, door, ladder, now)
    try:
        yield made
    finally:
        await door.close()
