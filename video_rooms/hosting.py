"""What hosts do to people in their rooms: let in from the lobby, send away, put out, mute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from telephony.errors import NotFound, RoomsUnavailable
from video_rooms.core.bans import ban_now
from video_rooms.core.live import PASS, MediaKind
from video_rooms.core.lobby import LET_IN, stands_waiting
from video_rooms.core.room import Person, Presence, Role, Room, Status
from video_rooms.core.roster import DENIED, KICKED, LOST, left
from video_rooms.lives import Lives
from video_rooms.people import Roster
from video_rooms.ports import PeopleStore, PhonesInRooms, RoomServer
from video_rooms.sightings import Watched


class Hosting:
    """Telephones that are not in the media server's room are asked of ``phones`` first. All raise NotFound
    where nobody of this identity is there (or waits), RoomsUnavailable."""

    def __init__(
        self,
        server: RoomServer,
        people: PeopleStore,
        roster: Roster,
        lives: Lives,
        phones: PhonesInRooms,
        watched: Watched,
        now: Callable[[], datetime],
    ) -> None:
        self._server = server
        self._people = people
        self._roster = roster
        self._lives = lives
        self._phones = phones
        self._watched = watched
        self._now = now

    async def kick(self, room: Room, identity: str) -> None:
        """Put somebody out. First their pass is closed: whoever comes with it again is put out again. So it
        is where the media server is away (RoomsUnavailable), which alone knows whether anybody of this
        identity is there: the first look after its return puts them out."""
        if self._phones.put_out(room.id, identity):
            await self._off(room, identity, KICKED)
            return
        line = await self._roster.one(room.id, identity)
        known = line is not None and line.presence is not Presence.LEFT
        try:
            live = await self._attributes(room, identity)
        except RoomsUnavailable:
            live = {}
        if live is None and not known:
            raise _nobody()
        await self._put_out(room, identity, live or {}, KICKED)

    async def deny(self, room: Room, identity: str) -> None:
        """Send somebody away who waits, as ``kick`` does. With a new pass they may wait again."""
        if self._phones.deny(room.id, identity):
            await self._off(room, identity, DENIED)
            return
        if not stands_waiting(await self._roster.one(room.id, identity)):
            raise _nobody()
        try:
            live = await self._attributes(room, identity)
        except RoomsUnavailable:
            live = None
        await self._put_out(room, identity, live or {}, DENIED)

    async def admit(self, room: Room, identity: str) -> Person:
        """Let somebody in who waits. It is written down first: where the media server is not told now, the
        next look sees to it."""
        if self._phones.admit(room.id, identity):
            line = await self._roster.one(room.id, identity)
            if line is not None:
                return line
        if not stands_waiting(await self._roster.one(room.id, identity)):
            raise _nobody()
        live = await self._attributes(room, identity)
        at = self._now()

        def let_in(line: Person | None) -> Person | None:
            if line is None or not stands_waiting(line):
                return None
            if live is None:
                return left(line, at, LOST)
            return replace(line, presence=Presence.JOINED, joined_at=at, admitted=live.get(PASS, ""))

        line = (await self._roster.change(room, identity, let_in)).after
        if live is None or line is None or line.presence is not Presence.JOINED:
            raise _nobody()
        if not await self._server.update(room.live_name, identity, attributes=LET_IN, let_in=True):
            raise _nobody()
        if room.room_sid is not None and line.role is not Role.AGENT:
            await self._lives.began(room, room.room_sid, at)
        return line

    async def mute(self, room: Room, identity: str, kind: MediaKind) -> None:
        """The right to speak stays: they may unmute themselves."""
        if room.status is Status.ENDED or not await self._server.mute(room.live_name, identity, kind):
            raise _nobody()
        if kind == "audio":
            await self._roster.change(
                room, identity, lambda line: None if line is None else replace(line, muted=True)
            )

    async def _put_out(self, room: Room, identity: str, live: Mapping[str, str], why: str) -> None:
        await self._people.ban(ban_now(room.live_name, identity, live, self._now()))
        self._watched.add(room.live_name)
        await self._off(room, identity, why)
        try:
            await self._server.remove(room.live_name, identity)
        except RoomsUnavailable as away:
            told = "the media server is away; they are out as soon as it is back, and their token is closed"
            raise RoomsUnavailable(told) from away

    async def _off(self, room: Room, identity: str, why: str) -> None:
        at = self._now()
        await self._roster.change(room, identity, lambda line: None if line is None else _out(line, at, why))

    async def _attributes(self, room: Room, identity: str) -> Mapping[str, str] | None:
        """Those of whoever is there; None: nobody is."""
        found = await self._server.people(room.live_name)
        return next((person.attributes for person in found if person.identity == identity), None)


def _out(line: Person, at: datetime, why: str) -> Person:
    return replace(line if line.presence is Presence.LEFT else left(line, at, why), admitted="")


def _nobody() -> NotFound:
    return NotFound("nobody of this identity is there")
