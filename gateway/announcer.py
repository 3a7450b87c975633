"""From a call's events to webhooks, inside the transaction that stores the call.

Fits ``gateway.storage.calls.Announcer``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from dialplan.core.record import CallEvent, shown
from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.ports import EventSink
from telephony.ids import CallId


class WebhookAnnouncer:
    """Every event of a call goes to the tenant's endpoints and to the call's own URL, if it has one."""

    def __init__(self, sink: EventSink[Connection], wake: Callable[[Sequence[str]], None]) -> None:
        self._sink = sink
        self._wake = wake

    def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
        """Store the deliveries; the lanes to wake once they are durable."""
        lanes: list[str] = []
        for event in events:
            url = event.call.webhook_url
            if url is not None or self._sink.wanted(conn, event.tenant, event.type):
                lanes.extend(self._sink.fan_out(conn, event.tenant, webhook_of(event), url))
        return lanes

    def committed(self, announced: Sequence[str]) -> None:
        """Start the first attempts now."""
        self._wake(announced)


def event_id(call_id: CallId, sequence: int) -> str:
    """The same for the same event, always: receivers drop duplicates by it.

    >>> event_id(CallId("call_01"), 3)
    'evt_01-3'
    """
    return f"evt_{call_id.partition('_')[2]}-{sequence}"


def webhook_of(event: CallEvent) -> WebhookEvent:
    """The call as it stood, and what is particular to the event."""
    data: dict[str, object] = {**shown(event.call)}
    if event.detail:
        data["detail"] = dict(event.detail)
    return WebhookEvent(
        id=event_id(event.call_id, event.sequence),
        type=event.type,
        occurred_at=datetime.fromtimestamp(event.at, UTC),
        subject=event.call_id,
        sequence=event.sequence,
        data=data,
    )
