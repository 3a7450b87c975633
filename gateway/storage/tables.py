"""The tables. Every row knows its tenant; every constraint and index has a name of its own.

Ids are texts made by the caller, moments are microseconds (``gateway.storage.columns``). Uniqueness
that the product promises is a constraint here: one active owner of a number, one CDR for a call, one
place in a call's timeline, one answer for an idempotency key.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from gateway.storage.columns import EpochMicros, UtcMicros, json_type


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(json_type(), nullable=nullable))


def _moment(*, nullable: bool = False) -> Any:
    return Field(sa_type=UtcMicros, nullable=nullable)


def _epoch(*, nullable: bool = False) -> Any:
    return Field(sa_type=EpochMicros, nullable=nullable)


def _bigint(*, nullable: bool = False) -> Any:
    return Field(sa_type=BigInteger, nullable=nullable)


def _of_tenant(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant")


def _of_call(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["call_id"], ["calls.id"], name=f"fk_{table}_call")


class TenantRow(SQLModel, table=True):
    """A customer of this installation; ``id`` is the tenant id that every other row carries."""

    __tablename__ = "tenants"
    id: str = Field(primary_key=True)
    name: str
    settings: dict[str, Any] = _json()
    created_at: datetime = _moment()


class ApiKeyRow(SQLModel, table=True):
    """A key, known only by its hash (SHA-256, hex)."""

    __tablename__ = "api_keys"
    __table_args__: ClassVar[Any] = (
        _of_tenant("api_keys"),
        UniqueConstraint("hash", name="uq_api_keys_hash"),
        Index("ix_api_keys_page", "tenant_id", "created_at", "id"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    name: str
    role: str
    scopes: list[str] = _json()
    hash: str
    last4: str
    prefix: str
    mode: str
    allowed_ips: list[str] = _json()
    created_at: datetime = _moment()
    expires_at: datetime | None = _moment(nullable=True)
    revoked_at: datetime | None = _moment(nullable=True)
    last_used_at: datetime | None = _moment(nullable=True)


class NumberRow(SQLModel, table=True):
    """A number of a tenant. While it is not removed nobody else can own it."""

    __tablename__ = "numbers"
    __table_args__: ClassVar[Any] = (
        _of_tenant("numbers"),
        Index(
            "uq_numbers_active",
            "e164",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("ix_numbers_page", "tenant_id", "created_at", "id"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    e164: str
    capabilities: list[str] = _json()
    route: dict[str, Any] | None = _json(nullable=True)
    friendly_name: str
    created_at: datetime = _moment()
    removed_at: datetime | None = _moment(nullable=True)


class CallRow(SQLModel, table=True):
    """A call as it is shown, and the machine's snapshot for as long as anything is left to wait for."""

    __tablename__ = "calls"
    __table_args__: ClassVar[Any] = (
        Index("ix_calls_page", "tenant_id", "created_at", "id"),
        Index("ix_calls_status", "tenant_id", "status", "created_at", "id"),
        Index("ix_calls_to", "tenant_id", "to_number", "created_at", "id"),
        Index("ix_calls_from", "tenant_id", "from_number", "created_at", "id"),
        Index(
            "ix_calls_open",
            "id",
            sqlite_where=text("snapshot IS NOT NULL"),
            postgresql_where=text("snapshot IS NOT NULL"),
        ),
        Index(
            "ix_calls_session",
            "tenant_id",
            "session_id",
            "id",
            sqlite_where=text("session_id IS NOT NULL"),
            postgresql_where=text("session_id IS NOT NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    direction: str
    status: str
    to_number: str
    from_number: str
    agent_id: str | None
    record: bool
    call_metadata: list[list[str]] = Field(sa_column=Column("metadata", json_type(), nullable=False))
    webhook_url: str | None
    api_key_id: str | None
    created_at: float = _epoch()
    answered_at: float | None = _epoch(nullable=True)
    ended_at: float | None = _epoch(nullable=True)
    duration_seconds: int | None
    hangup_cause: int | None
    sip_code: int | None
    termination_result: str | None
    termination_reason: str | None
    ended_by: str | None
    sequence: int
    snapshot: dict[str, Any] | None = _json(nullable=True)
    session_id: str | None
    seat: int = Field(default=-1, sa_column_kwargs={"server_default": "-1"})
    to_seat: int = Field(default=-1, sa_column_kwargs={"server_default": "-1"})
    private: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    room_id: str | None


class CallEventRow(SQLModel, table=True):
    """One entry of a call's timeline; ``sequence`` counts from 1 within the call."""

    __tablename__ = "call_events"
    __table_args__: ClassVar[Any] = (_of_call("call_events"),)
    call_id: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True)
    tenant_id: str
    type: str
    at: float = _epoch()
    payload: dict[str, Any] = _json()


class CdrRow(SQLModel, table=True):
    """The one call detail record of a call: the primary key is the promise."""

    __tablename__ = "cdrs"
    __table_args__: ClassVar[Any] = (
        _of_call("cdrs"),
        Index("ix_cdrs_ended", "tenant_id", "ended_at", "call_id"),
    )
    call_id: str = Field(primary_key=True)
    tenant_id: str
    ended_at: float = _epoch()
    body: dict[str, Any] = _json()


class RecordingRow(SQLModel, table=True):
    """A recording of a call; ``id`` is the tape's id and names its file."""

    __tablename__ = "recordings"
    __table_args__: ClassVar[Any] = (
        _of_call("recordings"),
        Index("ix_recordings_call", "call_id", "id"),
        Index("ix_recordings_page", "tenant_id", "created_at", "id"),
    )
    id: str = Field(primary_key=True)
    call_id: str
    tenant_id: str
    state: str
    file: str | None
    duration_ms: int | None
    channels: int | None
    bytes: int | None = _bigint(nullable=True)
    created_at: float = _epoch()
    ended_at: float | None = _epoch(nullable=True)
    failure: str | None


class IdempotencyRow(SQLModel, table=True):
    """What became of a request with an Idempotency-Key: under way, or answered with status and body."""

    __tablename__ = "idempotency"
    __table_args__: ClassVar[Any] = (Index("ix_idempotency_created", "created_at"),)
    tenant_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    resource_id: str
    state: str
    status: int | None
    body: bytes | None = Field(sa_type=LargeBinary, nullable=True)
    created_at: datetime = _moment()
    claimed_at: datetime = _moment()


class DailyUsageRow(SQLModel, table=True):
    """Seconds of outbound talk by tenant and UTC day (``2026-03-08``)."""

    __tablename__ = "daily_usage"
    tenant_id: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    seconds: int = _bigint()


class AuditRow(SQLModel, table=True):
    """Who changed what. Append-only; each entry's hash covers the one before it."""

    __tablename__ = "audit"
    __table_args__: ClassVar[Any] = (UniqueConstraint("tenant_id", "number", name="uq_audit_number"),)
    id: str = Field(primary_key=True)
    tenant_id: str
    number: int = _bigint()
    at: datetime = _moment()
    actor: str
    action: str
    subject: str
    details: dict[str, Any] = _json()
    previous_hash: str
    hash: str


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table behind a model, for statements on the hot paths."""
    table = getattr(model, "__table__")  # noqa: B009 # why: SQLModel adds it at run time, unknown to types
    assert isinstance(table, Table)
    return table


TENANTS = table_of(TenantRow)
API_KEYS = table_of(ApiKeyRow)
NUMBERS = table_of(NumberRow)
CALLS = table_of(CallRow)
CALL_EVENTS = table_of(CallEventRow)
CDRS = table_of(CdrRow)
RECORDINGS = table_of(RecordingRow)
IDEMPOTENCY = table_of(IdempotencyRow)
DAILY_USAGE = table_of(DailyUsageRow)
AUDIT = table_of(AuditRow)
