"""The way into a room: a live session at the media server, and a pass into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from telephony.errors import Conflict, NotFound, RoomsUnavailable
from telephony.ids import TenantId
from video_rooms.core import life
from video_rooms.core.bans import pass_time
from video_rooms.core.grants import Who, grant, lifetime_s
from video_rooms.core.live import LiveRoom
from video_rooms.core.room import Ban, Role, Room, Status
from video_rooms.core.roster import counts
from video_rooms.core.wishes import Pass
from video_rooms.lives import MEDIA_LOST, Lives
from video_rooms.ports import Chances, PeopleStore, RoomServer, RoomStore

_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the media server keeps a room in which nobody is yet, and one that all have left, seconds.
    Whoever comes later begins it anew."""

    empty_s: int = 3600
    departure_s: int = 60


class Doors:
    """Opens live sessions and lets people in."""

    def __init__(
        self,
        server: RoomServer,
        rooms: RoomStore,
        people: PeopleStore,
        lives: Lives,
        chances: Chances,
        now: Callable[[], datetime],
        timeouts: Timeouts = Timeouts(),  # why: it never changes
    ) -> None:
        self._server = server
        self._rooms = rooms
        self._people = people
        self._lives = lives
        self._chances = chances
        self._now = now
        self._timeouts = timeouts

    async def made(self, name: str, room_id: str, max_people: int) -> LiveRoom:
        """The media server's room of this name. Raises RoomsUnavailable."""
        return await self._server.create(
            name,
            max_people=max_people,
            metadata=f'{{"room_id":"{room_id}"}}',
            empty_timeout_s=self._timeouts.empty_s,
            departure_timeout_s=self._timeouts.departure_s,
        )

    async def open(self, tenant: TenantId, room_id: str) -> Room:
        """The room, with a live session at the media server, which is begun where there is none. Raises
        NotFound (not there, or ended), RoomsUnavailable."""
        for _ in range(_TRIES):
            room = await self._rooms.get(tenant, room_id)
            if room is None or room.status is Status.ENDED:
                break
            found = await self._server.rooms([room.live_name])
            if room.status is Status.LIVE and room.room_sid not in {one.sid for one in found}:
                await self._lives.gone(room, room.room_sid or "", self._now(), MEDIA_LOST)
                continue
            if found and found[0].sid == room.room_sid and room.gone_at is None:
                return room
            live = found[0] if found else await self.made(room.live_name, room.id, room.max_participants)
            stands = await self._stands(room, live.sid)
            if stands is not None:
                return stands
        else:
            raise RoomsUnavailable("the room changes faster than it can be entered")
        raise NotFound("there is no such room, or it has ended")

    async def vacate(self, room: Room) -> None:
        """Take its empty room off the media server, which never changes the number of people of one: it is
        made anew with another. Tokens open that one, too. Raises Conflict while anybody is in it (or has just
        left), RoomsUnavailable."""
        if room.status is Status.LIVE or await self._server.people(room.live_name):
            raise Conflict(
                "people are in the room: the media server keeps its max_participants until all have left"
            )
        await self._server.delete(room.live_name)

    async def let(self, room: Room, who: Who) -> Pass:
        """A pass into the room's live session. A new one opens it to whoever was put out before. Raises
        InvalidInput (how long it shall last), Conflict (``ROOM_FULL``) for a telephone."""
        if who.role is Role.PHONE and not await self.has_space(room):
            raise Conflict("the room is full", code="ROOM_FULL")
        now = self._now()
        until = now + timedelta(seconds=lifetime_s(who))
        if who.member:
            await self._take_over(room, who.identity, now, until)
        at = pass_time(now, await self._people.ban_of(room.live_name, who.identity))
        granted = grant(room, who, self._chances.pass_id(at), at)
        return Pass(
            token=self._server.token(granted),
            url=self._server.near_url if who.role is Role.PHONE else self._server.url,
            room=room,
            identity=who.identity,
            display_name=who.name,
            expires_at=granted.expires_at,
            waiting=granted.waiting,
        )

    async def has_space(self, room: Room) -> bool:
        """Whether one more may come in, telephones counted. Raises RoomsUnavailable."""
        # why people are counted here: the number that a room itself tells is some seconds old
        there = await self._server.people(room.live_name)
        return sum(counts(person) for person in there) < room.max_participants

    async def _take_over(self, room: Room, identity: str, now: datetime, until: datetime) -> None:
        """A member's identity is theirs: a guest who chose the same one before is put out by it."""
        if not await self._people.claim(room.live_name, identity, now, until, member=True):
            await self._people.ban(Ban(room.live_name, identity, now))

    async def _stands(self, room: Room, sid: str) -> Room | None:
        """Written down that the media server has it; None where it is in another session or over by now."""
        at = self._now()

        def stands(known: Room) -> Room:
            same = known.live_name == room.live_name and known.status is not Status.ENDED
            return life.stands(known, sid, at) if same else known

        known = await self._rooms.change(room.tenant, room.id, stands)
        if known is None or known.status is Status.ENDED:
            await self._server.delete(room.live_name)
            return None
        return known if known.live_name == room.live_name else None
