"""A desk of telephones on stand-ins: a carrier, stores and a door in memory, and a clock that is turned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telephony.errors import PatchbayError, SpeechUnavailable, StorageUnavailable
from telephony.ids import TenantId
from video_rooms.core.leg import PlaySounds
from video_rooms.core.room import Json, Person, Presence, Role, Room, Status
from video_rooms.core.wishes import CallOut, JoinWish, Pass
from video_rooms.fakes_legs import FakeLeg, FakeLegCarrier
from video_rooms.fakes_stores import MemoryPeople, MemoryRooms
from video_rooms.guest import PhoneCall, PhoneSurroundings
from video_rooms.phone_sounds import PhoneSounds
from video_rooms.phones import PhoneDesk
from video_rooms.pins import RoomPins

START = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
TENANT = TenantId("tnt_1")
ROOM = "11111111-1111-4111-8111-111111111111"
PIN = "123456789"
CALLER = "+447700900123"
LINE = "+12025550100"


def room(**changes: object) -> Room:
    """A room that is on."""
    made = Room(
        id=ROOM,
        tenant=TENANT,
        name="Weekly",
        host_user_id="usr_1",
        status=Status.LIVE,
        live_name="vr_tnt_1_x",
        room_sid="RM_1",
        scheduled_at=START - timedelta(minutes=5),
        started_at=START - timedelta(minutes=5),
        ended_at=None,
        recording_enabled=False,
        recording_url=None,
        max_participants=10,
        settings={},
        created_at=START - timedelta(days=1),
        updated_at=START - timedelta(days=1),
        pin=PIN,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def host(presence: Presence = Presence.JOINED) -> Person:
    return Person(ROOM, "usr_1", "Ann", Role.HOST, presence, joined_at=START, session="vr_tnt_1_x")


class Voice:
    """Speaks by naming a file after its text. While ``mute`` nothing is spoken, and words are lost; while
    ``slow`` it takes a minute."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.mute = self.slow = False
        self.texts: list[str] = []

    async def speak(self, text: str, language: str) -> Path:
        self.texts.append(text)
        if self.mute:
            raise SpeechUnavailable
        await asyncio.sleep(60 if self.slow else 0)
        path = self._folder / f"{text}.wav"
        path.touch()
        return path


@dataclass
class Tries:
    left: int = 10
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def allowed(self, caller: str, line: str) -> bool:
        self.asked.append((caller, line))
        return self.left > 0

    async def failed(self, caller: str, line: str) -> None:
        self.left -= 1


@dataclass
class Door:
    """Fits ``Entrance``: opens every room that is there. ``refuses`` is raised instead."""

    rooms: MemoryRooms
    refuses: PatchbayError | None = None
    wishes: list[JoinWish] = field(default_factory=list)
    opens: asyncio.Event = field(default_factory=asyncio.Event)

    async def join(self, tenant: TenantId, room_id: str, wish: JoinWish) -> Pass:
        self.wishes.append(wish)
        await self.opens.wait()
        if self.refuses is not None:
            raise self.refuses
        found = await self.rooms.get(tenant, room_id)
        assert found is not None
        token = f"{found.live_name}/{wish.identity}"
        return Pass(token, "ws://x", found, wish.identity, wish.display_name, START + timedelta(hours=6))


@dataclass
class Told:
    """Fits ``RoomAnnouncer``."""

    events: list[tuple[str, str, Mapping[str, Json]]] = field(default_factory=list)

    def tell(self, tenant: TenantId, kind: str, room_id: str, told: Mapping[str, Json]) -> None:
        assert tenant == TENANT
        self.events.append((kind, room_id, told))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.events]


@dataclass
class Calls:
    """Fits ``RoomCalls``."""

    ended: list[tuple[str, str]] = field(default_factory=list)
    inside: list[tuple[str, str]] = field(default_factory=list)

    def end(self, call_id: str, why: str) -> None:
        self.ended.append((call_id, why))

    def entered(self, call_id: str, room_id: str) -> None:
        self.inside.append((call_id, room_id))


