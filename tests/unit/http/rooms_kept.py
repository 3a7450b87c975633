"""Scheduled rooms behind the face and the invites to them: what fits their ports, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from telephony.errors import Conflict, NotFound
from telephony.ids import TenantId
from tests.unit.http.rooms_known import RoomsKnown
from video_rooms.core import schedule
from video_rooms.core.changes import replanned
from video_rooms.core.ics import WayIn, calendar
from video_rooms.core.live import MediaKind
from video_rooms.core.room import Invite, Person, Presence, Role, Room, Status
from video_rooms.core.wishes import Detail, InviteWish, JoinWish, NewRoom, Pass, RoomChange, Scheduled


@dataclass(eq=False)
class Kept:
    """Fits ``ScheduledRooms``."""

    behind: RoomsKnown

    async def schedule(self, tenant: TenantId, wanted: NewRoom) -> Scheduled:
        self.behind.check()
        self.behind.asked.append(wanted)
        now, number = self.behind.now(), self.behind.number()
        room = Room(
            id=wanted.id or self.behind.uuid(),
            tenant=tenant,
            name=wanted.name,
            host_user_id=wanted.host_user_id,
            status=Status.SCHEDULED,
            live_name=f"vr_{number}",
            room_sid=f"RM_{number}",
            scheduled_at=wanted.scheduled_at,
            started_at=None,
            ended_at=None,
            recording_enabled=wanted.recording_enabled,
            recording_url=None,
            max_participants=wanted.max_participants,
            settings=wanted.settings,
            created_at=now,
            updated_at=now,
            duration_minutes=wanted.duration_minutes,
            waiting_room=wanted.waiting_room,
            recurrence=wanted.recurrence,
            pin=f"{number:09d}" if wanted.dial_in else "",
        )
        self.behind.kept[room.id], self.behind.people[room.id] = room, {}
        host = JoinWish(wanted.host_user_id, wanted.host_user_id, Role.HOST)
        way_in = self.behind.way_in(room, host)
        self.behind.people[room.id].clear()
        return Scheduled(room, way_in)

    async def page(self, tenant: TenantId, status: Status | None, limit: int) -> Sequence[Room]:
        self.behind.check()
        ours = [room for room in self.behind.kept.values() if room.tenant == tenant]
        return [room for room in reversed(ours) if status in (None, room.status)][:limit]

    async def detail(self, tenant: TenantId, room_id: str) -> Detail:
        room = self.behind.find(tenant, room_id)
        return Detail(room, tuple(self.behind.people[room_id].values()))

    async def join(self, tenant: TenantId, room_id: str, wish: JoinWish) -> Pass:
        return self.behind.way_in(self._open(tenant, room_id), wish)

    async def end(self, tenant: TenantId, room_id: str) -> Room:
        room = self.behind.find(tenant, room_id)
        if room.status is not Status.ENDED:
            room = self._put(room, status=Status.ENDED, ended_at=self.behind.now())
        return room

    async def start_recording(self, tenant: TenantId, room_id: str) -> str:
        self._open(tenant, room_id)
        if not self.behind.people[room_id]:
            raise Conflict("nobody is in the room")
        return self.behind.recording.setdefault(room_id, f"EG_{self.behind.number()}")

    async def stop_recording(self, tenant: TenantId, room_id: str) -> None:
        self.behind.find(tenant, room_id)
        self.behind.recording.pop(room_id, None)

    async def kick(self, tenant: TenantId, room_id: str, identity: str) -> None:
        self.behind.find(tenant, room_id)
        self._person(room_id, identity, Presence.JOINED)
        del self.behind.people[room_id][identity]

    async def mute(self, tenant: TenantId, room_id: str, identity: str, kind: MediaKind) -> None:
        self.behind.find(tenant, room_id)
        person = self._person(room_id, identity, Presence.JOINED)
        self.behind.asked.append(kind)
        self.behind.people[room_id][identity] = replace(person, muted=True)

    async def admit(self, tenant: TenantId, room_id: str, identity: str) -> Person:
        self.behind.find(tenant, room_id)
        person = self._person(room_id, identity, Presence.WAITING)
        person = replace(person, presence=Presence.JOINED, joined_at=self.behind.now())
        self.behind.people[room_id][identity] = person
        return person

    async def deny(self, tenant: TenantId, room_id: str, identity: str) -> None:
        self.behind.find(tenant, room_id)
        del self.behind.people[room_id][self._person(room_id, identity, Presence.WAITING).identity]

    async def change(self, tenant: TenantId, room_id: str, wanted: RoomChange) -> Room:
        room = self.behind.find(tenant, room_id)
        if room.status is Status.ENDED:
            raise Conflict("the room has ended")
        self.behind.asked.append(wanted)
        if wanted.max_participants is not None and self.behind.people[room_id]:
            raise Conflict("people are in the room")
        changed = self.behind.kept[room_id] = replanned(room, wanted, self.behind.now())
        return changed

    async def skip(self, tenant: TenantId, room_id: str, occurrence: datetime) -> Room:
        room = self.behind.find(tenant, room_id)
        changed = schedule.skipped(room, occurrence, self.behind.now())
        return self._put(room, recurrence=changed.recurrence)

    async def move(self, tenant: TenantId, room_id: str, occurrence: datetime, to: datetime) -> Room:
        room = self.behind.find(tenant, room_id)
        return self._put(room, recurrence=schedule.moved(room, occurrence, to, self.behind.now()).recurrence)

    async def calendar(self, tenant: TenantId, room_id: str) -> str:
        return calendar(self.behind.find(tenant, room_id), WayIn())

    def _open(self, tenant: TenantId, room_id: str) -> Room:
        room = self.behind.find(tenant, room_id)
        if room.status is Status.ENDED:
            raise NotFound("the room has ended")
        return room

    def _person(self, room_id: str, identity: str, presence: Presence) -> Person:
        person = self.behind.people[room_id].get(identity)
        if person is None or person.presence is not presence:
            raise NotFound("there is nobody of that name")
        return person

    def _put(self, room: Room, **changes: Any) -> Room:
        changed = replace(room, sequence=room.sequence + 1, updated_at=self.behind.now(), **changes)
        self.behind.kept[room.id] = changed
        return changed


@dataclass(eq=False)
class Invites:
    """Fits ``RoomInvites``."""

    behind: RoomsKnown

    async def create(self, tenant: TenantId, room_id: str, wish: InviteWish) -> Invite:
        self.behind.find(tenant, room_id)
        now = self.behind.now()
        invite = Invite(
            id=wish.id or self.behind.uuid(),
            room_id=room_id,
            tenant=tenant,
            token=f"{self.behind.number():032d}",
            participant_name=wish.participant_name,
            expires_at=now + timedelta(hours=wish.expires_in_hours or 24),
            revoked_at=None,
            max_uses=wish.max_uses,
            uses_count=0,
            created_at=now,
        )
        self.behind.given[invite.id] = invite
        return invite

    async def page(
        self, tenant: TenantId, room_id: str, *, expired_too: bool, limit: int
    ) -> Sequence[Invite]:
        self.behind.find(tenant, room_id)
        now = self.behind.now()
        of_room = [invite for invite in self.behind.given.values() if invite.room_id == room_id]
        return [invite for invite in of_room if expired_too or invite.expires_at > now][:limit]

    async def revoke(self, tenant: TenantId, room_id: str, invite_id: str) -> None:
        self.behind.find(tenant, room_id)
        invite = self.behind.given.get(invite_id)
        if invite is None or invite.room_id != room_id:
            raise NotFound("there is no such invite")
        self.behind.given[invite_id] = replace(invite, revoked_at=self.behind.now())

    async def redeem(self, token: str, display_name: str, identity: str | None) -> Pass:
        self.behind.check()
        now = self.behind.now()
        found = [
            invite
            for invite in self.behind.given.values()
            if invite.token == token and invite.revoked_at is None and invite.expires_at > now
        ]
        if not found or found[0].uses_count >= (found[0].max_uses or 10**6):
            raise NotFound("there is no such invite")
        invite = found[0]
        self.behind.given[invite.id] = replace(invite, uses_count=invite.uses_count + 1)
        guest = identity or f"guest_{self.behind.number():08x}"
        wish = JoinWish(guest, display_name, Role.PARTICIPANT)
        return self.behind.way_in(self.behind.kept[invite.room_id], wish)
