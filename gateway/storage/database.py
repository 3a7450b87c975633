"""One database behind two verbs: ``write`` a transaction, ``read`` a snapshot.

The work is a plain function of a SQLAlchemy connection. It may be run more than once (a transaction
that the server undid is tried again), so it touches nothing but the connection; it never commits.
SQLite is the embedded database (`gateway.storage.sqlite`), PostgreSQL the one for several machines
(`gateway.storage.postgres`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeVar

from sqlalchemy import Connection, make_url

T = TypeVar("T")
Work = Callable[[Connection], T]

DEADLINE_S: Final = 5.0
"""How long a caller waits for the database before it hears StorageUnavailable."""
MIGRATION_DEADLINE_S: Final = 120.0

Dialect = Literal["sqlite", "postgresql"]


class Backend(Protocol):
    """What an engine must be able to do; both translate their driver's errors."""

    async def write(self, work: Work[T], deadline_s: float, patient: bool = False) -> T: ...

    async def read(self, work: Work[T], deadline_s: float) -> T: ...

    async def reshape(self, work: Work[T], deadline_s: float) -> T:
        """A transaction that changes tables, alone: no other one of any process runs beside it."""
        ...

    async def close(self) -> None: ...


class Database:
    """The open database. ``dialect`` tells statements that differ between the two apart."""

    def __init__(self, backend: Backend, dialect: Dialect) -> None:
        self._backend = backend
        self.dialect: Final = dialect

    @classmethod
    async def open(cls, url: str, *, synchronous: str = "NORMAL") -> Database:
        """Open ``sqlite:///path`` or ``postgresql+asyncpg://…``.

        ``synchronous`` is SQLite's (NORMAL: a commit outlives the process; FULL: also a power cut).
        Raises StorageUnavailable where the database cannot be reached, ValueError for another URL.
        """
        where = make_url(url)
        backend_name = where.get_backend_name()
        if backend_name == "sqlite":
            from gateway.storage.sqlite import SqliteBackend

            if not where.database or where.database == ":memory:":
                raise ValueError("SQLite needs a file: sqlite:///path")
            return cls(await SqliteBackend.open(where.database, synchronous), "sqlite")
        if backend_name == "postgresql":
            from gateway.storage.postgres import PostgresBackend

            return cls(await PostgresBackend.open(where.set(drivername="postgresql+asyncpg")), "postgresql")
        raise ValueError(f"no storage for {backend_name}: use sqlite:///path or postgresql+asyncpg://…")

    async def write(self, work: Work[T], *, deadline_s: float = DEADLINE_S, patient: bool = False) -> T:
        """Run ``work`` in one transaction: whole or not at all, durable when this returns.

        A ``patient`` one may wait some milliseconds for others, to share one commit with them (SQLite);
        writes keep their order all the same.
        Raises what ``work`` raises (nothing is written then), Duplicate for a broken unique rule,
        StorageUnavailable when the database is locked, away or too busy (nothing is written), and
        its kind WriteOutcomeUnknown when the deadline passed in mid-commit.
        """
        return await self._backend.write(work, deadline_s, patient)

    async def read(self, work: Work[T], *, deadline_s: float = DEADLINE_S) -> T:
        """Run ``work`` on a snapshot that holds every finished ``write``. Raises StorageUnavailable."""
        return await self._backend.read(work, deadline_s)

    async def migrate(self) -> None:
        """Bring the tables to this version, once, however many processes start at the same time."""
        from gateway.storage.migrate import upgrade

        await self._backend.reshape(upgrade, MIGRATION_DEADLINE_S)

    async def close(self) -> None:
        """Finish what was accepted, then let go of every connection and thread."""
        await self._backend.close()
