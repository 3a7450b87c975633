"""Video rooms behind the face: what fits its ports, in memory, and what a test does with it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dialplan.core.call import Endpoint, HoldMusic, VideoRoom
from dialplan.fakes import ManualClock
from gateway.http.ports_rooms import VideoRooms
from telephony.errors import Conflict, InvalidInput, NotAuthenticated, NotFound, RoomsUnavailable
from telephony.ids import CallId, TenantId
from telephony.numbers import mask
from video_rooms.core import schedule
from video_rooms.core.changes import replanned
from video_rooms.core.ics import WayIn, calendar
from video_rooms.core.live import Kind, LivePerson, LiveRoom, MediaKind
from video_rooms.core.room import Invite, Person, Presence, Role, Room, Status
from video_rooms.core.tape import RoomTape, TapeState
from video_rooms.core.wishes import (
    Adhoc,
    AdhocPage,
    AdhocWish,
    CallOut,
    Detail,
    InviteWish,
    JoinWish,
    NewRoom,
    Pass,
    RoomChange,
    Scheduled,
    Token,
)

VIDEO = "/api/v1/video"
KEPT = f"{VIDEO}/rooms-scheduled"
PASSING = f"{VIDEO}/rooms"
URL = "wss://media.example"
SIGNED = "signed-by-the-media-server"
FIRST = "2026-05-10T14:00:00Z"
TAPE = "EG_0000000000{}"
"""Each room of these tests has one recording, of this id."""


async def room_paths(client: Any) -> dict[str, str]:
    """An existing thing of the client's for every parameter of video's paths: a series with a guest in it,
    who is invited, and an ad-hoc room."""
    daily = {"rule": "FREQ=DAILY;COUNT=9", "timezone": "Europe/Berlin"}
    wanted = {"name": "Stand-up", "scheduled_at": FIRST, "recurrence": daily}
    room_id = (await client.post(KEPT, wanted)).data["room_id"]
    invite = (await client.post(f"{KEPT}/{room_id}/invites")).data
    assert (await client.post(f"{KEPT}/{room_id}/join", {"identity": "user_42"})).status == 200
    assert (await client.post(PASSING, {"name": "quick-sync"})).status == 201
    return {
        "id": room_id,
        "inviteId": invite["id"],
        "inviteToken": invite["invite_token"],
        "identity": "user_42",
        "occurrence": "20260511T140000Z",
        "name": "quick-sync",
        "recordingId": TAPE.format(room_id[-4:]),
        "file": "composite.mp4",
    }


@dataclass(eq=False)
class RoomsBehind:
    """Everything the stand-ins know. ``away``: the media server is; ``broken``: they have a defect."""

    clock: ManualClock
    kept: dict[str, Room] = field(default_factory=dict)
    people: dict[str, dict[str, Person]] = field(default_factory=dict)
    given: dict[str, Invite] = field(default_factory=dict)
    passing: dict[str, Adhoc] = field(default_factory=dict)
    recording: dict[str, str] = field(default_factory=dict)
    heard: list[bytes] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    broken_off: dict[str, str] = field(default_factory=dict)
    """Recordings that are incomplete, and why."""
    asked: list[Any] = field(default_factory=list)
    lines: dict[TenantId, tuple[str, ...]] = field(default_factory=dict)
    away: bool = False
    broken: bool = False
    _count: Any = field(default_factory=lambda: itertools.count(1))

    def clear(self) -> None:
        """As at the beginning."""
        for kept in (
            self.kept,
            self.people,
            self.given,
            self.passing,
            self.recording,
            self.broken_off,
            self.heard,
            self.asked,
            self.lines,
        ):
            kept.clear()
        self.away = self.broken = False

    def number(self) -> int:
        return int(next(self._count))

    def uuid(self) -> str:
        return str(UUID(int=self.number(), version=4))

    def now(self) -> datetime:
        return self.clock.wall()

    def check(self) -> None:
        if self.away:
            raise RoomsUnavailable
        if self.broken:
            raise ZeroDivisionError("a defect that nobody must read")

    def find(self, tenant: TenantId, room_id: str) -> Room:
        self.check()
        room = self.kept.get(room_id)
        if room is None or room.tenant != tenant:
            raise NotFound("there is no such room")
        return room

    def way_in(self, room: Room, wish: JoinWish) -> Pass:
        self.asked.append(wish)
        waits = room.waiting_room and wish.role is not Role.HOST
        self.people[room.id][wish.identity] = Person(
            room.id,
            wish.identity,
            wish.display_name,
            wish.role,
            Presence.WAITING if waits else Presence.JOINED,
            joined_at=None if waits else self.now(),
        )
        return Pass(
            token=f"token-{self.number()}",
            url=URL,
            room=room,
            identity=wish.identity,
            display_name=wish.display_name,
            expires_at=self.now() + timedelta(seconds=wish.ttl_s or 3600),
            waiting=waits,
        )

    def ports(self) -> VideoRooms:
        behind = Kept(self), Invites(self), Passing(self), Hook(self), Phones(self), Tapes(self)
        return VideoRooms(*behind, lines=lambda tenant: self.lines.get(tenant, ()))


@dataclass(eq=False)
class Kept:
    """Fits ``ScheduledRooms``."""

    behind: RoomsBehind

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

    behind: RoomsBehind

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


@dataclass(eq=False)
class Passing:
    """Fits ``AdhocRooms``."""

    behind: RoomsBehind

    async def create(self, tenant: TenantId, wish: AdhocWish) -> tuple[Adhoc, Token]:
        self.behind.check()
        self.behind.asked.append(wish)
        name = self._wire(tenant, wish.name)
        metadata = "" if wish.metadata is None else json.dumps(wish.metadata)
        room = LiveRoom(
            name, f"RM_{self.behind.number()}", 0, wish.max_participants or 0, self.behind.now(), metadata
        )
        adhoc = self.behind.passing.setdefault(name, Adhoc(room, wish.name))
        return adhoc, self._token(wish.host_identity)

    async def page(self, tenant: TenantId, *, cursor: str | None, limit: int) -> AdhocPage:
        self.behind.check()
        names = sorted(name for name in self.behind.passing if name.startswith(self._wire(tenant, "")))
        if cursor is not None and cursor not in names:
            raise InvalidInput("no such cursor", field="cursor", code="INVALID_CURSOR")
        rest = names[names.index(cursor) if cursor else 0 :]
        beyond = rest[limit] if len(rest) > limit else None
        return AdhocPage(tuple(self.behind.passing[name] for name in rest[:limit]), beyond, len(names))

    async def one(self, tenant: TenantId, name: str) -> Adhoc:
        self.behind.check()
        adhoc = self.behind.passing.get(self._wire(tenant, name))
        if adhoc is None:
            raise NotFound("there is no such room")
        return adhoc

    async def delete(self, tenant: TenantId, name: str) -> None:
        self.behind.check()
        self.behind.passing.pop(self._wire(tenant, name), None)

    async def token(self, tenant: TenantId, name: str, participant_name: str, metadata: str) -> Token:
        adhoc = await self.one(tenant, name)
        self.behind.asked.append((participant_name, metadata))
        person = LivePerson(
            "PA_1", participant_name, participant_name, Kind.STANDARD, self.behind.now(), True
        )
        room = replace(adhoc.room, people=len(adhoc.people) + 1)
        self.behind.passing[room.name] = Adhoc(room, adhoc.display_name, (*adhoc.people, person))
        return self._token(participant_name)

    def _wire(self, tenant: TenantId, name: str) -> str:
        prefix = f"tenant_{tenant}_"
        return name if name.startswith(prefix) else prefix + name

    def _token(self, identity: str) -> Token:
        return Token(f"token-{self.behind.number()}-{identity}", URL)


@dataclass(eq=False)
class Hook:
    """Fits ``RoomHook``."""

    behind: RoomsBehind

    async def heard(self, body: bytes, authorization: str) -> None:
        self.behind.check()
        if authorization != SIGNED:
            raise NotAuthenticated("the signature is not the media server's")
        self.behind.heard.append(body)


@dataclass(eq=False)
class Phones:
    """Fits ``RoomPhones``."""

    behind: RoomsBehind

    async def prepare(
        self, tenant: TenantId, room_id: str, wanted: CallOut, call_id: CallId
    ) -> tuple[Endpoint, Person]:
        room = self.behind.find(tenant, room_id)
        if room.status is Status.ENDED:
            raise NotFound("the room has ended")
        self.behind.asked.append(wanted)
        shown = wanted.display_name or ("Phone" if wanted.to.startswith("phone:") else mask(wanted.to))
        line = Person(room_id, f"phone_{call_id}", shown, Role.PHONE, Presence.PENDING, call_id=call_id)
        self.behind.people[room_id][line.identity] = line
        return HoldMusic(), line

    async def prepare_agent(
        self, tenant: TenantId, room_id: str, name: str, call_id: CallId
    ) -> tuple[VideoRoom, Person]:
        self.behind.find(tenant, room_id)
        self.behind.asked.append(name)
        line = Person(room_id, f"phone_{call_id}", name, Role.AGENT, Presence.PENDING, call_id=call_id)
        self.behind.people[room_id][line.identity] = line
        return VideoRoom("WebSocket/room0/c(slin16)nf(json)/0123456789abcdef", room_id), line

    async def forget(self, call_id: CallId) -> None:
        for people in self.behind.people.values():
            people.pop(f"phone_{call_id}", None)

    async def one(self, room_id: str, call_id: CallId) -> Person | None:
        return self.behind.people[room_id].get(f"phone_{call_id}")


@dataclass(eq=False)
class Tapes:
    """Fits ``RoomTapes``: one finished recording of every room."""

    behind: RoomsBehind

    async def get(self, tenant: TenantId, tape_id: str) -> RoomTape | None:
        found = [tape for room in self.behind.kept for tape in await self.of_room(tenant, room)]
        return next((tape for tape in found if tape.id == tape_id), None)

    async def of_room(self, tenant: TenantId, room_id: str) -> Sequence[RoomTape]:
        if self.behind.broken:
            self.behind.check()
        room = self.behind.kept[room_id]
        if room.tenant != tenant or room_id in self.behind.forgotten:
            return ()
        now, tape_id = self.behind.now(), TAPE.format(room_id[-4:])
        tape = RoomTape(tape_id, room_id, tenant, TapeState.READY, now, now, 61_000, 9_000, 2)
        return (replace(tape, why=self.behind.broken_off.get(tape_id, "")),)

    async def forget(self, tenant: TenantId, tape_id: str) -> bool:
        tape = await self.get(tenant, tape_id)
        if tape is None:
            return False
        self.behind.forgotten.add(tape.room_id)
        return True
