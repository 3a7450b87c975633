"""The masking service on each pair of index and ledger, for stories told to it: with faults of the index."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from redis.asyncio import Redis

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from proxy_pool.core.session import Binding, Door, Entry
from proxy_pool.fakes import MemoryLedger, MemoryPoolBook
from proxy_pool.ports import Claim, Index, IndexAway, Ledger, PoolBook
from proxy_pool.store_memory import MemoryIndex
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import open_redis
from proxy_pool.upkeep import KeptIndex
from telephony.ids import TenantId
from tests.contract.proxy_pool.index_rig import CALM, Server, until

_PAGE = 100


async def pages_of(ledger: Ledger) -> AsyncIterator[Sequence[Binding]]:
    """Every held binding: what an index fills itself from."""
    after = 0
    while rows := await ledger.all_held(after, _PAGE):
        after = rows[-1][0]
        yield [binding for _, binding in rows]


class Stage(Protocol):
    """One index and one ledger, empty at first, and what may happen to the index."""

    ledger: Ledger
    book: PoolBook
    index: Index

    async def empty(self) -> None:
        """The index forgets everything, without knowing it."""
        ...

    async def cut(self) -> None:
        """From now on the index cannot be reached."""
        ...

    async def mend(self) -> None:
        """It can again; returns when it is trusted."""
        ...

    async def close(self) -> None: ...

    def helped(self) -> int:
        """How many look-ups the index answered."""
        ...


Opener = Callable[[], Awaitable[Stage]]


class SuspectMemory:
    """A memory index that may be away, as another process's would be: what it misses it learns anew."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._inner = MemoryIndex()
        self._away = False
        self.hits = 0

    async def reserve(self, claims: Sequence[Claim], now: float) -> Sequence[int | None]:
        if self._away:
            raise IndexAway
        return await self._inner.reserve(claims, now)

    async def put(self, bindings: Sequence[Binding], now: float) -> None:
        if not self._away:
            await self._inner.put(bindings, now)

    async def suspend(self, doors: Sequence[Door], now: float) -> None:
        if not self._away:
            await self._inner.suspend(doors, now)

    async def drop(self, doors: Sequence[Door]) -> None:
        if not self._away:
            await self._inner.drop(doors)

    async def look_up(self, tenant: TenantId, key: str, index: int, now: float) -> Entry | None:
        found = None if self._away else await self._inner.look_up(tenant, key, index, now)
        self.hits += found is not None
        return found

    async def taken(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        if self._away:
            raise IndexAway
        return await self._inner.taken(tenant, key, now)

    def forget(self) -> None:
        self._inner = MemoryIndex()

    def leave(self) -> None:
        self._away = True

    async def come_back(self) -> None:
        if self._away:
            self._inner, self._away = MemoryIndex(), False
            await self._inner.rebuild(pages_of(self._ledger))


class InMemory:
    """Fits ``Stage``."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.book = MemoryPoolBook(self.ledger)
        self.index = SuspectMemory(self.ledger)

    async def empty(self) -> None:
        self.index.forget()

    async def cut(self) -> None:
        self.index.leave()

    async def mend(self) -> None:
        await self.index.come_back()

    async def close(self) -> None:
        """Nothing to let go of."""

    def helped(self) -> int:
        return self.index.hits


class OnFile:
    """Fits ``Stage``: a SQLite file of its own, and no index."""

    def __init__(self, database: Database, index: KeptIndex) -> None:
        self._database = database
        self.ledger = SqlLedger(database, Cursors(b"a secret of the tests, 32 bytes!!"))
        self.book = SqlPoolBook(database)
        self.index = index

    async def empty(self) -> None:
        """It knows nothing."""

    async def cut(self) -> None:
        """It never is there."""

    async def mend(self) -> None:
        """It never is there."""

    async def close(self) -> None:
        await self._database.close()

    def helped(self) -> int:
        return self.index.counts.hits


class OnRedis(OnFile):
    """Fits ``Stage``: a SQLite file and a Redis that was emptied before."""

    def __init__(self, database: Database, server: Server, secret: bytes, now: Callable[[], float]) -> None:
        self._server = server
        self._door = server.socket.with_name("door.sock")
        self._open_door()
        self._redis: Redis = open_redis(f"unix://{self._door}")
        index = RedisIndex(self._redis, secret, now=now, patience=CALM)
        super().__init__(database, index)
        self._task = asyncio.create_task(index.run(lambda: pages_of(self.ledger)))

    async def empty(self) -> None:
        await self._server.empty()

    def _open_door(self) -> None:
        self._door.unlink(missing_ok=True)
        self._door.symlink_to(self._server.socket)

    async def cut(self) -> None:
        self._door.unlink(missing_ok=True)
        await self._redis.connection_pool.disconnect()

    async def mend(self) -> None:
        self._open_door()
        await until(lambda: bool(getattr(self.index, "trusted", False)))

    async def close(self) -> None:
        await self.mend()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._redis.aclose()
        await super().close()


async def fresh_file(template: Path, path: Path) -> Database:
    """An empty database with all tables."""
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    shutil.copy(template, path)
    return await Database.open(f"sqlite:///{path}")
