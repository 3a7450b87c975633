"""Rooms for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from telephony.ids import TenantId
from video_rooms.core.room import Recurrence, Room, Status

BERLIN = ZoneInfo("Europe/Berlin")
MADE = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


def a_room(start: datetime | None = None, recurrence: Recurrence | None = None) -> Room:
    """A scheduled room for an hour."""
    return Room(
        id="8e7c9a02-3e94-4f4f-b2a8-91d6b9b3a002",
        tenant=TenantId("tnt_1"),
        name="Onboarding call, Acme",
        host_user_id="key_1",
        status=Status.SCHEDULED,
        live_name="live_1",
        room_sid=None,
        scheduled_at=start,
        started_at=None,
        ended_at=None,
        recording_enabled=False,
        recording_url=None,
        max_participants=10,
        settings={},
        created_at=MADE,
        updated_at=MADE,
        recurrence=recurrence,
        pin="428193506",
    )
