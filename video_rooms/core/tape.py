"""A recording of a room as it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from telephony.ids import TenantId
from video_rooms.core.room import Room

CRASHED: Final = "crashed"
INTERRUPTED: Final = "interrupted"
"""The gateway ended in the middle, and its recorder with it."""
UNFINISHED: Final = "unfinished"
"""It was ended as somebody wished; its recorder died while the files were made."""
_CLOCKS_APART: Final = timedelta(seconds=30)
"""By how much the media server's clock, which says when a room began, may be ahead of ours."""


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
    recorder put it; empty: its files are in our folder of this id. ``why``: what went wrong, a word; of a
    ``READY`` one, what broke it off: it can be played, and more happened than is in it."""

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

    @property
    def incomplete(self) -> bool:
        return self.state is TapeState.READY and bool(self.why)

    @property
    def wished(self) -> bool:
        """Its end was somebody's wish, or the room's end; False while it goes on, too."""
        return self.state is not TapeState.RECORDING and self.why in ("", UNFINISHED)


def goes_on(room: Room, tapes: Sequence[RoomTape]) -> bool:
    """Whether a live room that nobody of ours records is to be recorded from now on: where its last recording
    of this session broke off, and where it was to be recorded from the beginning and never was. ``tapes``: of
    this room, the oldest first."""
    since = room.started_at
    session = [one for one in tapes if since is None or one.started_at >= since - _CLOCKS_APART]
    if not session:
        return room.recording_enabled
    last = session[-1]
    theirs = last.state is TapeState.RECORDING and bool(last.location)
    return not last.wished and not theirs
