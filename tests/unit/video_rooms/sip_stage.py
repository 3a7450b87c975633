"""What a telephone's way into a room by LiveKit's SIP service is tried on: the door, and all else fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.clocks import SystemClock
from video_rooms.core.leg import Join
from video_rooms.core.live import Grant
from video_rooms.core.room import Role
from video_rooms.core.trunks import Inbound, TrunkPlan
from video_rooms.fakes import FakeRoomServer, TurnedAway
from video_rooms.fakes_around import CountedChances
from video_rooms.fakes_trunk import FakeTrunkCalls, FakeTrunkDesk
from video_rooms.livekit.tokens import press
from video_rooms.ports_media import NotAdmitted, RoomStay, StayEar, SwitchEar
from video_rooms.siptrunk import eyes
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.door import DoorParts, Ladder, SipDoor
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import SipStay

PLAN = TrunkPlan("mark", Inbound("rooms-1", "patchbay", "p" * 32))
PASS_ID = "01J00000000000000000000001"
URL = "ws://rooms.invalid"
ROOM = "vr_live"


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

    def voices(self) -> None:
        self.told.append("voices")


class Leg:
    """Fits ``SwitchLeg``."""

    def __init__(self, gone: Callable[[str], None]) -> None:
        self.answered = self.ended = False
        self.played: list[bytes] = []
        self.queued_ms = 0
        self._gone = gone

    def answer(self) -> None:
        self.answered = True

    def play(self, sound: bytes) -> bool:
        self.played.append(sound)
        return True

    def mark(self, name: str) -> None: ...

    def on_beat(self, do: Callable[[], None]) -> None: ...

    def hang_up(self) -> None:
        self.ended = True
        asyncio.get_running_loop().call_soon(self._gone, "hangup")


@dataclass
class Port:
    """Fits ``SwitchPort``; what is expected comes at once, where the switch calls."""

    legs: dict[str, Leg] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)

    def dial_string(self, token: str) -> str:
        return f"WebSocket/room0/c(slin16)nf(json)/{token}"

    def expect(self, token: str, ear: SwitchEar, within_s: float) -> None:
        leg = self.legs[token] = Leg(ear.gone)
        asyncio.get_running_loop().call_soon(lambda: ear.arrived(leg))

    def forget(self, token: str) -> None:
        self.forgotten.append(token)

    @property
    def leg(self) -> Leg:
        return list(self.legs.values())[-1]


@dataclass
class Elsewhere:
    """Fits ``RoomDoor``: the other way, which anchors take, too."""

    server: FakeRoomServer
    refuses: str = ""
    entered: list[Join] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    waits: asyncio.Event | None = None

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> RoomStay:
        if self.waits is not None:
            await self.waits.wait()
        if self.refuses:
            raise NotAdmitted(self.refuses)
        self.entered.append(join)
        if join.identity.startswith("anchor_"):
            try:
                self.server.come_in(join.token)
            except TurnedAway as refusal:
                raise NotAdmitted(str(refusal)) from None
        return _Plain(self, join)  # type: ignore[return-value]

    async def close(self) -> None: ...


class _Plain:
    def __init__(self, door: Elsewhere, join: Join) -> None:
        self._door, self.identity = door, join.identity
        self.said = 0

    def say(self, frame: bytes) -> None:
        self.said += 1

    async def leave(self) -> None:
        self._door.left.append(self.identity)


@dataclass
class Stage:
    server: FakeRoomServer
    desk: FakeTrunkDesk
    calls: FakeTrunkCalls
    port: Port
    other: Elsewhere
    anchors: Anchors
    names: TrunkNames
    keeper: TrunkKeeper
    door: SipDoor
    ladder: Ladder
    now: list[float]
    parts: DoorParts

    def join(self, identity: str | None = None, *, name: str = "+44 •••• 1234") -> Join:
        grant = Grant(
            room=ROOM,
            identity=identity or self.names.identity(),
            name=name,
            role=Role.PHONE,
            pass_id=PASS_ID,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        token = press(grant, "key", "s" * 40, datetime.now(UTC), host_is_admin=True)
        return Join(URL, token, grant.identity)

    async def enter(self, join: Join | None = None) -> tuple[SipStay, Ear]:
        ear = Ear()
        stay = await self.door.enter(join or self.join(), ear, muted=False)
        await settle()
        return stay, ear


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@asynccontextmanager
async def staged(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(eyes, "EVERY_S", 0.01)
    server = FakeRoomServer(SystemClock())
    desk, port, chances, now = FakeTrunkDesk(server), Port(), CountedChances(), [0.0]
    calls, other = FakeTrunkCalls(desk), Elsewhere(server)
    keeper = TrunkKeeper(desk, PLAN, lambda: 1_000.0)
    await keeper.look()
    anchors = Anchors(other, server, chances, lambda: datetime.now(UTC))
    names = TrunkNames(chances.hexes)
    parts = DoorParts(port, calls, keeper, server, anchors, names, chances, lambda: now[0])
    door = SipDoor(parts)
    await server.create(ROOM, max_people=10)
    stage = Stage(
        server, desk, calls, port, other, anchors, names, keeper, door, Ladder(door, other), now, parts
    )
    try:
        yield stage
    finally:
        await door.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what is waited for is told to nobody
            await asyncio.sleep(0.005)
