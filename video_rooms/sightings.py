"""Who comes and goes, as the media server tells or shows it: written onto rosters, and whoever was put out
kept out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from video_rooms.core import life
from video_rooms.core.bans import opens
from video_rooms.core.live import LivePerson
from video_rooms.core.lobby import LET_IN, was_admitted
from video_rooms.core.room import Ban, Person, Presence, Role, Room, Status
from video_rooms.core.roster import ROOM_ENDED, came, is_seen, left, line_of, missing, went
from video_rooms.lives import Lives
from video_rooms.people import Changed, Roster
from video_rooms.ports import PeopleStore, PhonesInRooms, RoomServer

_JUST_CAME: Final = timedelta(seconds=2)
"""Who came so shortly before a look may be missing in it: clocks differ, and a look takes a moment."""
_WATCH_S: Final = 600.0


class Watched:
    """Live sessions in which somebody was put out of late, and may try again: they are looked at more often.
    ``mono`` tells seconds that never go back."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._until: dict[str, float] = {}

    def add(self, live_name: str) -> None:
        self._until[live_name] = self._mono() + _WATCH_S

    def names(self) -> tuple[str, ...]:
        now = self._mono()
        self._until = {name: until for name, until in self._until.items() if until > now}
        return tuple(self._until)


class Sightings:
    """``came`` and ``went`` are reports, maybe late; ``looked`` is how it stands. ``kept_out`` counts how
    often somebody was put out again."""

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
        self.kept_out = 0

    async def came(self, room: Room, person: LivePerson) -> None:
        """Somebody has come, it is reported. Raises RoomsUnavailable where they must be put out and cannot
        be; a look makes up for it."""
        if not is_seen(person):
            return
        ban = await self._people.ban_of(room.live_name, person.identity)
        if not opens(person.attributes, ban, self._now()):
            await self._keep_out(room, person.identity, ban)
            return
        await self._here(room, person, seen=False)

    async def went(
        self, room: Room, person: LivePerson, at: datetime, why: str, *, known_only: bool = False
    ) -> None:
        """Somebody has gone, it is reported. ``known_only``: they may never have been there."""
        if not is_seen(person):
            return
        ban = await self._people.ban_of(room.live_name, person.identity)
        banned = not opens(person.attributes, ban, self._now())
        line = line_of(room, person)

        def edit(before: Person | None) -> Person | None:
            known = before is not None and before.sid == line.sid
            return went(before, line, at, why) if known or not (banned or known_only) else None

        changed = await self._roster.change(room, person.identity, edit)
        if changed.after is not None and not banned and not known_only:
            await self._begun(room, changed.after, line)

    async def looked(self, room: Room, found: Sequence[LivePerson], asked_at: datetime) -> None:
        """These are there now, and nobody else. Raises RoomsUnavailable, see ``came``."""
        bans = await self._people.bans_of(room.live_name)
        lines = {line.identity: line for line in await self._roster.of(room.id)}
        there = [person for person in found if is_seen(person)]
        for person in there:
            if not opens(person.attributes, bans.get(person.identity), asked_at):
                await self._again_out(room, person.identity)
            else:
                await self._here(room, person, seen=True, known=lines)
        present = {person.identity for person in there}
        for identity, line in lines.items():
            if identity not in present and missing(line, room.live_name, asked_at - _JUST_CAME):
                await self._roster.lost(room, line, asked_at)

    async def _here(
        self, room: Room, person: LivePerson, *, seen: bool, known: Mapping[str, Person] | None = None
    ) -> None:
        line = line_of(room, person)

        def edit(before: Person | None) -> Person:
            admitted = was_admitted(before, room.live_name, person.attributes)
            now = came(before, line, seen=seen, admitted=admitted)
            return _of_ended(room, now) if now.sid == line.sid else now

        before = None if known is None else known.get(person.identity)
        if before is not None and edit(before) == before:
            changed = Changed(before, before)
        else:
            changed = await self._roster.change(room, person.identity, edit)
        after = changed.after
        if after is None:
            return
        await self._begun(room, after, line)
        if after.sid != person.sid:
            return
        if line.presence is Presence.WAITING and after.presence is Presence.JOINED:
            await self._server.update(room.live_name, person.identity, attributes=LET_IN, let_in=True)
        came_now = changed.before is None or changed.before.presence is not Presence.JOINED
        if after.role is Role.HOST and after.presence is Presence.JOINED and came_now:
            self._phones.host_came(room.id)

    async def _begun(self, room: Room, after: Person, line: Person) -> None:
        """A room in which somebody is is live, and one in which somebody was has been."""
        latest, sid = after.sid == line.sid, room.room_sid
        inside = line.presence is Presence.JOINED or (latest and after.presence is Presence.JOINED)
        at = after.joined_at if latest else line.joined_at
        if not inside or line.role is Role.AGENT or at is None or sid is None:
            return
        if life.began(room, sid, at, "") is not room:
            await self._lives.began(room, sid, at)

    async def _keep_out(self, room: Room, identity: str, ban: Ban | None) -> None:
        """The report may be old: whoever has come since with a fresh pass stays."""
        self._watched.add(room.live_name)
        for person in await self._server.people(room.live_name):
            if person.identity == identity and not opens(person.attributes, ban, self._now()):
                await self._again_out(room, identity)

    async def _again_out(self, room: Room, identity: str) -> None:
        self._watched.add(room.live_name)
        self.kept_out += await self._server.remove(room.live_name, identity)


def _of_ended(room: Room, line: Person) -> Person:
    """Nobody is in a room that has ended, however late it is told that they came."""
    if room.status is not Status.ENDED or room.ended_at is None or line.presence is Presence.LEFT:
        return line
    return left(line, room.ended_at, ROOM_ENDED)
