"""From video rooms to webhooks. Fits ``video_rooms.ports.RoomAnnouncer``.

What is told is stored by a task of its own, in the order in which it happened: a room never waits for the
database. Where that is away, events wait here, the newest of very many are dropped, and that is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from gateway.event_queue import EventQueue
from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.ports import EventSink, Transactions
from telephony.ids import TenantId
from video_rooms.core.names import plain
from video_rooms.core.room import Json


class WebhookRoomAnnouncer(EventQueue):
    """``wake`` starts first attempts; ``now`` tells epoch seconds, ``new_id`` makes an id with this prefix.
    ``tally`` counts events that were ``told`` (stored, or wanted by nobody), ``dropped`` for want of room or
    of time at the end, and ``failed``."""

    def __init__(
        self,
        database: Transactions[Connection],
        sink: EventSink[Connection],
        wake: Callable[[Sequence[str]], None],
        now: Callable[[], float],
        new_id: Callable[[str], str],
    ) -> None:
        super().__init__(database, sink, wake)
        self._now = now
        self._new_id = new_id
        self._latest = 0

    def tell(self, tenant: TenantId, kind: str, room_id: str, told: Mapping[str, Json]) -> None:
        """Have the world told. Never waits, never raises."""
        at = self._now()
        self._latest = max(self._latest + 1, int(at * 1000))
        event = WebhookEvent(
            id=self._new_id("evt"),
            type=kind,
            occurred_at=datetime.fromtimestamp(at, UTC),
            subject=room_id,
            sequence=self._latest,
            data={"room_id": room_id, **{name: _masked(one) for name, one in told.items()}},
        )
        self.put(tenant, event)


def _masked(told: Json) -> Json:
    """What is told holds no number already; this makes sure of it."""
    return plain(told) if isinstance(told, str) else told
