"""All the services of rooms, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from telephony.clock import Clock
from video_rooms.adhoc import PassingRooms
from video_rooms.core.ics import WayIn
from video_rooms.core.room import Room
from video_rooms.doors import Doors, Timeouts
from video_rooms.hook import Reports
from video_rooms.hosting import Hosting
from video_rooms.invites import Guests
from video_rooms.lives import Lives
from video_rooms.people import Roster
from video_rooms.ports import (
    Chances,
    InviteStore,
    PeopleStore,
    PhonesInRooms,
    Recorder,
    RoomAnnouncer,
    RoomServer,
    RoomStore,
)
from video_rooms.reconcile import Reconciler
from video_rooms.recordings import Recordings
from video_rooms.scheduled import KeptRooms, RoomParts
from video_rooms.sightings import Sightings, Watched


def _no_way_in(room: Room) -> WayIn:
    return WayIn()


@dataclass(frozen=True, slots=True)
class Around:
    """What the rooms are surrounded by. ``way_in`` tells what calendar files say about getting in."""

    server: RoomServer
    rooms: RoomStore
    people: PeopleStore
    invites: InviteStore
    recorder: Recorder
    phones: PhonesInRooms
    announcer: RoomAnnouncer
    chances: Chances
    clock: Clock
    way_in: Callable[[Room], WayIn] = _no_way_in
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True, slots=True)
class RoomDesk:
    """``recordings.recorded`` is for the recorder to call; ``start`` and ``stop`` keep the looks going."""

    scheduled: KeptRooms
    invites: Guests
    adhoc: PassingRooms
    hook: Reports
    recordings: Recordings
    reconciler: Reconciler
    roster: Roster
    lives: Lives
    sightings: Sightings
    watched: Watched

    def start(self) -> None:
        self.reconciler.start(self.watched)

    async def stop(self) -> None:
        await self.reconciler.stop()
        await self.recordings.settle()


def furnish(around: Around) -> RoomDesk:
    """Every service over these."""
    server, rooms, people, phones = around.server, around.rooms, around.people, around.phones
    announcer, chances, now = around.announcer, around.chances, around.clock.wall
    roster, watched = Roster(people, announcer), Watched(around.clock.mono)
    recordings = Recordings(rooms, around.recorder, announcer, now)
    lives = Lives(rooms, roster, recordings, phones, announcer, chances, now)
    doors = Doors(server, rooms, people, lives, chances, now, around.timeouts)
    sightings = Sightings(server, people, roster, lives, phones, watched, now)
    hosting = Hosting(server, people, roster, lives, phones, watched, now)
    parts = RoomParts(
        server, rooms, roster, lives, doors, hosting, recordings, announcer, chances, now, around.way_in
    )
    return RoomDesk(
        scheduled=KeptRooms(parts),
        invites=Guests(around.invites, rooms, people, doors, announcer, chances, now),
        adhoc=PassingRooms(server, chances, now),
        hook=Reports(server, rooms, people, sightings, lives, around.recorder, now),
        recordings=recordings,
        reconciler=Reconciler(server, rooms, people, sightings, lives, recordings, now),
        roster=roster,
        lives=lives,
        sightings=sightings,
        watched=watched,
    )
