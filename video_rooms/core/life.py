"""What becomes of a room: from its plan to its end, by what is heard of the media server's room.

Reports come late, twice, in any order or not at all; polls find out what was missed. Each names the media
server's room by its ``sid``, so that what is told of an earlier one changes nothing. Whatever the order, the
same facts lead to the same room: moments are the earliest that was told, an end stays an end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from video_rooms.core.room import Room, Status
from video_rooms.core.schedule import occurrences

BY_API: Final = "api"
EMPTY: Final = "empty"
MEDIA_LOST: Final = "media_server_lost_it"
TIME_OVER: Final = "time_over"
"""Why a room was over: its host ended it, all had left, the media server had it no more, or nobody was there
until long after its last time."""
GRACE: Final = timedelta(hours=24)
"""How long after its last time, or after the last that was done with it, a room waits for somebody."""


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


def over_at(room: Room) -> datetime | None:
    """When a room that nobody is in will have waited long enough; None: it is simply open, or does not wait.
    A plan that lies in the past, and whoever asks for a way in late, has the whole grace as well."""
    times = occurrences(room) if room.status is Status.SCHEDULED else ()
    return max(times[-1].end, room.updated_at) + GRACE if times else None


def timed_out(room: Room, at: datetime) -> Room:
    """Nobody is there at this moment, and no time of it is to come."""
    over = over_at(room)
    return room if over is None or at < over else ended(room, at)


def explained(before: Room, after: Room, why: str) -> Room:
    """An end keeps the reason of the change that brought it about."""
    ends = after.status is Status.ENDED and before.status is not Status.ENDED
    return replace(after, why_ended=why) if ends else after


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
