"""One set of doors for both storages: memory and SQLite."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.database import Database
from gateway.storage.models import METADATA
from gateway.storage.outbox import SqlOutbox
from gateway.storage.tables_webhooks import (
    WEBHOOK_DELIVERIES,
    WEBHOOK_ENDPOINTS,
    WEBHOOK_EVENTS,
    WEBHOOK_TENANT_SECRETS,
)
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.storage.webhook_log import SqlDeliveryLog
from gateway.webhooks.core.events import WebhookEvent
from gateway.webhooks.core.signing import make_secret
from gateway.webhooks.fakes import (
    ManualClock,
    MemoryDeliveryLog,
    MemoryEndpointBook,
    MemoryOutbox,
    MemoryStore,
)
from gateway.webhooks.ports import Endpoint

TABLES = [WEBHOOK_ENDPOINTS, WEBHOOK_TENANT_SECRETS, WEBHOOK_EVENTS, WEBHOOK_DELIVERIES]
START = datetime(2026, 3, 8, 12, tzinfo=UTC)


class Ids:
    """Ids in the order of making, like ULIDs."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):026d}"

    def secret(self) -> str:
        return make_secret(next(self._numbers).to_bytes(32, "big"))


@dataclass
class Doors:
    """A storage and the clock it lives by. ``db`` is its transactions; the rest fit the ports."""

    db: Any
    outbox: Any
    book: Any
    log: Any
    clock: ManualClock
    ids: Ids

    @property
    def now(self) -> float:
        return self.clock.wall().timestamp()

    async def endpoint(
        self, tenant: str = "ten_a", events: tuple[str, ...] = ("*",), **more: Any
    ) -> Endpoint:
        id_ = self.ids("wh")
        made = Endpoint(
            id=id_,
            tenant_id=tenant,
            url=f"https://{id_.lower().replace('_', '-')}.example.com/",
            events=events,
            description="",
            active=True,
            created_at=self.now,
            updated_at=self.now,
            secret=self.ids.secret(),
            **more,
        )
        await self.db.write(lambda conn: self.book.put(conn, made))
        return made

    async def tell(
        self,
        tenant: str = "ten_a",
        type_: str = "call.answered",
        subject: str = "call_1",
        sequence: int = 1,
        url: str | None = None,
        event_id: str | None = None,
    ) -> tuple[str, ...]:
        """Fan out one event; gives the lanes."""
        event = WebhookEvent(
            event_id or self.ids("evt"), type_, self.clock.wall(), subject, sequence, {"call_id": subject}
        )
        lanes: tuple[str, ...] = await self.db.write(
            lambda conn: self.outbox.fan_out(conn, tenant, event, url)
        )
        return lanes

    async def claim(self, *lanes: str, room: int = 100, hold: float = 60.0) -> list[Any]:
        return list(await self.outbox.claim(dict.fromkeys(lanes, room), self.now, self.now + hold))


def memory() -> Doors:
    clock, ids, store = ManualClock(START), Ids(), MemoryStore()
    book = MemoryEndpointBook(ids.secret)
    return Doors(store, MemoryOutbox(store, book, clock, ids), book, MemoryDeliveryLog(), clock, ids)


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Doors]:
    clock, ids = ManualClock(START), Ids()
    database = await Database.open(f"sqlite:///{folder / 'webhooks.db'}")
    await database.write(lambda conn: METADATA.create_all(conn, tables=TABLES))
    book = SqlEndpointBook(clock.mono, ids.secret)
    yield Doors(database, SqlOutbox(database, book, clock, ids), book, SqlDeliveryLog(), clock, ids)
    await database.close()


@pytest.fixture(params=["memory", "sqlite"])
async def doors(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Doors]:
    if request.param == "memory":
        yield memory()
        return
    async with sqlite(tmp_path) as opened:
        yield opened


@pytest.fixture
async def sql_doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with sqlite(tmp_path) as opened:
        yield opened
