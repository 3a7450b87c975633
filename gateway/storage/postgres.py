"""PostgreSQL through asyncpg: a pool, server-side deadlines, and a second run of what the server undid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.storage.errors import WriteOutcomeUnknown, is_lost, is_undone, translate
from gateway.storage.jsontext import to_json
from telephony.errors import StorageUnavailable

T = TypeVar("T")

POOL_SIZE: Final = 10
CONNECT_S: Final = 4.0
STATEMENT_MS: Final = 5_000
"""The server gives up on a statement after this long, also when we are no longer there to cancel it."""
TRIES: Final = 3
_RESHAPE_LOCK: Final = 0x5061_7463_6862_6179
"""Key of the advisory lock that lets one process at a time change tables."""


class PostgresBackend:
    """An asyncpg pool, owned by the event loop that opened it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._abandoned: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, url: URL) -> PostgresBackend:
        """Raises StorageUnavailable where the server does not answer or refuses us."""
        settings = {"statement_timeout": str(STATEMENT_MS), "idle_in_transaction_session_timeout": "15000"}
        engine = create_async_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=CONNECT_S,
            pool_use_lifo=True,
            hide_parameters=True,
            json_serializer=to_json,
            json_deserializer=orjson.loads,
            connect_args={"timeout": CONNECT_S, "server_settings": settings},
        )
        backend = cls(engine)
        try:
            await backend.read(lambda conn: conn.execute(text("SELECT 1")).scalar_one(), CONNECT_S)
        except BaseException:  # why: cancelled too, its connections would stay open
            await engine.dispose()
            raise
        return backend

    async def write(self, work: Callable[[Connection], T], deadline_s: float, patient: bool = False) -> T:
        return await self._transact(work, deadline_s, commit=True)

    async def read(self, work: Callable[[Connection], T], deadline_s: float) -> T:
        return await self._transact(work, deadline_s, commit=False)

    async def reshape(self, work: Callable[[Connection], T], deadline_s: float) -> T:
        def alone(conn: Connection) -> T:
            conn.execute(text("SET LOCAL statement_timeout = 0"))
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _RESHAPE_LOCK})
            return work(conn)

        return await self._transact(alone, deadline_s, commit=True)

    async def _transact(self, work: Callable[[Connection], T], deadline_s: float, *, commit: bool) -> T:
        """The caller leaves at the deadline; a connection that is silent is taken down behind its back."""
        stage = _Stage()
        task = asyncio.create_task(self._tries(work, stage, commit=commit))
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.shield(task)
        except TimeoutError:
            raise (WriteOutcomeUnknown if stage.committing else StorageUnavailable) from None
        finally:
            if not task.done():
                self._abandon(task)

    def _abandon(self, task: asyncio.Task[T]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # its caller has heard of the deadline already

    async def _tries(self, work: Callable[[Connection], T], stage: _Stage, *, commit: bool) -> T:
        """What never reached its commit, or was undone by the server, is not there: run it again."""
        left = TRIES
        while True:
            left -= 1
            try:
                return await self._once(work, stage, commit=commit)
            except Exception as error:  # noqa: BLE001 # why: the seam where every driver's error gets our word
                if stage.committing and is_lost(error):
                    raise WriteOutcomeUnknown from None
                if left and (is_lost(error) or is_undone(error)):
                    continue
                raise translate(error) from None

    async def _once(self, work: Callable[[Connection], T], stage: _Stage, *, commit: bool) -> T:
        stage.committing = False
        async with self._engine.connect() as conn:
            result = await conn.run_sync(work)
            if commit:
                stage.committing = True
                await conn.commit()
                stage.committing = False
            return result

    async def close(self) -> None:
        await asyncio.gather(*self._abandoned, return_exceptions=True)
        await self._engine.dispose()


@dataclass(slots=True)
class _Stage:
    """How far a transaction has come; the deadline asks."""

    committing: bool = False
