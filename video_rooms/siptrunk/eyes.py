"""Looks at rooms in place of telephones that are in them by SIP: nobody tells those who else is there.

One look a second for each room, whoever watches it; and whatever is seen between those, all who watch learn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from telephony.errors import PatchbayError
from video_rooms.core.live import LivePerson
from video_rooms.core.roster import counts, is_seen
from video_rooms.ports import RoomServer

_log = structlog.get_logger("rooms.trunk")
EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """A room as it is seen. ``people``: those who count, and whoever is there by SIP."""

    people: Sequence[LivePerson]
    recording: bool
    full: bool = False
    """Whether the media server lets nobody in any more who counts."""
    turn: int = 0
    """Looks are numbered as they begin."""

    def others(self, identity: str) -> int:
        return sum(is_seen(one) and one.identity != identity for one in self.people)

    def here(self, identity: str) -> LivePerson | None:
        return next((one for one in self.people if one.identity == identity), None)

    def muted(self, identity: str) -> bool:
        """Whether all that they publish is muted at the media server."""
        person = self.here(identity)
        heard = [] if person is None else [track.muted for track in person.tracks if track.kind == "audio"]
        return bool(heard) and all(heard)


class Watcher(Protocol):
    def seen(self, view: View) -> None:
        """How it stands. Must return at once."""
        ...


class Eyes:
    def __init__(self, server: RoomServer, *, every_s: float = EVERY_S) -> None:
        self._server = server
        self._every_s = every_s
        self._watchers: dict[str, list[Watcher]] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, int] = {}
        self.turn = 0
        """The newest look's number."""

    def __len__(self) -> int:
        return len(self._looking)

    async def look(self, room: str) -> View | None:
        """How it stands now; None where the room is not there. Raises RoomsUnavailable."""
        self.turn += 1
        turn = self.turn
        found = await self._server.rooms([room])
        if not found:
            return None
        people, most = await self._server.people(room), found[0].max_people
        full = 0 < most <= sum(counts(one) for one in people)
        view = View(people, found[0].recording, full, turn)
        self._tell(room, view)
        return view

    def watch(self, room: str, watcher: Watcher) -> None:
        """From now on this one is told, again and again."""
        self._watchers.setdefault(room, []).append(watcher)
        if room not in self._looking:
            self._looking[room] = asyncio.create_task(self._look_on(room), name="room-eye")

    def forget(self, room: str, watcher: Watcher) -> None:
        watchers = self._watchers.get(room, [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers and (task := self._looking.pop(room, None)) is not None:
            del self._watchers[room]
            self._told.pop(room, None)
            task.cancel()

    async def _look_on(self, room: str) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look(room)
            except PatchbayError:  # the next look may do better; that calls end is heard otherwise
                continue

    def _tell(self, room: str, view: View) -> None:
        """Of two looks at once, the later one counts, whichever is back first."""
        if view.turn < self._told.get(room, 0):
            return
        for watcher in list(self._watchers.get(room, ())):
            self._told[room] = view.turn
            try:
                watcher.seen(view)
            except Exception:  # noqa: BLE001  # why: one telephone's fault must not blind the others
                _log.exception("eye.watcher_broken")
