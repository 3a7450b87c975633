"""Scheduled rooms: schedule, list, show, plan anew, join, end, record."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.http.answers import Answer, PageMeta, Plain
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.video_desk import occurrence_of, own_uuid, place_of, rooms_of
from gateway.http.orbit.video_fields import EARLIEST
from gateway.http.orbit.video_recordings import room_links
from gateway.http.orbit.video_schemas import (
    ChangeRoom,
    CreateRoom,
    JoinRoom,
    ListOccurrences,
    ListRooms,
    MoveOccurrence,
    RecurrenceWanted,
)
from gateway.http.orbit.video_views import (
    View,
    listed_view,
    made_view,
    occurrence_view,
    pass_view,
    person_view,
    room_view,
)
from telephony.errors import NotFound
from video_rooms.core import schedule
from video_rooms.core.room import Recurrence, Role, Room, Status
from video_rooms.core.wishes import JoinWish, NewRoom, RoomChange

HOSTS: Final = "video:write"
"""The scope of those who may make hosts."""
_HOST: Final = "Host"


async def create(ask: Ask) -> Answer:
    """Schedule a room; its maker can go in at once. One that a cut-off attempt made is found again."""
    wanted: CreateRoom = ask.body
    if ask.again and (before := await _made_before(ask)) is not None:
        return before
    recurrence = _recurrence(wanted.recurrence)
    if recurrence is not None and wanted.scheduled_at is not None:
        schedule.check(wanted.scheduled_at, recurrence)
    made = await rooms_of(ask.face).scheduled.schedule(
        ask.caller.tenant,
        NewRoom(
            name=wanted.name,
            scheduled_at=wanted.scheduled_at,
            recording_enabled=wanted.recording_enabled,
            max_participants=wanted.max_participants,
            settings=wanted.settings,
            host_user_id=ask.caller.key_id,
            duration_minutes=wanted.duration_minutes,
            waiting_room=wanted.waiting_room,
            recurrence=recurrence,
            dial_in=wanted.dial_in,
            id=own_uuid(ask),
        ),
    )
    await note(ask, "room.scheduled", made.room.id, {"max_participants": wanted.max_participants})
    return Answer(made_view(made.host))


async def _made_before(ask: Ask) -> Answer | None:
    kept, tenant, room_id = rooms_of(ask.face).scheduled, ask.caller.tenant, own_uuid(ask)
    with suppress(NotFound):
        await kept.detail(tenant, room_id)
        return Answer(
            made_view(await kept.join(tenant, room_id, JoinWish(ask.caller.key_id, _HOST, Role.HOST)))
        )
    return None


async def list_rooms(ask: Ask) -> Answer:
    query: ListRooms = ask.query
    status = None if query.status is None else Status(query.status)
    rooms = await rooms_of(ask.face).scheduled.page(ask.caller.tenant, status, query.limit)
    return Answer([listed_view(_fresh(ask, room)) for room in rooms])


async def get(ask: Ask) -> Answer:
    """The room, and everybody who is or was in it."""
    detail = await rooms_of(ask.face).scheduled.detail(*place_of(ask))
    return Answer(
        {
            "room": _whole(ask, detail.room),
            "participants": [person_view(ask.caller, person) for person in detail.people],
        }
    )


async def change(ask: Ask) -> Answer:
    """Another plan."""
    wanted: ChangeRoom = ask.body
    named = wanted.model_fields_set
    changes = RoomChange(
        scheduled_at=wanted.scheduled_at,
        duration_minutes=wanted.duration_minutes,
        recurrence=_recurrence(wanted.recurrence),
        once="recurrence" in named and wanted.recurrence is None,
        name=wanted.name,
        max_participants=wanted.max_participants,
        waiting_room=wanted.waiting_room,
        recording_enabled=wanted.recording_enabled,
    )
    room = await rooms_of(ask.face).scheduled.change(*place_of(ask), changes)
    return await _planned(ask, room, *sorted(named))


async def occurrences(ask: Ask) -> Answer:
    """When the room takes place, in order; nothing for one that is simply open. A page goes on behind the
    start of the last one of the page before, whatever has been planned anew since."""
    query: ListOccurrences = ask.query
    detail = await rooms_of(ask.face).scheduled.detail(*place_of(ask))
    after = query.after or ask.exchange.at
    coming = [one for one in schedule.occurrences(detail.room) if one.end > after]
    behind = -1 if query.cursor is None else int(query.cursor)
    rest = [one for one in coming if _micros(one.start) > behind]
    page, more = rest[: query.limit], len(rest) > query.limit
    place = PageMeta(str(_micros(page[-1].start)) if more else None, more, len(coming))
    return Answer([occurrence_view(one) for one in page], place)


async def skip(ask: Ask) -> Answer:
    """One occurrence does not take place."""
    room = await rooms_of(ask.face).scheduled.skip(*place_of(ask), occurrence_of(ask))
    return await _planned(ask, room)


async def move(ask: Ask) -> Answer:
    """One occurrence takes place at another time."""
    wanted: MoveOccurrence = ask.body
    room = await rooms_of(ask.face).scheduled.move(*place_of(ask), occurrence_of(ask), wanted.to)
    return await _planned(ask, room)


async def calendar(ask: Ask) -> Plain:
    """The room as a file for calendars."""
    tenant, room_id = place_of(ask)
    text = await rooms_of(ask.face).scheduled.calendar(tenant, room_id)
    named = f'attachment; filename="{room_id}.ics"'
    headers = ((b"content-disposition", named.encode("ascii")), (b"cache-control", b"private, no-store"))
    return Plain(text.encode(), b"text/calendar; charset=utf-8", headers=headers)


async def join(ask: Ask) -> Answer:
    """A token for one person. Whoever may make no hosts gets a participant's, and is not told off for it."""
    wanted: JoinRoom = ask.body
    host = wanted.role == "host" and ask.caller.may(HOSTS)
    wish = JoinWish(
        identity=wanted.identity,
        display_name=wanted.display_name or wanted.identity,
        role=Role.HOST if host else Role.PARTICIPANT,
        ttl_s=wanted.ttl_seconds,
        user_id=wanted.user_id or ask.caller.key_id,
        contact_id=wanted.contact_id,
    )
    return Answer(pass_view(await rooms_of(ask.face).scheduled.join(*place_of(ask), wish)))


