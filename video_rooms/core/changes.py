"""A room planned anew: what is wanted of it, laid over what it is. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from telephony.errors import InvalidInput
from video_rooms.core.room import Recurrence, Room
from video_rooms.core.schedule import check, next_occurrence, occurrences
from video_rooms.core.wishes import RoomChange

T = TypeVar("T")
MOVED: Final = "moved"
CHANGED: Final = "changed"
"""What the world is told of it: its times are others, or something else is."""


def check_plan(starts: datetime | None, plan: Recurrence | None) -> None:
    """Whether this can be kept. Raises InvalidInput."""
    if plan is None:
        return
    if starts is None:
        raise InvalidInput("a series needs its first start", field="scheduled_at", expected="a moment")
    check(starts, plan)


def replanned(room: Room, wanted: RoomChange, at: datetime) -> Room:
    """The room as wanted; the same one where nothing is another. Any change makes its calendar file a newer
    one (SEQUENCE). A series at a new hour, whose rule stays, has no exceptions any more: they named
    occurrences that are no more. Raises InvalidInput."""
    starts = wanted.scheduled_at or room.scheduled_at
    plan = wanted.recurrence or room.recurrence
    if wanted.once and room.recurrence is not None:
        starts, plan = wanted.scheduled_at or _remains(room, at), None
    elif wanted.recurrence is None and plan is not None and starts != room.scheduled_at:
        plan = replace(plan, without=(), moved=())
    check_plan(starts, plan)
    changed = replace(
        room,
        scheduled_at=starts,
        recurrence=plan,
        duration_minutes=_or(wanted.duration_minutes, room.duration_minutes),
        name=_or(wanted.name, room.name),
        max_participants=_or(wanted.max_participants, room.max_participants),
        waiting_room=_or(wanted.waiting_room, room.waiting_room),
        recording_enabled=_or(wanted.recording_enabled, room.recording_enabled),
    )
    return room if changed == room else replace(changed, sequence=room.sequence + 1, updated_at=at)


def why(before: Room, after: Room) -> str:
    """``MOVED`` or ``CHANGED``."""
    times = [(room.scheduled_at, room.duration_minutes, room.recurrence) for room in (before, after)]
    return MOVED if times[0] != times[1] else CHANGED


def _remains(room: Room, at: datetime) -> datetime | None:
    """The one time that a stopped series still takes place: the one that is on, or the next, or else its last
    one."""
    found = next_occurrence(room, at)
    every = occurrences(room)
    return found.start if found is not None else every[-1].start if every else room.scheduled_at


def _or(wanted: T | None, known: T) -> T:
    return known if wanted is None else wanted
