"""A recording of a room as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from telephony.ids import TenantId


class TapeState(StrEnum):
    """``PROCESSING``: over, and being made into files. The last two are final."""

    RECORDING = "recording"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (TapeState.READY, TapeState.FAILED)


@dataclass(frozen=True, slots=True)
class RoomTape:
    """``id``: ``EG_`` and a ULID, or the media server's own id. ``location``: where the media server's
    recorder put it; empty: its files are in our folder of this id. ``why``: what went wrong, a word."""

    id: str
    room_id: str
    tenant: TenantId
    state: TapeState
    started_at: datetime
    ended_at: datetime | None = None
    duration_ms: int = 0
    size: int = 0
    speakers: int = 0
    location: str = ""
    why: str = ""
