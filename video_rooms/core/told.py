"""What events say of rooms and people: no telephone number, no token, no PIN."""

from __future__ import annotations

from datetime import datetime

from video_rooms.core.names import identity_shown, shown
from video_rooms.core.room import Json, Person, Room


def room_told(room: Room, **besides: Json) -> dict[str, Json]:
    """The room as it stands."""
    return {
        "name": shown(room.name),
        "status": room.status.value,
        "scheduled_at": _iso(room.scheduled_at),
        "started_at": _iso(room.started_at),
        "ended_at": _iso(room.ended_at),
        **besides,
    }


def person_told(line: Person) -> dict[str, Json]:
    """Somebody's line as it stands."""
    return {
        "identity": identity_shown(line.identity),
        "display_name": shown(line.display_name),
        "role": line.role.value,
        "joined_at": _iso(line.joined_at),
        "left_at": _iso(line.left_at),
        "why_left": line.why_left,
        "call_id": line.call_id,
    }


def failed_told(identity: str, display_name: str, call_id: str, reason: str) -> dict[str, Json]:
    """A telephone that was called and did not come in."""
    return {"identity": identity, "display_name": display_name, "call_id": call_id, "reason": reason}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
