"""One set of masking books per test, in each kind: memory, a SQLite file, PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.proxy_pool.ledger_rig import Books, open_books
from tests.contract.storage.fresh import migrate


@pytest.fixture(scope="session")
def masking_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("masking") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def masking_postgres(migrated_postgres: str) -> str:
    """The URL of a PostgreSQL database with all tables; skips, saying why, where none can be had."""
    return migrated_postgres


@pytest.fixture
def masking_file(masking_template: Path, tmp_path: Path) -> str:
    """The URL of a SQLite file of the test's own, with all tables."""
    return f"sqlite:///{shutil.copy(masking_template, tmp_path / 'masking.db')}"


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def masking_url(request: pytest.FixtureRequest) -> str | None:
    """Where the test's books are; None is memory."""
    match request.param:
        case "sqlite":
            return str(request.getfixturevalue("masking_file"))
        case "postgresql":
            return str(request.getfixturevalue("masking_postgres"))
    return None


@pytest.fixture
async def empty_books(masking_url: str | None) -> AsyncIterator[Books]:
    async with open_books(masking_url) as books:
        yield books


@pytest.fixture
async def books(empty_books: Books) -> Books:
    """Books whose pool has the rig's numbers."""
    await empty_books.fill_pool()
    return empty_books
