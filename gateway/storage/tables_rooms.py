"""The tables of video rooms: rooms, their rosters, invites, and what keeps those out who were put out.

``uq_rooms_pin`` is the invariant of dial-in: a PIN opens one room, among those that have not ended. Lines of
a roster know their room; bans and claims know the live session, for they end with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import Column, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from gateway.storage.columns import UtcMicros, json_type
from gateway.storage.tables import table_of

_OPENS: Final = text("pin <> '' AND status <> 'ended'")
_UNFINISHED: Final = text("status = 'live' OR (status = 'ended' AND gone_at IS NULL)")
_PLANNED: Final = text("status = 'scheduled'")
_HERE: Final = text("presence IN ('joined', 'waiting') AND sid <> ''")


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(json_type(), nullable=nullable))


def _moment(*, nullable: bool = False) -> Any:
    return Field(sa_type=UtcMicros, nullable=nullable)


class RoomRow(SQLModel, table=True):
    """A scheduled room. ``listed_at`` is what lists are ordered by: its plan, else its making."""

    __tablename__ = "rooms"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_rooms_tenant"),
        UniqueConstraint("live_name", name="uq_rooms_live_name"),
        Index("uq_rooms_pin", "pin", unique=True, sqlite_where=_OPENS, postgresql_where=_OPENS),
        Index("ix_rooms_page", "tenant_id", "status", "listed_at", "id"),
        Index("ix_rooms_listed", "tenant_id", "listed_at", "id"),
        Index("ix_rooms_unfinished", "id", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
        Index("ix_rooms_planned", "id", sqlite_where=_PLANNED, postgresql_where=_PLANNED),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    name: str
    host_user_id: str
    status: str
    live_name: str
    room_sid: str | None
    scheduled_at: datetime | None = _moment(nullable=True)
    started_at: datetime | None = _moment(nullable=True)
    ended_at: datetime | None = _moment(nullable=True)
    gone_at: datetime | None = _moment(nullable=True)
    why_ended: str | None
    recording_enabled: bool
    recording_url: str | None
    max_participants: int
    settings: dict[str, Any] = _json()
    duration_minutes: int
    waiting_room: bool
    recurrence: dict[str, Any] | None = _json(nullable=True)
    sequence: int
    pin: str
    listed_at: datetime = _moment()
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


class RoomPersonRow(SQLModel, table=True):
    """A line of a roster."""

    __tablename__ = "room_people"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["room_id"], ["rooms.id"], name="fk_room_people_room"),
        Index("ix_room_people_here", "session", sqlite_where=_HERE, postgresql_where=_HERE),
    )
    room_id: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    display_name: str
    role: str
    presence: str
    joined_at: datetime | None = _moment(nullable=True)
    left_at: datetime | None = _moment(nullable=True)
    muted: bool
    hand_raised: bool
    call_id: str | None
    why_left: str | None
    sid: str
    session: str
    admitted: str


class RoomInviteRow(SQLModel, table=True):
    """A guest's way in. The token is kept readable: lists show it."""

    __tablename__ = "room_invites"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["room_id"], ["rooms.id"], name="fk_room_invites_room"),
        UniqueConstraint("token", name="uq_room_invites_token"),
        Index("ix_room_invites_page", "room_id", "created_at", "id"),
    )
    id: str = Field(primary_key=True)
    room_id: str
    tenant_id: str
    token: str
    participant_name: str | None
    expires_at: datetime = _moment()
    revoked_at: datetime | None = _moment(nullable=True)
    max_uses: int | None
    uses_count: int
    created_at: datetime = _moment()


class RoomBanRow(SQLModel, table=True):
    """Passes of this identity, issued up to ``at``, open this live session no more."""

    __tablename__ = "room_bans"
    __table_args__: ClassVar[Any] = (Index("ix_room_bans_at", "at"),)
    live_name: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    at: datetime = _moment()


class RoomClaimRow(SQLModel, table=True):
    """An identity of a live session that is kept for one pass, a member's or a guest's."""

    __tablename__ = "room_claims"
    __table_args__: ClassVar[Any] = (Index("ix_room_claims_until", "until"),)
    live_name: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    member: bool
    until: datetime = _moment()


class RoomReportRow(SQLModel, table=True):
    """A report of the media server's that was taken."""

    __tablename__ = "room_reports"
    __table_args__: ClassVar[Any] = (Index("ix_room_reports_at", "at"),)
    id: str = Field(primary_key=True)
    at: datetime = _moment()


ROOMS = table_of(RoomRow)
ROOM_PEOPLE = table_of(RoomPersonRow)
ROOM_INVITES = table_of(RoomInviteRow)
ROOM_BANS = table_of(RoomBanRow)
ROOM_CLAIMS = table_of(RoomClaimRow)
ROOM_REPORTS = table_of(RoomReportRow)
