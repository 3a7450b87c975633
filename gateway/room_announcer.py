"""From video rooms to webhooks. Fits ``video_rooms.ports.RoomAnnouncer``.

What is told is stored by a task of its own, in the order in which it happened: a room never waits for the
database. Where that is away, events wait here, the newest of very many are dropped, and that is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.ports import EventSink, Transactions
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from video_rooms.core.names import plain
from video_rooms.core.room import Json

_log = structlog.get_logger("gateway.rooms")
_MOST_WAITING: Final = 10_000
_AGAIN_S: Final = 1.0
_LAST_S: Final = 5.0

_Told = tuple[TenantId, WebhookEvent]


class WebhookRoomAnnouncer:
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
        self._database = database
        self._sink = sink
        self._wake = wake
        self._now = now
        self._new_id = new_id
        self._latest = 0
        self._waiting: asyncio.Queue[_Told] = asyncio.Queue(_MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.tally: Counter[str] = Counter()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="room-events")

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
        try:
            self._waiting.put_nowait((tenant, event))
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
        tenant, event = told

        def work(conn: Connection) -> Sequence[str]:
            wanted = self._sink.wanted(conn, tenant, event.type)
            return self._sink.fan_out(conn, tenant, event) if wanted else ()

        while True:
            try:
                lanes = await self._database.write(work)
            except StorageUnavailable:
                await asyncio.sleep(_AGAIN_S)
                continue
            self._wake(lanes)
            self.tally["told"] += 1
            return


def _masked(told: Json) -> Json:
    """What is told holds no number already; this makes sure of it."""
    return plain(told) if isinstance(told, str) else told
