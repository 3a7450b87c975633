"""From agents' sessions to webhooks. Fits ``voice_agents.ports.Announcer``.

What is told is stored by a task of its own, in the order in which it happened: a session never waits for the
database. Where that is away, events wait here, the newest of very many are dropped, and that is counted.
Numbers in details are masked.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.ports import EventSink, Transactions
from telephony.errors import StorageUnavailable
from telephony.numbers import mask_text
from voice_agents.core.record import SessionRecord

_log = structlog.get_logger("gateway.agents")
_MOST_WAITING: Final = 10_000
_SESSIONS_KEPT: Final = 10_000
_AGAIN_S: Final = 1.0
_LAST_S: Final = 5.0

_Told = tuple[str, WebhookEvent, str | None]


class AgentAnnouncer:
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
        self._database = database
        self._sink = sink
        self._wake = wake
        self._now = now
        self._url_of = url_of
        self._heard_of: OrderedDict[str, tuple[int, str | None]] = OrderedDict()
        """Session → how many events it had, and its call's own URL, which is asked for after the call too."""
        self._waiting: asyncio.Queue[_Told] = asyncio.Queue(_MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.tally: Counter[str] = Counter()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="agent-events")

    async def stop(self) -> None:
        """Store what is waiting, for a moment, and stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self._waiting.join()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if left := self._waiting.qsize():
            self.tally["dropped"] += left
            _log.error("events.lost", count=left)

    def publish(self, event: str, session: SessionRecord, detail: Mapping[str, str | int | bool]) -> None:
        """Have the world told. Never waits, never raises."""
        count, url = self._heard_of.pop(session.id, (0, None))
        count, url = count + 1, self._url_of(session.call_id) or url
        self._heard_of[session.id] = (count, url)
        while len(self._heard_of) > _SESSIONS_KEPT:
            self._heard_of.popitem(last=False)
        told = webhook_of(event, session, detail, count, self._now())
        try:
            self._waiting.put_nowait((session.tenant, told, url))
        except asyncio.QueueFull:
            self.tally["dropped"] += 1

    async def _run(self) -> None:
        while True:
            told = await self._waiting.get()
            try:
                await self._store(told)
            except asyncio.CancelledError:
                self.tally["dropped"] += 1  # or stored at the last moment: nobody is there to hear of it
                raise
            except Exception:  # noqa: BLE001  # why: edge of the task; one event must not end all others
                _log.exception("event.not_stored", type=told[1].type)
                self.tally["failed"] += 1
            finally:
                self._waiting.task_done()

    async def _store(self, told: _Told) -> None:
        tenant, event, url = told

        def work(conn: Connection) -> Sequence[str]:
            if url is None and not self._sink.wanted(conn, tenant, event.type):
                return ()
            return self._sink.fan_out(conn, tenant, event, url)

        while True:
            try:
                lanes = await self._database.write(work)
            except StorageUnavailable:
                await asyncio.sleep(_AGAIN_S)
                continue
            self._wake(lanes)
            self.tally["told"] += 1
            return


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
