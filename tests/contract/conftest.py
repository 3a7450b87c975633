"""One PostgreSQL server for every contract that a database has to keep."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.contract.storage import postgres_server
from tests.contract.storage.fresh import migrate


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.PostgresServer]:
    """A PostgreSQL server of our own; skips, saying why, where none can be had."""
    if importlib.util.find_spec("greenlet") is None:
        pytest.skip("no greenlet: SQLAlchemy needs it to reach PostgreSQL through asyncpg")
    try:
        server = postgres_server.start()
    except postgres_server.NoServer as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: postgres_server.PostgresServer) -> str:
    """The URL of a PostgreSQL database with all tables. Whoever opens it empties it first."""
    migrate(postgres.url("postgres"))
    return postgres.url("postgres")
