"""A desk of rooms on a real LiveKit server, which hears of everything that comes to pass there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from gateway.clocks import SystemClock
from gateway.room_chances import RoomChances
from telephony.ids import TenantId
from tests.contract.video_rooms.worlds import address_of
from tests.rig.livekit import LiveKitRig
from video_rooms.core.room import Person, Presence, Role, Room, Status
from video_rooms.core.wishes import InviteWish, JoinWish, NewRoom, Pass
from video_rooms.desk import Around, RoomDesk, furnish
from video_rooms.doors import Timeouts
from video_rooms.fakes_around import FakeRecorder, QuietPhones, ToldRooms
from video_rooms.fakes_stores import MemoryInvites, MemoryPeople, MemoryRooms
from video_rooms.livekit.control import LiveKitRooms

T = TypeVar("T")
OURS = TenantId("ten_ours")
NEW = NewRoom("Meeting", None, False, 10, {}, "key_host")


class EarlierClock(SystemClock):
    """A clock that is this much behind: what it makes has expired already."""

    def __init__(self, behind: timedelta) -> None:
        super().__init__()
        self._behind = behind

    def wall(self) -> datetime:
        return super().wall() - self._behind


@dataclass(slots=True)
class Meeting:
    """A desk on the real server, which is told of every report as it comes."""

    rig: LiveKitRig
    clock: SystemClock = field(default_factory=SystemClock)
    rooms: MemoryRooms = field(default_factory=MemoryRooms)
    people: MemoryPeople = field(default_factory=MemoryPeople)
    invites: MemoryInvites = field(default_factory=MemoryInvites)
    told: ToldRooms = field(default_factory=ToldRooms)
    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    departure_s: int = 1
    server: LiveKitRooms = field(init=False)
    desk: RoomDesk = field(init=False)

    def __post_init__(self) -> None:
        self.server = LiveKitRooms(address_of(self.rig), self.clock)
        around = Around(
            self.server,
            self.rooms,
            self.people,
            self.invites,
            self.recorder,
            QuietPhones(),
            self.told,
            RoomChances(),
            self.clock,
            timeouts=Timeouts(empty_s=60, departure_s=self.departure_s),
        )
        self.desk = furnish(around)

    async def listen(self) -> None:
        """Give every report to the desk, for ever."""
        hooks, taken = self.rig.hooks, len(self.rig.hooks.reports)
        while True:
            async with hooks._came:
                await hooks._came.wait_for(lambda: len(hooks.reports) > taken)  # noqa: B023
                fresh = hooks.reports[taken:]
            taken += len(fresh)
            for report in fresh:
                await self.desk.hook.heard(report.body, report.authorization)

    async def schedule(self, **changes: object) -> Room:
        made = await self.desk.scheduled.schedule(OURS, NewRoom(**{**_fields(NEW), **changes}))  # type: ignore[arg-type]
        return made.room

    async def join(self, room: Room, identity: str, role: Role = Role.PARTICIPANT, **more: object) -> Pass:
        wish = JoinWish(identity, identity.title(), role, **more)  # type: ignore[arg-type]
        return await self.desk.scheduled.join(OURS, room.id, wish)

    async def guest(self, room: Room, name: str) -> Pass:
        invite = await self.desk.invites.create(OURS, room.id, InviteWish(None, None, 1))
        return await self.desk.invites.redeem(invite.token, name, None)

    async def line(self, room: Room, identity: str) -> Person | None:
        return await self.people.one(room.id, identity)

    async def stands(self, room: Room, identity: str, presence: Presence) -> Person:
        """Somebody's line, once they stand there as this."""

        async def so() -> Person | None:
            line = await self.line(room, identity)
            return line if line is not None and line.presence is presence else None

        return await self.until(so, f"{identity} {presence}")

    async def is_(self, room: Room, status: Status) -> Room:
        async def so() -> Room | None:
            known = await self.rooms.get(OURS, room.id)
            return known if known is not None and known.status is status else None

        return await self.until(so, f"the room {status}")

    async def until(self, holds: Callable[[], Awaitable[T | None]], what: str, within_s: float = 30) -> T:
        """What is wanted, once it is there."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    if (found := await holds()) is not None:
                        return found
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s: {what}; told: {self.told.kinds()}") from None


def _fields(new: NewRoom) -> dict[str, object]:
    return {name: getattr(new, name) for name in NewRoom.__dataclass_fields__}


@asynccontextmanager
async def meeting_at(rig: LiveKitRig, departure_s: int = 1) -> AsyncIterator[Meeting]:
    meeting = Meeting(rig, departure_s=departure_s)
    listening = asyncio.create_task(meeting.listen())
    try:
        yield meeting
    finally:
        listening.cancel()
        ended = await asyncio.gather(listening, return_exceptions=True)
        await meeting.server.close()
    assert isinstance(ended[0], asyncio.CancelledError), "every report was taken"
