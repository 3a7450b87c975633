"""The stores of rooms in memory: stand-ins for SQL, exact, gone with the process.

They keep the same promises as ``gateway.storage``'s; one contract suite tests both. While ``away`` is true
everything raises StorageUnavailable and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice

from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from video_rooms.core.room import Ban, Invite, Person, Presence, Room, Status
from video_rooms.ports import PinTaken

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True, eq=False)
class MemoryRooms:
    """Fits ``video_rooms.ports.RoomStore``."""

    away: bool = False
    rows: dict[str, Room] = field(default_factory=dict)

    async def add(self, room: Room) -> None:
        self._answer()
        self._check_pin(room)
        self.rows[room.id] = room

    async def get(self, tenant: TenantId, room_id: str) -> Room | None:
        self._answer()
        room = self.rows.get(room_id)
        return room if room is not None and room.tenant == tenant else None

    async def of_live(self, live_name: str) -> Room | None:
        self._answer()
        return next((room for room in self.rows.values() if room.live_name == live_name), None)

    async def of_pin(self, pin: str) -> Room | None:
        self._answer()
        return next((room for room in self.rows.values() if pin and room.pin == pin and _opens(room)), None)

    async def page(self, tenant: TenantId, status: Status | None, limit: int) -> tuple[Room, ...]:
        self._answer()
        mine = [
            room for room in self.rows.values() if room.tenant == tenant and status in (None, room.status)
        ]
        newest = sorted(mine, key=lambda room: (room.scheduled_at or room.created_at, room.id), reverse=True)
        return tuple(newest[:limit])

    async def unfinished(self) -> tuple[Room, ...]:
        self._answer()
        return tuple(room for _, room in sorted(self.rows.items()) if _unfinished(room))

    async def begun_by(self, at: datetime, *, after: str, limit: int) -> tuple[Room, ...]:
        self._answer()
        begun = (room for room_id, room in sorted(self.rows.items()) if room_id > after and _begun(room, at))
        return tuple(islice(begun, limit))

    async def change(self, tenant: TenantId, room_id: str, edit: Callable[[Room], Room]) -> Room | None:
        known = await self.get(tenant, room_id)
        if known is None:
            return None
        edited = edit(known)
        self._check_pin(edited)
        self.rows[room_id] = edited
        return edited

    def _check_pin(self, room: Room) -> None:
        others = (one for one in self.rows.values() if one.id != room.id and _opens(one))
        if room.pin and _opens(room) and any(one.pin == room.pin for one in others):
            raise PinTaken

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable


def _opens(room: Room) -> bool:
    return room.status is not Status.ENDED


def _begun(room: Room, at: datetime) -> bool:
    return room.status is Status.SCHEDULED and room.scheduled_at is not None and room.scheduled_at <= at


def _unfinished(room: Room) -> bool:
    return room.status is Status.LIVE or (room.status is Status.ENDED and room.gone_at is None)


_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """An identity that is kept for a member's pass, or a guest's."""

    member: bool
    until: datetime


@dataclass(slots=True, eq=False)
class MemoryPeople:
    """Fits ``video_rooms.ports.PeopleStore``."""

    away: bool = False
    lines: dict[_Key, Person] = field(default_factory=dict)
    bans: dict[_Key, datetime] = field(default_factory=dict)
    claims: dict[_Key, Claim] = field(default_factory=dict)
    reports: dict[str, datetime] = field(default_factory=dict)

    async def put(self, person: Person) -> None:
        self._answer()
        self.lines[person.room_id, person.identity] = person

    async def change(
        self, room_id: str, identity: str, edit: Callable[[Person | None], Person | None]
    ) -> Person | None:
        self._answer()
        known = self.lines.get((room_id, identity))
        edited = edit(known)
        if edited is None:
            return known
        self.lines[room_id, identity] = edited
        return edited

    async def drop(self, room_id: str, identity: str) -> None:
        self._answer()
        self.lines.pop((room_id, identity), None)

    async def clear(self, room_id: str, session: str) -> None:
        self._answer()
        for key, line in list(self.lines.items()):
            if key[0] == room_id and line.presence is Presence.LEFT and line.session != session:
                del self.lines[key]

    async def of(self, room_id: str) -> tuple[Person, ...]:
        self._answer()
        mine = (line for (room, _), line in self.lines.items() if room == room_id)
        return tuple(sorted(mine, key=lambda line: (line.joined_at or _NEVER, line.identity)))

    async def one(self, room_id: str, identity: str) -> Person | None:
        self._answer()
        return self.lines.get((room_id, identity))

    async def outside(self) -> tuple[Person, ...]:
        self._answer()
        called = (Presence.PENDING, Presence.RINGING)
        found = (
            line
            for line in self.lines.values()
            if line.presence in called or (line.presence is Presence.WAITING and not line.sid)
        )
        return tuple(sorted(found, key=lambda line: (line.room_id, line.identity)))

    async def sessions(self) -> tuple[str, ...]:
        self._answer()
        here = (Presence.JOINED, Presence.WAITING)
        return tuple(sorted({one.session for one in self.lines.values() if one.presence in here and one.sid}))

    async def ban(self, ban: Ban) -> None:
        self._answer()
        key = ban.live_name, ban.identity
        self.bans[key] = max(ban.at, self.bans.get(key, ban.at))

    async def ban_of(self, live_name: str, identity: str) -> Ban | None:
        self._answer()
        at = self.bans.get((live_name, identity))
        return None if at is None else Ban(live_name, identity, at)

    async def bans_of(self, live_name: str) -> Mapping[str, Ban]:
        self._answer()
        return {one: Ban(name, one, at) for (name, one), at in self.bans.items() if name == live_name}

    async def first_time(self, event_id: str, at: datetime) -> bool:
        self._answer()
        if event_id in self.reports:
            return False
        self.reports[event_id] = at
        return True

    async def not_taken(self, event_id: str) -> None:
        self._answer()
        self.reports.pop(event_id, None)

    async def claim(
        self, live_name: str, identity: str, now: datetime, until: datetime, *, member: bool = False
    ) -> bool:
        self._answer()
        held = self.claims.get((live_name, identity))
        if held is None or held.until <= now:
            self.claims[live_name, identity] = Claim(member, until)
            return True
        if member:
            self.claims[live_name, identity] = Claim(True, max(until, held.until))
        return member and held.member

    async def purge(self, before: datetime) -> None:
        self._answer()
        self.bans = {key: at for key, at in self.bans.items() if at >= before}
        self.claims = {key: claim for key, claim in self.claims.items() if claim.until >= before}
        self.reports = {event: at for event, at in self.reports.items() if at >= before}

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable


@dataclass(slots=True, eq=False)
class MemoryInvites:
    """Fits ``video_rooms.ports.InviteStore``."""

    away: bool = False
    rows: dict[str, Invite] = field(default_factory=dict)

    async def add(self, invite: Invite) -> None:
        self._answer()
        self.rows[invite.id] = invite

    async def of_room(
        self, tenant: TenantId, room_id: str, *, expired_too: bool, now: datetime, limit: int
    ) -> tuple[Invite, ...]:
        self._answer()
        mine = [one for one in self.rows.values() if (one.tenant, one.room_id) == (tenant, room_id)]
        shown = [one for one in mine if expired_too or one.expires_at > now]
        return tuple(sorted(shown, key=lambda one: (one.created_at, one.id), reverse=True)[:limit])

    async def revoke(self, tenant: TenantId, room_id: str, invite_id: str, at: datetime) -> bool:
        self._answer()
        known = self.rows.get(invite_id)
        if known is None or (known.tenant, known.room_id) != (tenant, room_id):
            return False
        self.rows[invite_id] = replace(known, revoked_at=known.revoked_at or at)
        return True

    async def find(self, token: str, now: datetime) -> Invite | None:
        self._answer()
        known = next((one for one in self.rows.values() if one.token == token), None)
        return known if known is not None and _good(known, now) else None

    async def use(self, token: str, now: datetime) -> Invite | None:
        known = await self.find(token, now)
        if known is None:
            return None
        used = self.rows[known.id] = replace(known, uses_count=known.uses_count + 1)
        return used

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable


def _good(invite: Invite, now: datetime) -> bool:
    left = invite.max_uses is None or invite.uses_count < invite.max_uses
    return left and invite.revoked_at is None and invite.expires_at > now
