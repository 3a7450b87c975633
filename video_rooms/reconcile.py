"""A look at the media server every few seconds: what was not reported, or not heard, is found out.

Where the media server does not answer, nothing is concluded. Where it answers and has a live room no more
(it was started anew), the room is over, or waits for its next time, as after every other end.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from telephony.errors import PatchbayError, Unavailable
from video_rooms.core import life
from video_rooms.core.live import LiveRoom
from video_rooms.core.names import is_ours
from video_rooms.core.room import Presence, Room, Status
from video_rooms.core.roster import is_seen
from video_rooms.lives import MEDIA_LOST, Lives
from video_rooms.ports import PeopleStore, RoomServer, RoomStore
from video_rooms.recordings import Recordings
from video_rooms.sightings import Sightings, Watched

_log = structlog.get_logger("video_rooms.reconcile")

EVERY_S: Final = 3.0
WATCHED_EVERY_S: Final = 0.5
_PURGE_EVERY: Final = timedelta(hours=1)
_SWEEP_EVERY: Final = timedelta(minutes=1)
_BATCH: Final = 200
"""Rooms whose plans are read at a time."""
_KEPT: Final = timedelta(hours=25)
"""Longer than any pass lasts: who was put out cannot come back with one that is older."""


class Reconciler:
    """``tally`` counts ``looks``, looks that the media server left ``unanswered``, and ``broken`` ones."""

    def __init__(
        self,
        server: RoomServer,
        rooms: RoomStore,
        people: PeopleStore,
        sightings: Sightings,
        lives: Lives,
        recordings: Recordings,
        now: Callable[[], datetime],
    ) -> None:
        self._server = server
        self._rooms = rooms
        self._people = people
        self._sightings = sightings
        self._lives = lives
        self._recordings = recordings
        self._now = now
        self._tasks: list[asyncio.Task[None]] = []
        self.tally: Counter[str] = Counter()

    def start(self, watched: Watched) -> None:
        """Look now, and then again and again."""
        rounds = asyncio.create_task(self._rounds(), name="rooms-look")
        self._tasks = [rounds, asyncio.create_task(self._watch(watched), name="rooms-watch")]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def once(self) -> None:
        """One look at everything. Raises RoomsUnavailable, StorageUnavailable."""
        asked_at = self._now()
        unfinished = await self._rooms.unfinished()
        sessions = set(await self._people.sessions())
        live = {room.name: room for room in await self._server.rooms()}
        for room in unfinished:
            await self._one(self._compare(room, live.get(room.live_name), asked_at))
        known = {room.live_name for room in unfinished}
        for name, found in live.items():
            if name not in known and is_ours(name) and (found.people or name in sessions):
                await self._one(self._compare_unexpected(found, asked_at))
        for name in sessions - known - live.keys():
            await self._one(self._nobody_there(name, asked_at))

    async def look_at(self, names: tuple[str, ...]) -> None:
        """One look at these live sessions. Raises RoomsUnavailable, StorageUnavailable."""
        for name in names:
            asked_at = self._now()
            room = await self._rooms.of_live(name)
            if room is not None and room.status is not Status.ENDED:
                found = await self._server.people(name)
                if found:
                    await self._sightings.looked(room, found, asked_at)

    async def end_overdue(self) -> None:
        """End the rooms that nobody is in, and whose last time is long over. Raises RoomsUnavailable,
        StorageUnavailable."""
        at, last = self._now(), ""
        while batch := await self._rooms.begun_by(at, after=last, limit=_BATCH):
            for room in batch:
                await self._one(self._end_overdue(room, at))
            last = batch[-1].id

    async def resume(self) -> None:
        """After our own start: rooms that are live and to be recorded are, from now on. Raises
        StorageUnavailable."""
        for room in await self._rooms.unfinished():
            if room.status is Status.LIVE:
                await self._recordings.resume(room)

    async def _one(self, compared: Coroutine[object, object, None]) -> None:
        """A room that cannot be compared does not hold up the others."""
        try:
            await compared
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  # why: edge of one room; it is looked at again in the next round
            self.tally["broken"] += 1
            _log.exception("rooms.room_broken")

    async def _nobody_there(self, name: str, asked_at: datetime) -> None:
        """Somebody waited where the media server has no room any more."""
        room = await self._rooms.of_live(name)
        if room is not None and room.status is Status.SCHEDULED:
            await self._lives.gone(room, room.room_sid or "", asked_at, MEDIA_LOST)

    async def _compare(self, room: Room, found: LiveRoom | None, asked_at: datetime) -> None:
        if room.status is Status.ENDED:
            if found is not None:
                await self._server.delete(room.live_name)
            await self._lives.cleared(room)
        elif found is None or found.sid != room.room_sid:
            await self._lives.gone(room, room.room_sid or "", asked_at, MEDIA_LOST)
        else:
            await self._sightings.looked(room, await self._server.people(room.live_name), asked_at)

    async def _compare_unexpected(self, found: LiveRoom, asked_at: datetime) -> None:
        """Somebody is in a room of which nothing was heard, or that has ended: a media server that makes
        rooms by itself has begun it anew."""
        room = await self._rooms.of_live(found.name)
        if room is None:
            return
        if room.status is Status.ENDED:
            await self._server.delete(found.name)
            return
        room = await self._lives.stands(room, found.sid)
        if room.room_sid != found.sid:
            return
        await self._sightings.looked(room, await self._server.people(found.name), asked_at)

    async def _end_overdue(self, room: Room, at: datetime) -> None:
        """Whoever is in the media server's room, waits or is called, is waited for."""
        if life.timed_out(room, at) is room:
            return
        lines = await self._people.of(room.id)
        if any(line.presence is not Presence.LEFT for line in lines):
            return
        if not any(is_seen(person) for person in await self._server.people(room.live_name)):
            await self._lives.timed_out(room, at)

    async def _rounds(self) -> None:
        resumed, purge_at, sweep_at = False, self._now(), self._now()
        while True:
            looked = await self._tried(self.once)
            if looked and not resumed:
                resumed = await self._tried(self.resume)
            if looked and self._now() >= sweep_at:
                await self._tried(self.end_overdue)
                sweep_at = self._now() + _SWEEP_EVERY
            if self._now() >= purge_at:
                await self._tried(self._purge)
                purge_at = self._now() + _PURGE_EVERY
            await asyncio.sleep(EVERY_S)

    async def _watch(self, watched: Watched) -> None:
        while True:
            await asyncio.sleep(WATCHED_EVERY_S)
            if names := watched.names():
                await self._tried(partial(self.look_at, names))

    async def _purge(self) -> None:
        await self._people.purge(self._now() - _KEPT)

    async def _tried(self, look: Callable[[], Awaitable[None]]) -> bool:
        """Whether it went well. What did not is tried again in the next round."""
        self.tally["looks"] += 1
        try:
            await look()
        except PatchbayError as error:
            self.tally["unanswered"] += 1
            _log.warning("rooms.look_unanswered", code=error.code)
            return False
        except Exception:  # noqa: BLE001  # why: edge of the loop; one broken look must not end it
            self.tally["broken"] += 1
            _log.exception("rooms.look_broken")
            return False
        return True
