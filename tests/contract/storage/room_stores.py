"""Stores of rooms, rosters and invites, and rooms to put there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from telephony.ids import TenantId
from video_rooms.core.room import Room, Status
from video_rooms.ports import InviteStore, PeopleStore, RoomStore

NOW = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)
MINUTE = timedelta(minutes=1)
OURS, THEIRS = TenantId("tnt_ours"), TenantId("tnt_theirs")


@dataclass(slots=True)
class Stores:
    rooms: RoomStore
    people: PeopleStore
    invites: InviteStore


def room(n: int, **changes: object) -> Room:
    made = Room(
        id=f"00000000-0000-4000-8000-{n:012d}",
        tenant=OURS,
        name=f"Room {n} \u20ac",
        host_user_id="key_1",
        status=Status.SCHEDULED,
        live_name=f"live_{n}",
        room_sid=None,
        scheduled_at=None,
        started_at=None,
        ended_at=None,
        recording_enabled=False,
        recording_url=None,
        max_participants=10,
        settings={"nested": {"list": [1, 2.5, None, "x"]}},
        created_at=NOW + n * MINUTE,
        updated_at=NOW + n * MINUTE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]
