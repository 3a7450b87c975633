"""Scheduled rooms. Fits ``gateway.http.ports_rooms.ScheduledRooms`` and ``video_rooms.ports.Entrance``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from telephony.errors import Conflict, NotFound, RoomsUnavailable
from telephony.ids import TenantId
from video_rooms.core import schedule
from video_rooms.core.changes import check_plan, replanned
from video_rooms.core.changes import why as plan_change
from video_rooms.core.grants import Who
from video_rooms.core.ics import WayIn, calendar
from video_rooms.core.live import MediaKind
from video_rooms.core.room import Person, Presence, Role, Room, Status
from video_rooms.core.told import room_told
from video_rooms.core.wishes import Detail, JoinWish, NewRoom, Pass, RoomChange, Scheduled
from video_rooms.doors import Doors
from video_rooms.hosting import Hosting
from video_rooms.lives import Lives
from video_rooms.people import Roster
from video_rooms.ports import Chances, PinTaken, RoomAnnouncer, RoomServer, RoomStore
from video_rooms.recordings import Recordings

PIN_DIGITS: Final = 9
_PIN_TRIES: Final = 8
_HOST: Final = "Host"


@dataclass(frozen=True, slots=True)
class RoomParts:
    """What rooms are made of. ``way_in`` tells what a calendar file says about getting in."""

    server: RoomServer
    rooms: RoomStore
    roster: Roster
    lives: Lives
    doors: Doors
    hosting: Hosting
    recordings: Recordings
    announcer: RoomAnnouncer
    chances: Chances
    now: Callable[[], datetime]
    way_in: Callable[[Room], WayIn] = lambda room: WayIn()


class KeptRooms:
    """Every verb knows the tenant; another one's room is not there."""

    def __init__(self, parts: RoomParts) -> None:
        self._parts = parts

    # ------------------------------------------------------------ the plan

    async def schedule(self, tenant: TenantId, wanted: NewRoom) -> Scheduled:
        """Keep a room. The media server makes its own at once, so that its name there is known. Raises
        InvalidInput, RoomsUnavailable, StorageUnavailable."""
        check_plan(wanted.scheduled_at, wanted.recurrence)
        parts, at = self._parts, self._parts.now()
        room_id, name = wanted.id or parts.chances.uuid(), parts.lives.fresh_name(tenant)
        live = await parts.doors.made(name, room_id, wanted.max_participants)
        room = Room(
            id=room_id,
            tenant=tenant,
            name=wanted.name,
            host_user_id=wanted.host_user_id,
            status=Status.SCHEDULED,
            live_name=name,
            room_sid=live.sid,
            scheduled_at=wanted.scheduled_at,
            started_at=None,
            ended_at=None,
            recording_enabled=wanted.recording_enabled,
            recording_url=None,
            max_participants=wanted.max_participants,
            settings=wanted.settings,
            created_at=at,
            updated_at=at,
            duration_minutes=wanted.duration_minutes,
            waiting_room=wanted.waiting_room,
            recurrence=wanted.recurrence,
        )
        room = await self._added(room, wanted.dial_in)
        parts.announcer.tell(tenant, "room.scheduled", room.id, room_told(room, why="new"))
        host = await parts.doors.let(room, Who(wanted.host_user_id, _HOST, Role.HOST))
        return Scheduled(room, host)

    async def page(self, tenant: TenantId, status: Status | None, limit: int) -> Sequence[Room]:
        """See the port."""
        return await self._parts.rooms.page(tenant, status, limit)

    async def detail(self, tenant: TenantId, room_id: str) -> Detail:
        """See the port."""
        room = await self._room(tenant, room_id)
        return Detail(room, await self._parts.roster.of(room.id))

    async def change(self, tenant: TenantId, room_id: str, wanted: RoomChange) -> Room:
        """See the port."""
        parts, at = self._parts, self._parts.now()
        before = await self._room(tenant, room_id)
        resized = wanted.max_participants not in (None, before.max_participants)
        if resized and before.status is not Status.ENDED:
            replanned(before, wanted, at)  # what is wrong with it is told before anything is done
            await parts.doors.vacate(before)
        after = await self._planned(tenant, room_id, lambda known: replanned(known, wanted, at))
        if resized:
            with suppress(RoomsUnavailable, NotFound):  # whoever comes next has it made, too
                after = await parts.doors.open(tenant, room_id)
        if after.status is Status.LIVE and after.recording_enabled and not before.recording_enabled:
            parts.recordings.begin(after)
        return after

    async def skip(self, tenant: TenantId, room_id: str, occurrence: datetime) -> Room:
        """See the port. Raises Conflict where it is the last one."""
        at = self._parts.now()
        return await self._planned(
            tenant, room_id, lambda room: schedule.skipped(room, occurrence, at), "occurrence_skipped"
        )

    async def move(self, tenant: TenantId, room_id: str, occurrence: datetime, to: datetime) -> Room:
        """See the port. Raises Conflict where another one begins at that moment."""
        at = self._parts.now()
        return await self._planned(
            tenant, room_id, lambda room: schedule.moved(room, occurrence, to, at), "occurrence_moved"
        )

    async def calendar(self, tenant: TenantId, room_id: str) -> str:
        """See the port."""
        room = await self._room(tenant, room_id)
        return calendar(room, self._parts.way_in(room))

    # ------------------------------------------------------------ the live session

    async def join(self, tenant: TenantId, room_id: str, wish: JoinWish) -> Pass:
        """See the port."""
        room = await self._parts.doors.open(tenant, room_id)
        who = Who(
            wish.identity,
            wish.display_name,
            wish.role,
            wish.ttl_s,
            user_id=wish.user_id,
            contact_id=wish.contact_id,
        )
        return await self._parts.doors.let(room, who)

    async def end(self, tenant: TenantId, room_id: str) -> Room:
        """See the port. It has ended even where the media server does not answer (RoomsUnavailable): who is
        in it then is put out as soon as that is there again."""
        parts = self._parts
        room = await parts.lives.ended(await self._room(tenant, room_id))
        if room.gone_at is None:
            await parts.server.delete(room.live_name)
            await parts.lives.cleared(room)
        return room

    async def start_recording(self, tenant: TenantId, room_id: str) -> str:
        """See the port."""
        room = await self._room(tenant, room_id)
        people = await self._parts.roster.of(room.id) if room.status is not Status.ENDED else ()
        live = room.status is Status.LIVE
        inside = [line for line in people if line.presence is Presence.JOINED]
        # why more than the status: the first is on the roster a moment before the room is written as live
        if not any(live or line.session == room.live_name for line in inside):
            raise Conflict("nobody is in the room")
        return await self._parts.recordings.start(room)

    async def stop_recording(self, tenant: TenantId, room_id: str) -> None:
        """See the port."""
        await self._parts.recordings.stop(await self._room(tenant, room_id))

    async def kick(self, tenant: TenantId, room_id: str, identity: str) -> None:
        """See the port."""
        await self._parts.hosting.kick(await self._room(tenant, room_id), identity)

    async def mute(self, tenant: TenantId, room_id: str, identity: str, kind: MediaKind) -> None:
        """See the port."""
        await self._parts.hosting.mute(await self._room(tenant, room_id), identity, kind)

    async def admit(self, tenant: TenantId, room_id: str, identity: str) -> Person:
        """See the port."""
        return await self._parts.hosting.admit(await self._room(tenant, room_id), identity)

    async def deny(self, tenant: TenantId, room_id: str, identity: str) -> None:
        """See the port."""
        await self._parts.hosting.deny(await self._room(tenant, room_id), identity)

    async def has_space(self, room: Room) -> bool:
        """Whether one more telephone may come in. Raises RoomsUnavailable."""
        return await self._parts.doors.has_space(room)

    # ------------------------------------------------------------ parts

    async def _room(self, tenant: TenantId, room_id: str) -> Room:
        room = await self._parts.rooms.get(tenant, room_id)
        if room is None:
            raise NotFound("there is no such room")
        return room

    async def _added(self, room: Room, dial_in: bool) -> Room:
        for _ in range(_PIN_TRIES):
            drawn = replace(room, pin=self._parts.chances.digits(PIN_DIGITS)) if dial_in else room
            try:
                await self._parts.rooms.add(drawn)
            except PinTaken:
                continue
            return drawn
        raise RoomsUnavailable("no PIN is free")

    async def _planned(
        self, tenant: TenantId, room_id: str, edit: Callable[[Room], Room], why: str = ""
    ) -> Room:
        """``why`` is told; empty: what became of the plan says it."""
        seen: list[Room] = []

        def open_only(room: Room) -> Room:
            if room.status is Status.ENDED:
                raise Conflict("the room has ended")
            seen[:] = [room]
            return edit(room)

        room = await self._parts.rooms.change(tenant, room_id, open_only)
        if room is None:
            raise NotFound("there is no such room")
        told = why or plan_change(seen[0], room)
        self._parts.announcer.tell(tenant, "room.scheduled", room.id, room_told(room, why=told))
        return room
