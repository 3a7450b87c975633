"""Rooms, people and invites as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.auth import Caller
from gateway.http.exchange import stamp
from video_rooms.core.live import LivePerson
from video_rooms.core.names import identity_shown
from video_rooms.core.room import Invite, Json, Person, Recurrence, Room, Status
from video_rooms.core.schedule import Occurrence, next_start
from video_rooms.core.wishes import Adhoc, Pass

View = dict[str, Json]


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _identity_for(caller: Caller, identity: str) -> str:
    return identity if caller.sees_numbers else identity_shown(identity)


def listed_view(room: Room) -> View:
    """A room in a list."""
    return {
        "id": room.id,
        "name": room.name,
        "room_sid": room.room_sid,
        "host_user_id": room.host_user_id,
        "status": room.status.value,
        "scheduled_at": _at(room.scheduled_at),
        "started_at": _at(room.started_at),
        "ended_at": _at(room.ended_at),
        "recording_enabled": room.recording_enabled,
        "recording_url": room.recording_url,
        "max_participants": room.max_participants,
        "settings": dict(room.settings),
        "created_at": stamp(room.created_at),
        "updated_at": stamp(room.updated_at),
    }


def room_view(room: Room, now: datetime, lines: Sequence[str]) -> View:
    """A room whole. ``lines`` are the tenant's dial-in numbers: told as they are, for they are to be passed
    on, while the room's PIN opens it."""
    opens = bool(room.pin) and room.status is not Status.ENDED
    return {
        **listed_view(room),
        "duration_minutes": room.duration_minutes,
        "waiting_room": room.waiting_room,
        "recurrence": None if room.recurrence is None else _recurrence_view(room.recurrence),
        "next_start": _at(next_start(room, now)) if room.status is not Status.ENDED else None,
        "why_ended": room.why_ended,
        **dial_in_view(room),
        "dial_in_numbers": [*lines] if opens else [],
    }


def made_view(host: Pass) -> View:
    """A room just scheduled, by its maker's way in."""
    return {
        "room_id": host.room.id,
        "room_sid": host.room.room_sid,
        "host_token": host.token,
        "ws_url": host.url,
        **dial_in_view(host.room),
    }


def dial_in_view(room: Room) -> View:
    """How telephones come in."""
    return {"pin": room.pin or None, "dial_in": bool(room.pin)}


def _recurrence_view(recurrence: Recurrence) -> View:
    return {
        "rule": recurrence.rule,
        "timezone": recurrence.zone,
        "skipped": [stamp(start) for start in recurrence.without],
        "moved": [{"from": stamp(start), "to": stamp(to)} for start, to in recurrence.moved],
    }


def occurrence_view(one: Occurrence) -> View:
    """One time a room takes place."""
    return {
        "occurrence": one.original.strftime("%Y%m%dT%H%M%SZ"),
        "starts_at": stamp(one.start),
        "ends_at": stamp(one.end),
        "moved": one.moved,
    }


def person_view(caller: Caller, person: Person) -> View:
    """A line of the roster. An identity may be a telephone number: whole for keys that may see them."""
    return {
        "identity": _identity_for(caller, person.identity),
        "display_name": person.display_name,
        "role": person.role.value,
        "joined_at": _at(person.joined_at),
        "left_at": _at(person.left_at),
        "status": person.presence.value,
        "muted": person.muted,
        "hand_raised": person.hand_raised,
        "call_id": person.call_id,
        "why_left": person.why_left,
    }


def pass_view(way_in: Pass) -> View:
    """A way into a live session. Only a room with a lobby says whether it is the lobby that it leads to."""
    shown: View = {"token": way_in.token, "ws_url": way_in.url, "room_sid": way_in.room.room_sid}
    if way_in.room.waiting_room:
        shown["waiting"] = way_in.waiting
    return shown


def guest_view(way_in: Pass) -> View:
    """A guest's way in: the address under each name that clients know it by."""
    return {
        **pass_view(way_in),
        "media_url": way_in.url,
        "livekit_url": way_in.url,
        "room_id": way_in.room.id,
        "room_name": way_in.room.name,
        "identity": way_in.identity,
        "display_name": way_in.display_name,
        "expires_at": stamp(way_in.expires_at),
    }


def invite_view(invite: Invite) -> View:
    """An invite, its token too: whoever may read invites may pass them on."""
    return {
        "id": invite.id,
        "room_id": invite.room_id,
        "invite_token": invite.token,
        "participant_name": invite.participant_name,
        "expires_at": stamp(invite.expires_at),
        "revoked_at": _at(invite.revoked_at),
        "max_uses": invite.max_uses,
        "uses_count": invite.uses_count,
        "created_at": stamp(invite.created_at),
    }


def adhoc_view(adhoc: Adhoc) -> View:
    """An ad-hoc room in a list."""
    room = adhoc.room
    return {
        "name": room.name,
        "display_name": adhoc.display_name,
        "num_participants": room.people,
        "max_participants": room.max_people,
        "creation_time": stamp(room.created_at),
        "metadata": room.metadata,
    }


def adhoc_person_view(caller: Caller, person: LivePerson) -> View:
    """Somebody in an ad-hoc room."""
    return {
        "identity": _identity_for(caller, person.identity),
        "name": person.name,
        "joined_at": stamp(person.joined_at),
        "is_publishing": person.publishing,
    }
