"""The table of rooms' recordings."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from gateway.storage.columns import UtcMicros
from gateway.storage.tables import table_of


class RoomTapeRow(SQLModel, table=True):
    """One recording of a room. It names its room but refers to none: files outlive plans."""

    __tablename__ = "room_recordings"
    __table_args__: ClassVar[Any] = (
        Index("ix_room_recordings_room", "room_id", "started_at"),
        Index("ix_room_recordings_state", "state"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    room_id: str
    state: str
    started_at: datetime = Field(sa_type=UtcMicros, nullable=False)
    ended_at: datetime | None = Field(sa_type=UtcMicros, nullable=True)
    duration_ms: int
    size: int = Field(sa_type=BigInteger)
    speakers: int
    location: str
    why: str


ROOM_RECORDINGS = table_of(RoomTapeRow)
