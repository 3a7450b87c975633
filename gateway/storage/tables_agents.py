"""The tables of agents: who is registered, every version of them, their sessions and what was said in those.

Sessions and transcripts name a call but refer to none: an agent is told of its call before that is stored.
A transcript is a row of its own, so that it can be dropped while the session stays on record.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from gateway.storage.columns import EpochMicros, UtcMicros, json_type
from gateway.storage.tables import table_of


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(json_type(), nullable=nullable))


def _epoch(*, nullable: bool = False) -> Any:
    return Field(sa_type=EpochMicros, nullable=nullable)


class AgentRow(SQLModel, table=True):
    """A registered agent; ``version`` is the one that new calls get."""

    __tablename__ = "agents"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_agents_tenant"),
        Index("ix_agents_page", "tenant_id", "status", "created_at", "id"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    version: int
    status: str
    created_at: datetime = Field(sa_type=UtcMicros, nullable=False)
    updated_at: datetime = Field(sa_type=UtcMicros, nullable=False)


class AgentVersionRow(SQLModel, table=True):
    """One version of an agent: its spec never changes. The secret is kept readable (signing needs it), and
    is that of its ``auth_kind``."""

    __tablename__ = "agent_versions"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_agent_versions_agent"),
        UniqueConstraint("agent_id", "version", name="uq_agent_versions_version"),
        Index("ix_agent_versions_page", "agent_id", "created_at", "id"),
    )
    id: str = Field(primary_key=True)
    agent_id: str
    tenant_id: str
    version: int
    spec: dict[str, Any] = _json()
    auth_kind: str
    secret: str
    created_at: datetime = Field(sa_type=UtcMicros, nullable=False)


class AgentSessionRow(SQLModel, table=True):
    """One agent's part in one call, and how it ended."""

    __tablename__ = "agent_sessions"
    __table_args__: ClassVar[Any] = (
        Index("ix_agent_sessions_call", "call_id", "id"),
        Index("ix_agent_sessions_created", "created_at"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    call_id: str
    agent_id: str
    agent_version: int
    answered_by: str
    direction: str
    dialect: str
    state: str
    created_at: float = _epoch()
    ready_at: float | None = _epoch(nullable=True)
    bridged_at: float | None = _epoch(nullable=True)
    ended_at: float | None = _epoch(nullable=True)
    notified_at: float | None = _epoch(nullable=True)
    evidence: dict[str, Any] | None = _json(nullable=True)
    failure: str
    summary: str
    summary_by: str
    summary_fields: str
    figures: dict[str, Any] = _json()


class AgentTranscriptRow(SQLModel, table=True):
    """What was said and heard in a session, turn by turn."""

    __tablename__ = "agent_transcripts"
    __table_args__: ClassVar[Any] = (
        Index("ix_agent_transcripts_call", "call_id", "session_id"),
        Index("ix_agent_transcripts_created", "created_at"),
    )
    session_id: str = Field(primary_key=True)
    tenant_id: str
    call_id: str
    created_at: float = _epoch()
    turns: list[dict[str, Any]] = _json()


AGENTS = table_of(AgentRow)
AGENT_VERSIONS = table_of(AgentVersionRow)
AGENT_SESSIONS = table_of(AgentSessionRow)
AGENT_TRANSCRIPTS = table_of(AgentTranscriptRow)
