"""Databases for tests: with all tables, and with nothing in them."""

from __future__ import annotations

import asyncio
from typing import Final

from sqlalchemy import Connection, text

from gateway.storage.database import Database
from gateway.storage.models import METADATA

PATIENCE_S: Final = 60.0
"""How long a test's own work on its database may take: far longer than on the slowest disk."""


def migrate(url: str) -> None:
    """Make the tables of an empty database."""

    async def run() -> None:
        database = await Database.open(url)
        await database.migrate()
        await database.close()

    asyncio.run(run())


async def open_empty(url: str) -> Database:
    """A database that has all tables: a SQLite file of the test's own, or the PostgreSQL one that tests use
    one after another, emptied."""
    database = await Database.open(url)
    if database.dialect == "postgresql":
        await database.write(_empty, deadline_s=PATIENCE_S)
    return database


def _empty(conn: Connection) -> None:
    """Row by row: TRUNCATE makes new files for every table, which takes ten times as long. The lock waits
    for what a process that was killed may still have under way at the server."""
    names = [table.name for table in reversed(METADATA.sorted_tables)]
    deletes = "".join(f"DELETE FROM {name};" for name in names)
    conn.execute(text(f"DO $$ BEGIN LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE; {deletes} END $$"))
