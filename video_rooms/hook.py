"""What the media server reports, each report taken once. Fits ``gateway.http.ports_rooms.RoomHook``.

Reports may be lost, late or in any order: nothing here depends on them alone, a look makes up for what is
missing (``video_rooms.reconcile``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog

from telephony.errors import PatchbayError, RoomsUnavailable
from video_rooms.core.live import Happened, LiveEvent
from video_rooms.core.room import Room
from video_rooms.core.roster import why_left
from video_rooms.lives import EMPTY, Lives
from video_rooms.ports import PeopleStore, Recorder, RoomServer, RoomStore
from video_rooms.sightings import Sightings

_log = structlog.get_logger("video_rooms.hook")


class Reports:
    """``tally`` counts reports by what became of them: ``taken``, ``again`` (a repeated delivery), ``passed``
    (of no room of ours), ``unanswered`` (the media server was away when something had to be done)."""

    def __init__(
        self,
        server: RoomServer,
        rooms: RoomStore,
        people: PeopleStore,
        sightings: Sightings,
        lives: Lives,
        recorder: Recorder,
        now: Callable[[], datetime],
    ) -> None:
        self._server = server
        self._rooms = rooms
        self._people = people
        self._sightings = sightings
        self._lives = lives
        self._recorder = recorder
        self._now = now
        self.tally: Counter[str] = Counter()

    async def heard(self, body: bytes, authorization: str) -> None:
        """See the port."""
        event = self._server.heard(body, authorization)
        if event is None:
            return
        if not await self._people.first_time(event.id, self._now()):
            self.tally["again"] += 1
            return
        try:
            await self._take(event)
        except RoomsUnavailable:
            self.tally["unanswered"] += 1
            _log.warning("report.unanswered", what=event.what.value)
        except BaseException:  # why: whatever it was, the server shall send the report again
            with suppress(PatchbayError):
                await self._people.not_taken(event.id)
            raise

    async def _take(self, event: LiveEvent) -> None:
        if event.egress is not None:
            self._recorder.heard(event.egress)
        room = None if event.room is None else await self._rooms.of_live(event.room.name)
        if room is None or event.room is None or event.room.sid != room.room_sid:
            self.tally["passed"] += 1
            return
        self.tally["taken"] += 1
        if event.what is Happened.ROOM_FINISHED:
            await self._lives.gone(room, event.room.sid, event.at, EMPTY)
        else:
            await self._of_person(room, event)

    async def _of_person(self, room: Room, event: LiveEvent) -> None:
        if event.person is None:
            return
        match event.what:
            case Happened.JOINED:
                await self._sightings.came(room, event.person)
            case Happened.LEFT:
                await self._sightings.went(room, event.person, event.at, why_left(event.why))
            case Happened.ABORTED:
                why = why_left(event.why)
                await self._sightings.went(room, event.person, event.at, why, known_only=True)
            case _:
                pass
