"""One database per test, in each kind: a SQLite file, PostgreSQL, and memory; and the stores on them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.storage.calls import CallRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.keys import TenantRepository
from gateway.storage.memory import open_memory
from gateway.storage.records import Tenant
from gateway.storage.room_invites import RoomInviteRepository
from gateway.storage.room_people import RoomPeopleRepository
from gateway.storage.rooms import RoomRepository
from tests.contract.storage.fresh import migrate, open_empty
from tests.contract.storage.room_stores import NOW, OURS, THEIRS, Stores
from video_rooms.fakes_stores import MemoryInvites, MemoryPeople, MemoryRooms


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("storage") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_file(migrated_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(migrated_file, tmp_path / "patchbay.db"))


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Where the test's database is; None is memory."""
    match request.param:
        case "sqlite":
            return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
        case "postgresql":
            return str(request.getfixturevalue("migrated_postgres"))
    return None


@pytest.fixture
async def database(database_url: str | None) -> AsyncIterator[Database]:
    """An empty database with all tables."""
    opened = open_memory() if database_url is None else await open_empty(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def cursors() -> Cursors:
    return Cursors(b"a secret of the tests, 32 bytes!!")


@pytest.fixture
def calls(database: Database, cursors: Cursors) -> CallRepository:
    return CallRepository(database, cursors)


@pytest.fixture(params=["fake", "memory", "sqlite", "postgresql"])
def where(request: pytest.FixtureRequest) -> str:
    """A database's address; ``fake`` and ``memory`` have none."""
    match request.param:
        case "sqlite":
            return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
        case "postgresql":
            return str(request.getfixturevalue("migrated_postgres"))
    return str(request.param)


@pytest.fixture
async def stores(where: str) -> AsyncIterator[Stores]:
    if where == "fake":
        yield Stores(MemoryRooms(), MemoryPeople(), MemoryInvites())
        return
    opened = open_memory() if where == "memory" else await open_empty(where)
    tenants = TenantRepository(opened)
    await tenants.create(Tenant(OURS, "Ours", NOW))
    await tenants.create(Tenant(THEIRS, "Theirs", NOW))
    yield Stores(RoomRepository(opened), RoomPeopleRepository(opened), RoomInviteRepository(opened))
    await opened.close()
