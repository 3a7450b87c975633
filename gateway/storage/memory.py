"""A database without a file, for tests and trials: the same statements, run at once, gone with the process.

It is SQLite's own memory mode behind the same ``Backend``, so every repository works on it unchanged
and passes the same contract suite; there is no second implementation that could drift.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from gateway.storage.database import Database
from gateway.storage.errors import translate
from gateway.storage.migrate import mark_current
from gateway.storage.models import METADATA
from gateway.storage.sqlite import snapshot
from gateway.storage.sqlite_link import close_link, connect, raw_of
from telephony.errors import StorageUnavailable

T = TypeVar("T")


class MemoryBackend:
    """Tables in memory. While ``away`` is true every call raises StorageUnavailable and changes nothing."""

    def __init__(self) -> None:
        self.away = False
        self._link = connect(":memory:", "NORMAL", query_only=False)
        self._link.begin()  # for good: works must see that the transaction is not theirs to commit

    async def write(self, work: Callable[[Connection], T], deadline_s: float, patient: bool = False) -> T:
        self._answer()
        return self._transact(work)

    async def read(self, work: Callable[[Connection], T], deadline_s: float) -> T:
        self._answer()
        try:
            return snapshot(self._link, work)
        except (sqlite3.Error, SQLAlchemyError, UnicodeEncodeError) as error:
            raise translate(error) from None

    async def reshape(self, work: Callable[[Connection], T], deadline_s: float) -> T:
        self._answer()

        def on_our_tables(conn: Connection) -> T:
            mark_current(conn)
            return work(conn)

        return self._transact(on_our_tables)

    async def close(self) -> None:
        close_link(self._link)

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable

    def _transact(self, work: Callable[[Connection], T]) -> T:
        raw = raw_of(self._link)
        raw.execute("BEGIN")
        try:
            result = work(self._link)
            raw.execute("COMMIT")
        except BaseException as error:  # why: whatever it was, no transaction may stay open
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            translated = translate(error)
            if translated is error:
                raise
            raise translated from None
        return result


def open_memory(backend: MemoryBackend | None = None) -> Database:
    """A database in memory with all tables; keep the ``backend`` to take it away for a while."""
    backend = backend or MemoryBackend()
    backend._transact(METADATA.create_all)
    return Database(backend, "sqlite")
