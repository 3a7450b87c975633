"""One set of doors for every storage: memory, SQLite, PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.runtime.ports import bound
from gateway.storage.cursors import Cursors
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
from gateway.webhooks.ports import DeliveryFilter, Endpoint, Place
from tests.contract.storage.fresh import PATIENCE_S, open_empty

TABLES = [WEBHOOK_ENDPOINTS, WEBHOOK_TENANT_SECRETS, WEBHOOK_EVENTS, WEBHOOK_DELIVERIES]
CURSORS = Cursors(b"k" * 32)
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
    cursors: Cursors = CURSORS

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

    async def deliveries(
        self, wanted: DeliveryFilter, tenant: str = "ten_a", limit: int = 100, cursor: str | None = None
    ) -> Any:
        """One page of deliveries."""
        place = Place(limit, cursor)
        return await self.db.read(lambda conn: self.log.page(conn, tenant, wanted, self.cursors, place))

    async def endpoints(self, tenant: str = "ten_a", limit: int = 100, cursor: str | None = None) -> Any:
        """One page of endpoints."""
        place = Place(limit, cursor)
        return await self.db.read(lambda conn: self.book.page(conn, tenant, self.cursors, place))

    @staticmethod
    async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
        """Look until there is something to see; gives it."""
        async with asyncio.timeout(PATIENCE_S):
            while not (seen := await look()):  # noqa: ASYNC110 # why: the condition lives in a database
                await asyncio.sleep(0.005)
            return seen

    async def claim(self, *lanes: str, room: int = 100, hold: float = 60.0) -> list[Any]:
        return list(await self.outbox.claim(dict.fromkeys(lanes, room), self.now, self.now + hold))


def memory() -> Doors:
    clock, ids, store = ManualClock(START), Ids(), MemoryStore()
    book = MemoryEndpointBook(ids.secret)
    return Doors(store, MemoryOutbox(store, book, clock, ids), book, MemoryDeliveryLog(), clock, ids)


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'webhooks.db'}"


@asynccontextmanager
async def sql(url: str) -> AsyncIterator[Doors]:
    clock, ids = ManualClock(START), Ids()
    database = await open_empty(url)
    if database.dialect == "sqlite":
        await database.write(lambda conn: METADATA.create_all(conn, tables=TABLES), deadline_s=PATIENCE_S)
    book = SqlEndpointBook(clock.mono, ids.secret)
    try:
        yield Doors(database, SqlOutbox(database, book, clock, ids), book, SqlDeliveryLog(), clock, ids)
    finally:
        await database.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def doors_url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Where the test's webhooks are stored; None is memory."""
    match request.param:
        case "sqlite":
            return sqlite_url(tmp_path)
        case "postgresql":
            return str(request.getfixturevalue("migrated_postgres"))
    return None


@pytest.fixture
async def doors(doors_url: str | None) -> AsyncIterator[Doors]:
    if doors_url is None:
        yield memory()
        return
    async with sql(doors_url) as opened:
        yield opened


class Receiver:
    """A real receiver on loopback. ``answer`` decides each reply; what came is kept in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: Callable[[Received], Awaitable[web.StreamResponse]] = ok
        self._arrived = asyncio.Condition()
        self._runner: web.ServerRunner | None = None
        self._socket = bound("127.0.0.1", 0, socket.SOCK_STREAM)
        self.port = int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Listen. Until then the port is this receiver's already, and refuses connections."""

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            received = Received(request, request.path, dict(request.headers), await request.read())
            async with self._arrived:
                self.requests.append(received)
                self._arrived.notify_all()
            return await self.answer(received)

        self._runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._socket.close()

    async def got(self, count: int, within_s: float = PATIENCE_S) -> list[Received]:
        """Wait until so many requests have arrived."""
        async with asyncio.timeout(within_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return list(self.requests)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@dataclass(frozen=True)
class Received:
    request: web.BaseRequest
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


async def ok(_: Received) -> web.StreamResponse:
    return web.Response(status=204)


@pytest.fixture
async def receivers() -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    """Makes receivers, which listen unless they are ``dead``; all are stopped at the end."""
    made: list[Receiver] = []

    async def make(*, dead: bool = False) -> Receiver:
        receiver = Receiver()
        made.append(receiver)
        if not dead:
            await receiver.start()
        return receiver

    yield make
    for receiver in made:
        await receiver.stop()


@pytest.fixture
async def sql_doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with sql(sqlite_url(tmp_path)) as opened:
        yield opened
