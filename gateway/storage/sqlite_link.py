"""One connection to an SQLite file, as every thread of ours wants it."""

from __future__ import annotations

import sqlite3
from typing import Final, cast

import orjson
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gateway.storage.jsontext import to_json

OPEN_PATIENCE_S: Final = 5.0
LOCK_PATIENCE_MS: Final = 100
"""One try for the write lock; between tries, works whose callers have left are dropped."""


def connect(path: str, synchronous: str, *, query_only: bool) -> Connection:
    """A connection that sends no BEGIN and no COMMIT of its own. Raises sqlite3.Error."""

    def dial() -> sqlite3.Connection:
        raw = sqlite3.connect(
            path,
            timeout=OPEN_PATIENCE_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            raw.execute("PRAGMA journal_mode=WAL")  # may wait for others who open the same new file
            raw.execute(f"PRAGMA busy_timeout={LOCK_PATIENCE_MS}")
            raw.execute(f"PRAGMA synchronous={synchronous}")
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute(f"PRAGMA query_only={int(query_only)}")
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    engine = create_engine(
        "sqlite://",
        creator=dial,
        poolclass=NullPool,
        hide_parameters=True,
        json_serializer=to_json,
        json_deserializer=orjson.loads,
    )
    return engine.connect()


def raw_of(link: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, link.connection.dbapi_connection)


def close_link(link: Connection | None) -> None:
    """Close for good; what was not committed is undone."""
    if link is None:
        return
    try:
        link.close()
    except (sqlite3.Error, DBAPIError):
        link.invalidate()
