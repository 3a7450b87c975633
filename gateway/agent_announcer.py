"""From agents' sessions to webhooks. Fits ``voice_agents.ports.Announcer``.

What is told is stored by a task of its own, in the order in which it happened: a session never waits for the
database. Where that is away, events wait here, the newest of very many are dropped, and that is counted.
Numbers in details are masked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from gateway.event_queue import EventQueue
from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.ports import EventSink, Transactions
from telephony.numbers import mask_text
from voice_agents.core.record import SessionRecord

_SESSIONS_KEPT: Final = 10_000


class AgentAnnouncer(EventQueue):
    """``url_of`` gives a call's own webhook URL while the call is open; ``wake`` starts first attempts.
    ``tally`` counts events that were ``told`` (stored, or wanted by nobody), ``dropped`` for want of room or
    of time at the end, and ``failed``."""

    def __init__(
        self,
        database: Transactions[Connection],
        sink: EventSink[Connection],
        wake: Callable[[Sequence[str]], None],
        now: Callable[[], float],
        url_of: Callable[[str], str | None],
    ) -> None:
        super().__init__(database, sink, wake)
        self._now = now
        self._url_of = url_of
        self._heard_of: OrderedDict[str, tuple[int, str | None]] = OrderedDict()
        """Session → how many events it had, and its call's own URL, which is asked for after the call too."""

    def publish(self, event: str, session: SessionRecord, detail: Mapping[str, str | int | bool]) -> None:
        """Have the world told. Never waits, never raises."""
        count, url = self._heard_of.pop(session.id, (0, None))
        count, url = count + 1, self._url_of(session.call_id) or url
        self._heard_of[session.id] = (count, url)
        while len(self._heard_of) > _SESSIONS_KEPT:
            self._heard_of.popitem(last=False)
        told = webhook_of(event, session, detail, count, self._now())
        self.put(session.tenant, told, url)


def webhook_of(
    event: str, session: SessionRecord, detail: Mapping[str, str | int | bool], count: int, at: float
) -> WebhookEvent:
    """The session as it stands and what is particular to the event. ``count`` counts a session's events."""
    data: dict[str, object] = {
        "session_id": session.id,
        "call_id": session.call_id,
        "agent_id": session.led_by,
        "agent_version": session.agent_version,
        "state": session.state.value,
        "detail": {name: mask_text(one) if isinstance(one, str) else one for name, one in detail.items()},
    }
    number = session.id.partition("_")[2]
    return WebhookEvent(
        f"evt_{number}-a{count}", event, datetime.fromtimestamp(at, UTC), session.id, count, data
    )
