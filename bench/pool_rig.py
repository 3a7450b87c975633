"""The masking service as ``bench.pool`` measures it: SQLite, an index, the real service, a full pool."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from redis.asyncio import Redis
from sqlalchemy import Connection
from ulid import ULID

from gateway.clocks import SystemClock, new_id
from gateway.collecting import leave_what_is_loaded
from gateway.config import Settings
from gateway.masking_announcer import MaskingAnnouncer
from gateway.runtime.programs import provision
from gateway.runtime.redis import EmbeddedRedis
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.hot import Hot
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from gateway.storage.masking_rows import binding_rows, session_row
from gateway.storage.masking_settings import SqlSettings
from gateway.storage.masking_statements import ADD_SESSION
from gateway.storage.outbox import SqlOutbox
from gateway.storage.webhook_book import SqlEndpointBook
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.opening import bindings_of
from proxy_pool.core.session import Binding, Channel, Model, Participant, Session, SessionId, Terms
from proxy_pool.desk import NewSession, Seating
from proxy_pool.drafts import Makers
from proxy_pool.no_index import NoIndex
from proxy_pool.placing import Placer
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.sessions import Places, Sessions
from proxy_pool.settings_memory import SettingsMemory
from proxy_pool.store_memory import MemoryIndex
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import open_redis
from proxy_pool.upkeep import KeptIndex
from telephony.ids import TenantId
from telephony.numbers import E164

Backend = Literal["redis", "memory", "sql-only"]
BACKENDS: Final[tuple[Backend, ...]] = ("redis", "memory", "sql-only")
TENANT: Final = TenantId("ten_01J00000000000000000000000")
NUMBERS: Final = 1_000
LIFE_S: Final = 30 * 86_400
_PAGE: Final = 1_000
_SLICE: Final = 2_000
_UP_S: Final = 120.0


class NoCopy:
    """No switch is measured here."""

    def keep(self, session: Session) -> None:
        """Nowhere to keep it."""

    def forget(self, session: Session) -> None:
        """Nowhere to forget it."""


@dataclass
class Stage:
    """A running service; ``redis`` and its client where the index is there."""

    sessions: Sessions
    placer: Placer
    pool: PoolMemory
    ledger: SqlLedger
    database: Database
    index: KeptIndex
    file: Path
    redis: Redis | None = None
    running: asyncio.Task[None] | None = None

    async def fill(self) -> float:
        """Begin the index, as a start of the product does; the seconds until it is trusted."""
        started = time.perf_counter()
        self.running = asyncio.create_task(self.index.run(self.pages))
        if self.redis is None:
            await self.running
        else:
            await trusted(self.index)
        took = time.perf_counter() - started
        leave_what_is_loaded()  # as the product does at the end of its start
        return took

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    def file_bytes(self) -> int:
        """What the database has on disk, its write-ahead log included."""
        return sum(path.stat().st_size for path in self.file.parent.glob(f"{self.file.name}*"))

    async def redis_bytes(self) -> int:
        assert self.redis is not None
        return int((await self.redis.info("memory"))["used_memory"])

    async def pages(self) -> AsyncIterator[Sequence[Binding]]:
        after = 0
        while rows := await self.ledger.all_held(after, _PAGE):
            after = rows[-1][0]
            yield [binding for _, binding in rows]


@asynccontextmanager
async def embedded_redis(folder: Path) -> AsyncIterator[str]:
    """The Redis that the product starts where none is configured; its URL."""
    tools = await asyncio.to_thread(provision, Settings.from_env(os.environ), lambda line: None)
    redis = EmbeddedRedis(tools, folder / "server")
    yield await redis.start()
    await redis.stop()


@asynccontextmanager
async def stage(folder: Path, backend: Backend, redis_url: str) -> AsyncIterator[Stage]:
    """The service on an empty database; ``Stage.fill`` begins its index."""
    os.makedirs(folder)
    clock, dice = SystemClock(), random.Random(7)
    file = folder / "pool.db"
    database = await Database.open(f"sqlite:///{file}")
    await database.migrate()
    outbox = SqlOutbox(database, SqlEndpointBook(clock.mono, lambda: "unused"), clock, new_id)
    ledger = SqlLedger(database, Cursors(b"b" * 32), MaskingAnnouncer(outbox, lambda lanes: None))
    book = SqlPoolBook(database)
    for count in range(NUMBERS):
        await book.add(pool_number(count))
    client = open_redis(redis_url) if backend == "redis" else None
    index = _index(backend, client)
    pool = PoolMemory(book, lambda count: int(dice.random() * count))
    await pool.refresh(load=True)
    settings = SettingsMemory(SqlSettings(database), clock.epoch)
    makers = Makers(clock.epoch, lambda count: "".join(dice.choices("0123456789", k=count)), lambda _: "US")
    placer = Placer(ledger, index, pool, clock.epoch)
    places = Places(ledger, index, pool, NoCopy(), placer, makers, settings.of, lambda session: None)
    made = Stage(Sessions(places), placer, pool, ledger, database, index, file, client)
    try:
        yield made
    finally:
        await made.sessions.settle()
        await made.stop()
        if client is not None:
            await client.flushall()
            await client.aclose()
        await database.close()


def _index(backend: Backend, client: Redis | None) -> KeptIndex:
    if client is not None:
        return RedisIndex(client, b"the secret of a bench")
    return MemoryIndex() if backend == "memory" else NoIndex()


async def trusted(index: KeptIndex) -> None:
    async with asyncio.timeout(_UP_S):
        while not index.trusted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def pool_number(count: int) -> PoolNumber:
    return PoolNumber(
        id=f"num_01J{count:023d}",
        tenant=TENANT,
        number=E164(f"+1202555{count:04d}"),
        index=0,
        country="US",
        area="202",
        capabilities=frozenset(Channel),
    )


def person(count: int) -> E164:
    return E164(f"+1415{count:08d}")


def new_pair(a: int, b: int) -> NewSession:
    """What a client of the API asks for: two people, a name for them, some metadata."""
    return NewSession(
        Seating(person(a)),
        (Seating(person(b)),),
        terms={"ttl_s": 86_400},
        metadata=(("order", f"{a:012d}"),),
    )


def stored_pair(count: int, a: int, b: int, numbers: tuple[int, int], now: float) -> Session:
    """A session as the service would have stored it."""
    people = tuple(
        Participant(seat, person(who), E164(f"+1202555{number:04d}"))
        for seat, (who, number) in enumerate(zip((a, b), numbers, strict=True))
    )
    return Session(
        id=SessionId(f"ses_{ULID.from_int((1 << 100) + count)}"),
        tenant=TENANT,
        model=Model.PAIR,
        terms=Terms(ttl_s=LIFE_S),
        participants=people,
        created_at=now,
        ends_at=now + LIFE_S,
        metadata=(("order", f"{a:012d}"),),
    )


_LOAD_BINDING: Final = Hot(
    "INSERT INTO proxy_bindings (tenant_id, participant, proxy, number_index, session_seq, seat, hold, peer)"
    " VALUES (:tenant_id, :participant, :proxy, :number_index, :session_seq, :seat, 1, :peer)"
)


async def load(made: Stage, sessions: Iterator[Session]) -> int:
    """Store many sessions past the service, in large transactions; how many."""
    index_of, total = made.pool.index_of(TENANT), 0
    while batch := list(itertools.islice(sessions, _SLICE)):

        def work(conn: Connection, batch: Sequence[Session] = batch) -> None:
            rows = []
            for session in batch:
                seq = ADD_SESSION.scalar(conn, session_row(session))
                doors = binding_rows(session, bindings_of(session, index_of))
                rows += [{**door, "session_seq": seq} for door in doors]
            _LOAD_BINDING.run_each(conn, rows)

        await made.database.write(work, deadline_s=60.0)
        total += len(batch)
    return total
