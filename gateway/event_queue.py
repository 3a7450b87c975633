"""Events on their way to webhooks, from those who must not wait for a database.

A task of its own stores them, in the order in which they happened. Where the database is away, events wait
here, the newest of very many are dropped, and that is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import Connection

from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.ports import EventSink, Transactions
from telephony.errors import StorageUnavailable

_log = structlog.get_logger("gateway.events")
MOST_WAITING: Final = 10_000
_AGAIN_S: Final = 1.0
_LAST_S: Final = 5.0

_Told = tuple[str, WebhookEvent, str | None]


class EventQueue:
    """What announcers are built on. ``wake`` starts first attempts. ``tally`` counts events that were
    ``told`` (stored, or wanted by nobody), ``dropped`` for want of room or of time at the end, and
    ``failed``."""

    def __init__(
        self,
        database: Transactions[Connection],
        sink: EventSink[Connection],
        wake: Callable[[Sequence[str]], None],
    ) -> None:
        self._database = database
        self._sink = sink
        self._wake = wake
        self._waiting: asyncio.Queue[_Told] = asyncio.Queue(MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.tally: Counter[str] = Counter()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="events")

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

    def put(self, tenant: str, event: WebhookEvent, url: str | None = None) -> None:
        """Have this stored for the tenant's endpoints, and for ``url``. Never waits, never raises."""
        try:
            self._waiting.put_nowait((tenant, event, url))
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