async def end(ask: Ask) -> Answer:
    """Put everybody out for good. A room that has ended is told again."""
    room = await rooms_of(ask.face).scheduled.end(*place_of(ask))
    await note(ask, "room.ended", room.id, {})
    shown = listed_view(_fresh(ask, room))
    return Answer({"room_id": room.id, "status": shown["status"], "ended_at": shown["ended_at"]})


async def start_recording(ask: Ask) -> Answer:
    """Record from now on; where it is recorded already, that recording's id."""
    tenant, room_id = place_of(ask)
    egress = await rooms_of(ask.face).scheduled.start_recording(tenant, room_id)
    await note(ask, "room.recording_started", room_id, {"egress_id": egress})
    return Answer({"egress_id": egress})


async def stop_recording(ask: Ask) -> Answer:
    """Record no more."""
    tenant, room_id = place_of(ask)
    await rooms_of(ask.face).scheduled.stop_recording(tenant, room_id)
    await note(ask, "room.recording_stopped", room_id, {})
    return Answer({"room_id": room_id, "stopped": True})


async def _planned(ask: Ask, room: Room, *fields: str) -> Answer:
    await note(ask, "room.rescheduled", room.id, {"sequence": room.sequence, "fields": [*fields]})
    return Answer(_whole(ask, room))


def _micros(moment: datetime) -> int:
    return (moment - EARLIEST) // timedelta(microseconds=1)


def _recurrence(wanted: RecurrenceWanted | None) -> Recurrence | None:
    return None if wanted is None else Recurrence(wanted.rule, wanted.timezone)


def _whole(ask: Ask, room: Room) -> View:
    lines = rooms_of(ask.face).lines(ask.caller.tenant)
    return room_view(_fresh(ask, room), ask.exchange.at, lines)


def _fresh(ask: Ask, room: Room) -> Room:
    """The room with an address of its recording that holds from now."""
    url = room_links(ask).fresh(room.recording_url, ask.exchange.at.timestamp())
    return replace(room, recording_url=url)
