"""Rooms as they live: what is heard of the media server's rooms is written down, and what follows is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from telephony.ids import TenantId
from video_rooms.core import life
from video_rooms.core.life import BY_API, EMPTY, MEDIA_LOST, TIME_OVER
from video_rooms.core.names import live_name
from video_rooms.core.room import Room, Status
from video_rooms.core.roster import LOST, ROOM_ENDED
from video_rooms.core.told import room_told
from video_rooms.people import Roster
from video_rooms.ports import Chances, PhonesInRooms, RoomAnnouncer, RoomStore
from video_rooms.recordings import Recordings

__all__ = ["BY_API", "EMPTY", "MEDIA_LOST", "TIME_OVER", "Lives"]


class Lives:
    """Every change of a room's place in life goes through here. The world is told once: by whoever's change
    it was that brought it about. ``started`` and ``over`` (by why) count them."""

    def __init__(
        self,
        rooms: RoomStore,
        roster: Roster,
        recordings: Recordings,
        phones: PhonesInRooms,
        announcer: RoomAnnouncer,
        chances: Chances,
        now: Callable[[], datetime],
    ) -> None:
        self._rooms = rooms
        self._roster = roster
        self._recordings = recordings
        self._phones = phones
        self._announcer = announcer
        self._chances = chances
        self._now = now
        self.started = 0
        self.over: Counter[str] = Counter()

    def fresh_name(self, tenant: TenantId) -> str:
        """A live session's name that nobody had or can guess."""
        return live_name(tenant, self._chances.token())

    async def stands(self, room: Room, sid: str) -> Room:
        """The media server has a room for it that was not known."""
        at = self._now()

        def edit(known: Room) -> Room:
            waits = known.status is Status.SCHEDULED and known.live_name == room.live_name
            return life.stands(known, sid, at) if waits else known

        return (await self._change(room, edit))[1]

    async def began(self, room: Room, sid: str, at: datetime) -> Room:
        """Somebody was in the media server's room from this moment on."""
        fresh = self.fresh_name(room.tenant)
        before, after = await self._change(room, lambda known: life.began(known, sid, at, fresh), EMPTY)
        if before.status is Status.SCHEDULED and after.started_at is not None:
            self.started += 1
            await self._roster.forget_others(after)
            self._announcer.tell(room.tenant, "room.started", room.id, room_told(after))
            if after.recording_enabled and after.status is Status.LIVE:
                self._recordings.begin(after)
        if after.status is not before.status and after.status is not Status.LIVE:
            await self._over(before, after, EMPTY)
        return after

    async def gone(self, room: Room, sid: str, at: datetime, why: str) -> Room:
        """The media server's room is no more since this moment, or earlier."""
        fresh = self.fresh_name(room.tenant)
        before, after = await self._change(room, lambda known: life.gone(known, sid, at, fresh), why)
        if before.status is Status.LIVE and after.status is not Status.LIVE:
            await self._over(before, after, why)
        elif sid == before.room_sid:
            await self._roster.none_found(before, at)
        return after

    async def ended(self, room: Room) -> Room:
        """Its host has ended it."""
        at = self._now()
        before, after = await self._change(room, lambda known: life.ended(known, at), BY_API)
        if before.status is not Status.ENDED:
            await self._over(before, after, BY_API)
        return after

    async def timed_out(self, room: Room, at: datetime) -> Room:
        """Nobody is there at this moment; where no time of it is to come, it has waited long enough."""
        before, after = await self._change(room, lambda known: life.timed_out(known, at), TIME_OVER)
        if after.status is not before.status:
            await self._over(before, after, TIME_OVER)
        return after

    async def cleared(self, room: Room) -> None:
        """Nothing of an ended room is left at the media server."""
        at = self._now()
        await self._change(room, lambda known: life.cleared(known, at))

    async def _over(self, before: Room, after: Room, why: str) -> None:
        self.over[why] += 1
        await self._recordings.end(before)
        self._phones.room_over(before.id)
        found_out = ROOM_ENDED if why in (BY_API, TIME_OVER) else LOST
        await self._roster.all_left(before, after.ended_at or after.updated_at, found_out)
        ended = after.status is Status.ENDED
        told = room_told(after, why=why)
        self._announcer.tell(after.tenant, "room.ended" if ended else "room.scheduled", after.id, told)

    async def _change(self, room: Room, edit: Callable[[Room], Room], why: str = "") -> tuple[Room, Room]:
        seen = [room]

        def noted(known: Room) -> Room:
            seen[0] = known
            return life.explained(known, edit(known), why)

        after = await self._rooms.change(room.tenant, room.id, noted)
        return seen[0], after or room
