"""Small reads of many tasks, made together: what is asked while one read is under way goes into the next.

A read costs its way to a thread or a server and back, many times what finding one row does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.storage.database import Database
from gateway.storage.hot import Found, Hot, Values

_MOST: Final = 200
"""Questions in one read, so that none keeps a snapshot for long."""


@dataclass(slots=True, eq=False)
class _Asked:
    statements: Sequence[Hot]
    values: Values
    answer: asyncio.Future[list[Found]]


class GatheredReads:
    """Answers hold every write that had finished when they were asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Asked] = []
        self._task: asyncio.Task[None] | None = None

    async def rows(self, statements: Sequence[Hot], values: Values) -> list[Found]:
        """What all of these statements find, one after the other. Raises StorageUnavailable."""
        asked = _Asked(statements, values, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_all(), name="gathered-reads")
        return await asked.answer

    async def _read_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            open_ = [one for one in batch if not one.answer.done()]
            try:
                found = await self._database.read(partial(_find, asked=open_))
            except Exception as error:  # noqa: BLE001  # why: whatever it is, it is each asker's to hear
                for one in open_:
                    if not one.answer.done():
                        one.answer.set_exception(error)
                continue
            except asyncio.CancelledError:
                for one in (*open_, *self._waiting):
                    one.answer.cancel()
                raise
            for one, rows in zip(open_, found, strict=True):
                if not one.answer.done():
                    one.answer.set_result(rows)


def _find(conn: Connection, asked: Sequence[_Asked]) -> list[list[Found]]:
    return [[row for each in one.statements for row in each.rows(conn, one.values)] for one in asked]
