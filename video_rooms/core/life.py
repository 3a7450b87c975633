"""What becomes of a room: from its plan to its end, by what is heard of the media server's room.

Reports come late, twice, in any order or not at all; polls find out what was missed. Each names the media
server's room by its ``sid``, so that what is told of an earlier one changes nothing. Whatever the order, the
same facts lead to the same room: moments are the earliest that was told, an end stays an end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from video_rooms.core.room import Room, Status
from video_rooms.core.schedule import occurrences


def stands(room: Room, sid: str, at: datetime) -> Room:
    """The media server has made a room for it."""
    if room.room_sid == sid and room.gone_at is None:
        return room
    return _touched(replace(room, room_sid=sid, gone_at=None), at)


def began(room: Room, sid: str, at: datetime, fresh: str) -> Room:
    """Somebody was in the media server's room from this moment on."""
    if sid != room.room_sid or (room.started_at is not None and room.started_at <= at):
        return room
    begun = _touched(replace(room, started_at=at), at)
    if room.status is not Status.SCHEDULED:
        return begun
    live = replace(begun, status=Status.LIVE)
    return live if room.gone_at is None else _over(live, room.gone_at, fresh)


def gone(room: Room, sid: str, at: datetime, fresh: str) -> Room:
    """The media server's room is no more since this moment, or earlier. A room in which somebody was is
    over then, unless its time is still to come: then it waits for that, under a fresh name."""
    if sid != room.room_sid:
        return room
    at = at if room.started_at is None else max(at, room.started_at)
    since = at if room.gone_at is None else min(room.gone_at, at)
    match room.status:
        case Status.LIVE:
            return _over(replace(room, gone_at=since), since, fresh)
        case Status.ENDED if room.ended_at is not None and room.ended_at > at:
            return _touched(replace(room, gone_at=since, ended_at=at), at)
        case _:
            return room if since == room.gone_at else _touched(replace(room, gone_at=since), at)


def ended(room: Room, at: datetime) -> Room:
    """Its host has ended it, once and for all."""
    if room.status is Status.ENDED:
        return room
    return _touched(replace(room, status=Status.ENDED, ended_at=at), at)


def cleared(room: Room, at: datetime) -> Room:
    """Nothing of an ended room is left at the media server."""
    return room if room.gone_at is not None else replace(room, gone_at=at)


def comes_again(room: Room, at: datetime) -> bool:
    """Whether it takes place at some later time."""
    return any(one.start > at for one in occurrences(room))


def _over(room: Room, at: datetime, fresh: str) -> Room:
    if not comes_again(room, at):
        return _touched(replace(room, status=Status.ENDED, ended_at=at), at)
    waits = replace(
        room, status=Status.SCHEDULED, live_name=fresh, room_sid=None, started_at=None, gone_at=None
    )
    return _touched(waits, at)


def _touched(room: Room, at: datetime) -> Room:
    return replace(room, updated_at=max(room.updated_at, at))
