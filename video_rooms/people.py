"""Rosters as they change: every change is told to the world once, by whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from video_rooms.core.room import Person, Presence, Room
from video_rooms.core.roster import LOST, left, missing, told
from video_rooms.core.told import person_told
from video_rooms.ports import PeopleStore, RoomAnnouncer

Edit = Callable[[Person | None], Person | None]


@dataclass(frozen=True, slots=True)
class Changed:
    """A line before and after. ``after`` None: there is no such line."""

    before: Person | None
    after: Person | None


class Roster:
    """The lines of rooms' rosters. Whoever writes one writes it here, and the world is told what follows."""

    def __init__(self, store: PeopleStore, announcer: RoomAnnouncer) -> None:
        self._store = store
        self._announcer = announcer

    async def of(self, room_id: str) -> tuple[Person, ...]:
        return await self._store.of(room_id)

    async def one(self, room_id: str, identity: str) -> Person | None:
        return await self._store.one(room_id, identity)

    async def change(self, room: Room, identity: str, edit: Edit) -> Changed:
        """Make of the line what ``edit`` says; None leaves it. Two changes at once follow one another."""
        seen: list[Person | None] = [None]

        def noted(before: Person | None) -> Person | None:
            seen[0] = before
            return edit(before)

        after = await self._store.change(room.id, identity, noted)
        changed = Changed(seen[0], after)
        for kind, line in told(changed.before, changed.after):
            self._announcer.tell(room.tenant, kind, room.id, person_told(line))
        return changed

    async def drop(self, room: Room, identity: str) -> None:
        """Take the line off, untold."""
        await self._store.drop(room.id, identity)

    async def all_left(self, room: Room, at: datetime, why: str) -> None:
        """Nobody is there any more, nor waits, nor is called."""
        for line in await self._store.of(room.id):
            if line.presence is not Presence.LEFT:
                await self.change(
                    room, line.identity, lambda one: None if one is None else left(one, at, why)
                )

    async def none_found(self, room: Room, at: datetime) -> None:
        """The media server's room is no more; who waits or is called outside it is not concerned."""
        for line in await self._store.of(room.id):
            if missing(line, room.live_name, at):
                await self.lost(room, line, at)

    async def lost(self, room: Room, line: Person, at: datetime) -> None:
        """This coming is over: it was not found. One that has begun since stays."""

        def edit(before: Person | None) -> Person | None:
            return left(before, at, LOST) if before is not None and before.sid == line.sid else None

        await self.change(room, line.identity, edit)

    async def forget_others(self, room: Room) -> None:
        """A new session has begun: who was in an earlier one stands on the roster no more."""
        await self._store.clear(room.id, room.live_name)
