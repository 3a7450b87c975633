"""All the services of rooms over a media server and stores: what is reported is taken when the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gateway.storage.keys import TenantRepository
from gateway.storage.memory import open_memory
from gateway.storage.records import Tenant
from gateway.storage.room_invites import RoomInviteRepository
from gateway.storage.room_people import RoomPeopleRepository
from gateway.storage.rooms import RoomRepository
from telephony.ids import TenantId
from video_rooms.core.live import LivePerson
from video_rooms.core.room import Person, Presence, Role, Room
from video_rooms.core.wishes import JoinWish, NewRoom, Pass
from video_rooms.desk import Around, RoomDesk, furnish
from video_rooms.fakes import Delivery, FakeRoomServer
from video_rooms.fakes_around import CountedChances, FakeRecorder, QuietPhones, ToldRooms
from video_rooms.fakes_stores import MemoryInvites, MemoryPeople, MemoryRooms

OURS, THEIRS = TenantId("ten_ours"), TenantId("ten_theirs")
T0 = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)


class Clock:
    """Moves only when told to. Fits ``telephony.clock.Clock``."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self) -> datetime:
        return T0 + timedelta(seconds=self.passed)

    def mono(self) -> float:
        return self.passed

    def advance(self, seconds: float) -> None:
        self.passed += seconds


NEW = NewRoom(
    name="Onboarding",
    scheduled_at=None,
    recording_enabled=False,
    max_participants=10,
    settings={"colour": "blue"},
    host_user_id="key_host",
)


@dataclass(slots=True)
class World:
    """The fake media server, stores in memory, and the desk over them."""

    clock: Clock = field(default_factory=Clock)
    rooms: MemoryRooms = field(default_factory=MemoryRooms)
    people: MemoryPeople = field(default_factory=MemoryPeople)
    invites: MemoryInvites = field(default_factory=MemoryInvites)
    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    phones: QuietPhones = field(default_factory=QuietPhones)
    told: ToldRooms = field(default_factory=ToldRooms)
    chances: CountedChances = field(default_factory=CountedChances)
    passes: dict[str, str] = field(default_factory=dict)
    """Tokens that a test keeps."""
    server: FakeRoomServer = field(init=False)
    desk: RoomDesk = field(init=False)

    def __post_init__(self) -> None:
        self.server = FakeRoomServer(self.clock)
        self.desk = furnish(
            Around(
                self.server,
                self.rooms,
                self.people,
                self.invites,
                self.recorder,
                self.phones,
                self.told,
                self.chances,
                self.clock,
            )
        )

    async def schedule(self, tenant: TenantId = OURS, **changes: object) -> Room:
        made = await self.desk.scheduled.schedule(tenant, replace(NEW, **changes))  # type: ignore[arg-type]
        return made.room

    async def join(self, room: Room, identity: str, role: Role = Role.PARTICIPANT, **more: object) -> Pass:
        wish = JoinWish(identity, f"{identity}'s name", role, **more)  # type: ignore[arg-type]
        return await self.desk.scheduled.join(room.tenant, room.id, wish)

    async def come(self, room: Room, identity: str, role: Role = Role.PARTICIPANT) -> LivePerson:
        """Join, connect, and have it reported."""
        person = self.server.come_in((await self.join(room, identity, role)).token)
        await self.reported()
        return person

    async def leave(self, room: Room, identity: str) -> None:
        self.server.leave((await self.room(room)).live_name, identity)
        await self.reported()

    async def reported(self, deliveries: Sequence[Delivery] | None = None) -> None:
        """These reports are posted; those since last time, where none are named."""
        for one in self.server.take() if deliveries is None else deliveries:
            await self.desk.hook.heard(one.body, one.authorization)
        await self.desk.recordings.settle()

    async def look(self) -> None:
        await self.desk.reconciler.once()
        await self.desk.recordings.settle()

    async def all_gone(self) -> None:
        """The media server's time for rooms that all have left is over."""
        self.clock.advance(61)
        self.server.end_idle()
        await self.reported()

    async def room(self, room: Room) -> Room:
        found = await self.rooms.get(room.tenant, room.id)
        assert found is not None
        return found

    async def line(self, room: Room, identity: str) -> Person:
        found = await self.people.one(room.id, identity)
        assert found is not None
        return found

    async def present(self, room: Room) -> set[str]:
        return {one.identity for one in await self.people.of(room.id) if one.presence is Presence.JOINED}

    def there(self, room: Room) -> set[str]:
        """Who is connected to the media server's room."""
        opened = self.server._open.get(room.live_name)
        return set() if opened is None else set(opened.here)


@asynccontextmanager
async def opened_world(kind: str) -> AsyncIterator[World]:
    """``fakes``: stores of their own in memory; ``sql``: the product's, over a database in memory."""
    if kind == "fakes":
        yield World()
        return
    database = open_memory()
    tenants = TenantRepository(database)
    for tenant in (OURS, THEIRS):
        await tenants.create(Tenant(tenant, tenant, T0))
    stores = RoomRepository(database), RoomPeopleRepository(database), RoomInviteRepository(database)
    yield World(Clock(), *stores)  # type: ignore[arg-type]
    await database.close()
