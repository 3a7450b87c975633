"""From masking sessions and interactions to webhooks, inside the transaction that stores them.

Fits ``gateway.storage.masking_events.MaskingTold``. What leaves here never holds a participant's number: the
views mask it, PINs and bodies are left out, and details are searched for anything that looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.ports import EventSink
from proxy_pool.core.choice import Exhausted
from proxy_pool.core.interaction import Interaction
from proxy_pool.core.session import Session
from proxy_pool.core.views import interaction_view, session_view
from proxy_pool.ports import SessionEvent
from telephony.numbers import mask_text

_NO_NUMBER = re.compile(r"[a-z]{2,5}_[0-9A-Z]{26}|\d{4}-\d\d-\d\dT[0-9:.]{5,15}(?:Z|\+\d\d:\d\d)")
"""Ids and moments: digits that are nobody's number."""


class MaskingAnnouncer:
    """Every event goes to the tenant's endpoints, and to the session's own URL if it has one."""

    def __init__(self, sink: EventSink[Connection], wake: Callable[[Sequence[str]], None]) -> None:
        self._sink = sink
        self._wake = wake

    def session(self, conn: Connection, session: Session, events: Sequence[SessionEvent]) -> Sequence[str]:
        """Store the deliveries; the lanes to wake once they are durable."""
        lanes: list[str] = []
        for place, event in enumerate(events):
            if self._heard(conn, session.tenant, event, session.webhook_url):
                told = webhook_of_session(session, event, place)
                lanes.extend(self._sink.fan_out(conn, session.tenant, told, session.webhook_url))
        return lanes

    def interaction(
        self, conn: Connection, interaction: Interaction, events: Sequence[SessionEvent], url: str | None
    ) -> Sequence[str]:
        lanes: list[str] = []
        for place, event in enumerate(events):
            if self._heard(conn, interaction.tenant, event, url):
                told = webhook_of_interaction(interaction, event, place)
                lanes.extend(self._sink.fan_out(conn, interaction.tenant, told, url))
        return lanes

    def pool(self, conn: Connection, tenant: str, event: WebhookEvent) -> Sequence[str]:
        """An event of the pool itself, for the tenant's endpoints."""
        return self._sink.fan_out(conn, tenant, event) if self._sink.wanted(conn, tenant, event.type) else ()

    def committed(self, told: Sequence[str]) -> None:
        """Start the first attempts now."""
        if told:
            self._wake(told)

    def _heard(self, conn: Connection, tenant: str, event: SessionEvent, url: str | None) -> bool:
        return url is not None or self._sink.wanted(conn, tenant, event.type)


def exhausted_event(event_id: str, error: Exhausted, at: datetime) -> WebhookEvent:
    """``pool.exhausted``: which constraint left no number, and how many are missing. Each is a subject of
    its own: they have no order among themselves."""
    data = {
        "constraint": error.constraint,
        "shortfall": error.shortfall,
        "use": error.use,
        "country": error.country,
        "area": error.area,
    }
    return WebhookEvent(event_id, "pool.exhausted", at, event_id, 1, data)


def webhook_of_session(session: Session, event: SessionEvent, place: int) -> WebhookEvent:
    """The session as it stands after the event. The id is the same for the same event, always: receivers
    drop duplicates by it. ``place`` counts the events of one change from 0."""
    number = session.id.partition("_")[2]
    return _webhook(
        f"evt_{number}-v{session.version}-{place}",
        event,
        session.id,
        session.version,
        session_view(session, whole=False),
    )


def webhook_of_interaction(interaction: Interaction, event: SessionEvent, place: int) -> WebhookEvent:
    """The interaction as it stands after the event; its id differs from those of its call's own events."""
    number = interaction.id.partition("_")[2]
    return _webhook(
        f"evt_{number}-i{interaction.sequence}-{place}",
        event,
        interaction.id,
        interaction.sequence,
        interaction_view(interaction, whole=False),
    )


def _webhook(
    event_id: str, event: SessionEvent, subject: str, sequence: int, view: Mapping[str, object]
) -> WebhookEvent:
    data: dict[str, object] = {**view}
    if event.detail:
        data["detail"] = {name: _harmless(value) for name, value in event.detail}
    return WebhookEvent(
        id=event_id,
        type=event.type,
        occurred_at=datetime.fromtimestamp(event.at, UTC),
        subject=subject,
        sequence=sequence,
        data=data,
    )


def _harmless(value: str) -> str:
    return value if _NO_NUMBER.fullmatch(value) else mask_text(value)