class People(MemoryPeople):
    """A roster on which nobody new may be put while ``takes_nobody``."""

    takes_nobody = False

    async def put(self, person: Person) -> None:
        if self.takes_nobody:
            raise StorageUnavailable
        await super().put(person)


class Stage:
    """Everything. ``hear`` gives what a telephone has been played, by its texts."""

    def __init__(self, tones: Path) -> None:
        loop = asyncio.get_running_loop()
        self.carrier = FakeLegCarrier()
        self.rooms, self.people, self.tries = MemoryRooms(), People(), Tries()
        self.door, self.told, self.calls, self.voice = Door(self.rooms), Told(), Calls(), Voice(tones)
        self.door.opens.set()
        self.sounds = PhoneSounds(self.voice, tones)
        self.wall: Callable[[], datetime] = lambda: START + timedelta(seconds=loop.time())
        self.around = PhoneSurroundings(
            carrier=self.carrier,
            pins=RoomPins(self.rooms, self.people, self.tries, self.wall),
            entrance=self.door,
            people=self.people,
            announcer=self.told,
            sounds=self.sounds,
            calls=self.calls,
            now=loop.time,
            wall=self.wall,
            see_off=self._see_off,
        )
        self.seen_off: list[tuple[str, str]] = []
        self._hexes = iter(range(1, 100))
        self.desk = PhoneDesk(self.around, self.rooms, lambda count: f"{next(self._hexes):0{count}x}")

    async def _see_off(self, live_name: str, identity: str) -> None:
        self.seen_off.append((live_name, identity))

    async def ready(self, kept: Room | None = None, *people: Person) -> None:
        """Tones made, texts spoken, this room kept with these people."""
        self.sounds.make_tones()
        await self.sounds.speak_all()
        await self.rooms.add(kept or room())
        for person in people:
            await self.people.put(person)

    async def rest(self) -> None:
        """Let everything happen that needs no time to pass."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def dials_in(self, call_id: str = "call_1", caller: str = CALLER, **changes: object) -> FakeLeg:
        """A telephone calls, and its sound comes."""
        made = PhoneCall(call_id, TENANT, "", "+44 •••• 0123", 3600.0, caller, LINE)
        await self.desk.dial_in(replace(made, **changes), 30.0)  # type: ignore[arg-type]
        self.carrier.arrives(call_id)
        await self.rest()
        return self.carrier.legs[call_id]

    async def press(self, digits: str, call_id: str = "call_1") -> None:
        self.carrier.presses(call_id, digits)
        await self.rest()

    async def comes_in(self, call_id: str = "call_1", caller: str = CALLER) -> FakeLeg:
        """Dials in, with the right number."""
        leg = await self.dials_in(call_id, caller)
        await self.press(PIN, call_id)
        assert leg.room == "vr_tnt_1_x"
        return leg

    async def calls_out(self, call_id: str = "call_1", **changes: object) -> Person:
        wanted = replace(CallOut("+447700900123"), **changes)  # type: ignore[arg-type]
        _, line = await self.desk.call_out(TENANT, ROOM, wanted, call_id, 3600.0)
        return line

    async def line(self, identity: str = "phone_00000001") -> Person:
        found = await self.people.one(ROOM, identity)
        assert found is not None
        return found

    def heard(self, call_id: str = "call_1") -> list[str]:
        """The texts of the latest sounds."""
        played = self.carrier.legs[call_id].played
        return [path.stem for path in played[-1].paths] if played else []

    def said(self, call_id: str = "call_1") -> list[PlaySounds]:
        return self.carrier.legs[call_id].played


@asynccontextmanager
async def open_stage(tones: Path, kept: Room | None = None, *people: Person) -> AsyncIterator[Stage]:
    stage = Stage(tones)
    await stage.ready(kept, *people)
    try:
        yield stage
    finally:
        await stage.desk.close()
