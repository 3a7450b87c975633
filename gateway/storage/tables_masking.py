"""The tables of number masking. Here a second owner of a door is made impossible.

``uq_proxy_bindings_held`` is the invariant: a (tenant, participant, proxy number) that is live or in
quarantine has one row. Sessions and bindings are many and short: they have small integers for keys of their
own, their JSON holds only what differs from defaults, and every index that only open sessions or held
bindings need leaves out the others.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, SmallInteger, text
from sqlmodel import Field, SQLModel

from gateway.storage.columns import EpochMicros, json_type
from gateway.storage.tables import table_of

_OPEN: Final = text("status <> 'closed'")
_HELD: Final = text("hold > 0")
_FREED: Final = text("hold = 0")
_ENDS: Final = text("until IS NOT NULL")
_NAMED: Final = text("unique_name IS NOT NULL")
_NAMED_AND_OPEN: Final = text("unique_name IS NOT NULL AND status <> 'closed'")
_ACTIVE: Final = text("removed = false")


def _own_key() -> Any:
    """A counted key: 8 bytes in PostgreSQL, the row's own number in SQLite."""
    return Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    )


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(json_type(), nullable=nullable))


def _epoch(*, nullable: bool = False) -> Any:
    return Field(sa_type=EpochMicros, nullable=nullable)


def _small() -> Any:
    return Field(sa_type=SmallInteger, nullable=False)


class ProxySessionRow(SQLModel, table=True):
    """A masking session. ``participants``: [seat, key, proxy number, PIN] each; ``terms``: the difference
    from ``Terms()``; JSON that would be empty is NULL."""

    __tablename__ = "proxy_sessions"
    __table_args__: ClassVar[Any] = (
        Index("uq_proxy_sessions_id", "id", unique=True),
        Index(
            "uq_proxy_sessions_name",
            "tenant_id",
            "unique_name",
            unique=True,
            sqlite_where=_NAMED_AND_OPEN,
            postgresql_where=_NAMED_AND_OPEN,
        ),
        Index(
            "ix_proxy_sessions_named",
            "tenant_id",
            "unique_name",
            sqlite_where=_NAMED,
            postgresql_where=_NAMED,
        ),
        Index("ix_proxy_sessions_page", "tenant_id", "status", "created_at", "seq"),
        Index(
            "ix_proxy_sessions_ends",
            "told_expiring",
            "ends_at",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
    )
    seq: int | None = _own_key()
    id: str
    tenant_id: str
    model: str
    status: str
    participants: list[Any] = _json()
    terms: dict[str, Any] | None = _json(nullable=True)
    session_metadata: list[Any] | None = Field(sa_column=Column("metadata", json_type(), nullable=True))
    extension: str | None
    unique_name: str | None
    webhook_url: str | None
    api_key_id: str | None
    created_at: float = _epoch()
    ends_at: float = _epoch()
    last_used_at: float | None = _epoch(nullable=True)
    last_seat: int = _small()
    closed_at: float | None = _epoch(nullable=True)
    close_reason: str | None
    free_at: float | None = _epoch(nullable=True)
    version: int
    interactions: int
    told_expiring: bool


class ProxyBindingRow(SQLModel, table=True):
    """A door of a session. ``hold``: 1 live, 2 in quarantine, 0 freed and kept a while as history.

    ``until`` is NULL while it is live (it lasts as long as its session), else when the quarantine is over,
    and once it is freed, when it is forgotten.
    """

    __tablename__ = "proxy_bindings"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["session_seq"], ["proxy_sessions.seq"], name="fk_proxy_bindings_session"),
        Index(
            "uq_proxy_bindings_held",
            "tenant_id",
            "participant",
            "proxy",
            unique=True,
            sqlite_where=_HELD,
            postgresql_where=_HELD,
        ),
        Index(
            "ix_proxy_bindings_freed",
            "tenant_id",
            "participant",
            sqlite_where=_FREED,
            postgresql_where=_FREED,
        ),
        Index("ix_proxy_bindings_number", "proxy", "hold", sqlite_where=_HELD, postgresql_where=_HELD),
        Index("ix_proxy_bindings_session", "session_seq"),
        Index("ix_proxy_bindings_until", "hold", "until", sqlite_where=_ENDS, postgresql_where=_ENDS),
    )
    seq: int | None = _own_key()
    tenant_id: str
    participant: str
    proxy: str
    number_index: int
    session_seq: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), nullable=False))
    seat: int = _small()
    hold: int = _small()
    until: float | None = _epoch(nullable=True)
    peer: str


class ProxyNumberRow(SQLModel, table=True):
    """A number of the pool. Removed ones stay, so that an index is never given twice within a tenant."""

    __tablename__ = "proxy_numbers"
    __table_args__: ClassVar[Any] = (
        Index("uq_proxy_numbers_active", "e164", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("uq_proxy_numbers_id", "id", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("uq_proxy_numbers_index", "tenant_id", "number_index", unique=True),
    )
    seq: int | None = _own_key()
    id: str
    tenant_id: str
    e164: str
    number_index: int
    country: str
    area: str
    capabilities: list[str] = _json()
    use: str
    reserved: bool
    suspended: bool
    carrier: str
    removed: bool


class ProxyInteractionRow(SQLModel, table=True):
    """A call or a text of a session. A ``forgotten`` one is emptied and stays, so that what its call or
    carrier still tells of it does not bring it back."""

    __tablename__ = "proxy_interactions"
    __table_args__: ClassVar[Any] = (Index("ix_proxy_interactions_page", "session_id", "created_at", "id"),)
    id: str = Field(primary_key=True)
    tenant_id: str
    session_id: str
    kind: str
    from_seat: int = _small()
    to_seat: int = _small()
    proxy: str
    subject: str
    status: str
    created_at: float = _epoch()
    answered_at: float | None = _epoch(nullable=True)
    ended_at: float | None = _epoch(nullable=True)
    duration_s: int | None
    outcome: str
    segments: int
    flags: list[str] | None = _json(nullable=True)
    body: str
    media: int
    sequence: int
    forgotten: bool


class ProxySettingsRow(SQLModel, table=True):
    """A tenant's masking settings: what differs from ``ServiceSettings()``."""

    __tablename__ = "proxy_settings"
    tenant_id: str = Field(primary_key=True)
    settings: dict[str, Any] = _json()


PROXY_SESSIONS: Final = table_of(ProxySessionRow)
PROXY_BINDINGS: Final = table_of(ProxyBindingRow)
PROXY_NUMBERS: Final = table_of(ProxyNumberRow)
PROXY_INTERACTIONS: Final = table_of(ProxyInteractionRow)
PROXY_SETTINGS: Final = table_of(ProxySettingsRow)
