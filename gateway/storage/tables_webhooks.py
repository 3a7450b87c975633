"""The tables of webhooks: endpoints, tenants' default secrets, events as sent, deliveries.

A pending delivery is due at ``next_at``; claiming one moves ``next_at`` to the end of the claim, so that
a claim whose owner died becomes due by itself. The partial index holds pending deliveries only, in the
order in which one lane sends them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from gateway.storage.columns import EpochMicros, json_type
from gateway.storage.tables import table_of


def _epoch(*, nullable: bool = False) -> Any:
    return Field(sa_type=EpochMicros, nullable=nullable)


class WebhookEndpointRow(SQLModel, table=True):
    """A registered receiver. Secrets are kept readable: signing needs them."""

    __tablename__ = "webhook_endpoints"
    __table_args__: ClassVar[Any] = (Index("ix_webhook_endpoints_page", "tenant_id", "id"),)
    id: str = Field(primary_key=True)
    tenant_id: str
    url: str
    events: list[str] = Field(sa_column=Column(json_type(), nullable=False))
    description: str
    active: bool
    secret: str
    previous_secret: str | None
    previous_until: float | None = _epoch(nullable=True)
    failing_since: float | None = _epoch(nullable=True)
    disabled_reason: str | None
    created_at: float = _epoch()
    updated_at: float = _epoch()


class WebhookTenantSecretRow(SQLModel, table=True):
    """The secret that signs deliveries to a tenant's per-call URLs."""

    __tablename__ = "webhook_tenant_secrets"
    tenant_id: str = Field(primary_key=True)
    secret: str
    previous_secret: str | None
    previous_until: float | None = _epoch(nullable=True)
    shown: bool
    created_at: float = _epoch()


class WebhookEventRow(SQLModel, table=True):
    """An event as it is sent: ``body`` is the exact bytes of every attempt."""

    __tablename__ = "webhook_events"
    __table_args__: ClassVar[Any] = (Index("ix_webhook_events_created", "created_at"),)
    id: str = Field(primary_key=True)
    tenant_id: str
    type: str
    subject: str
    sequence: int = Field(sa_type=BigInteger)
    created_at: float = _epoch()
    body: bytes = Field(sa_type=LargeBinary)


class WebhookDeliveryRow(SQLModel, table=True):
    """One event on its way to one receiver. ``url`` is set for per-call URLs only."""

    __tablename__ = "webhook_deliveries"
    __table_args__: ClassVar[Any] = (
        Index(
            "ix_webhook_deliveries_due",
            "lane",
            "next_at",
            "sequence",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        Index("ix_webhook_deliveries_page", "tenant_id", "id"),
        Index("ix_webhook_deliveries_endpoint", "endpoint_id", "id"),
        Index("ix_webhook_deliveries_subject", "subject", "sequence"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    event_id: str
    endpoint_id: str | None
    lane: str
    url: str | None
    subject: str
    sequence: int = Field(sa_type=BigInteger)
    status: str
    claimed: bool
    attempts: int
    next_at: float = _epoch()
    created_at: float = _epoch()
    last_at: float | None = _epoch(nullable=True)
    delivered_at: float | None = _epoch(nullable=True)
    last_status: int | None
    last_note: str
    last_excerpt: str
    took_ms: int | None


WEBHOOK_ENDPOINTS = table_of(WebhookEndpointRow)
WEBHOOK_TENANT_SECRETS = table_of(WebhookTenantSecretRow)
WEBHOOK_EVENTS = table_of(WebhookEventRow)
WEBHOOK_DELIVERIES = table_of(WebhookDeliveryRow)
