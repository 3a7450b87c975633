"""What the stand-ins for video rooms behind the face know together, in memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dialplan.fakes import ManualClock
from telephony.errors import NotFound, RoomsUnavailable
from telephony.ids import TenantId
from video_rooms.core.room import Invite, Person, Presence, Role, Room
from video_rooms.core.wishes import Adhoc, JoinWish, Pass

URL = "wss://media.example"


@dataclass(eq=False)
class RoomsKnown:
    """Everything the stand-ins know. ``away``: the media server is; ``broken``: they have a defect."""

    clock: ManualClock
    kept: dict[str, Room] = field(default_factory=dict)
    people: dict[str, dict[str, Person]] = field(default_factory=dict)
    given: dict[str, Invite] = field(default_factory=dict)
    passing: dict[str, Adhoc] = field(default_factory=dict)
    recording: dict[str, str] = field(default_factory=dict)
    heard: list[bytes] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    broken_off: dict[str, str] = field(default_factory=dict)
    """Recordings that are incomplete, and why."""
    asked: list[Any] = field(default_factory=list)
    lines: dict[TenantId, tuple[str, ...]] = field(default_factory=dict)
    away: bool = False
    broken: bool = False
    _count: Any = field(default_factory=lambda: itertools.count(1))

    def clear(self) -> None:
        """As at the beginning."""
        for kept in (
            self.kept,
            self.people,
            self.given,
            self.passing,
            self.recording,
            self.broken_off,
            self.heard,
            self.asked,
            self.lines,
        ):
            kept.clear()
        self.away = self.broken = False

    def number(self) -> int:
        return int(next(self._count))

    def uuid(self) -> str:
        return str(UUID(int=self.number(), version=4))

    def now(self) -> datetime:
        return self.clock.wall()

    def check(self) -> None:
        if self.away:
            raise RoomsUnavailable
        if self.broken:
            raise ZeroDivisionError("a defect that nobody must read")

    def find(self, tenant: TenantId, room_id: str) -> Room:
        self.check()
        room = self.kept.get(room_id)
        if room is None or room.tenant != tenant:
            raise NotFound("there is no such room")
        return room

    def way_in(self, room: Room, wish: JoinWish) -> Pass:
        self.asked.append(wish)
        waits = room.waiting_room and wish.role is not Role.HOST
        self.people[room.id][wish.identity] = Person(
            room.id,
            wish.identity,
            wish.display_name,
            wish.role,
            Presence.WAITING if waits else Presence.JOINED,
            joined_at=None if waits else self.now(),
        )
        return Pass(
            token=f"token-{self.number()}",
            url=URL,
            room=room,
            identity=wish.identity,
            display_name=wish.display_name,
            expires_at=self.now() + timedelta(seconds=wish.ttl_s or 3600),
            waiting=waits,
        )
