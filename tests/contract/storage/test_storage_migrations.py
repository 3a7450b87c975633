"""The recorded history leads exactly to what the models say."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway.storage.database import Database
from gateway.storage.errors import BrokenConstraint
from gateway.storage.migrate import HISTORY
from gateway.storage.models import METADATA
from tests.contract.storage.fresh import PATIENCE_S

pytestmark = pytest.mark.contract


async def test_the_history_makes_the_models_tables(database_url: str | None) -> None:
    if database_url is None:
        pytest.skip("memory: its tables are made from the models, there is no history to compare")
    database = await Database.open(database_url)

    def differences(conn: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(conn, opts={"compare_type": True}), METADATA))

    assert await database.read(differences, deadline_s=PATIENCE_S) == []
    heads = ScriptDirectory(str(HISTORY)).get_heads()
    noted = await database.read(
        lambda conn: conn.execute(text("SELECT version_num FROM alembic_version")).all()
    )
    assert [row[0] for row in noted] == heads
    await database.close()


async def test_the_comparison_sees_a_column_and_an_index_that_the_history_lacks(sqlite_file: Path) -> None:
    database = await Database.open(f"sqlite:///{sqlite_file}")

    def harm(conn: Connection) -> None:
        conn.execute(text("ALTER TABLE numbers DROP COLUMN friendly_name"))
        conn.execute(text("DROP INDEX ix_calls_open"))

    await database.write(harm, deadline_s=PATIENCE_S)
    context = await database.read(
        lambda conn: compare_metadata(
            MigrationContext.configure(conn, opts={"compare_type": True}), METADATA
        ),
        deadline_s=PATIENCE_S,
    )
    assert sorted(str(found[0]) for found in context) == ["add_column", "add_index"]
    await database.close()


async def test_tables_that_break_a_reference_are_not_committed(sqlite_file: Path) -> None:
    database = await Database.open(f"sqlite:///{sqlite_file}")

    def orphan(conn: Connection) -> None:
        conn.execute(text("CREATE TABLE extra (id TEXT REFERENCES tenants (id))"))
        conn.execute(text("INSERT INTO extra VALUES ('tnt_nobody')"))

    with pytest.raises(BrokenConstraint, match="extra"):
        await database._backend.reshape(orphan, PATIENCE_S)
    assert "extra" not in await database.read(lambda conn: inspect(conn).get_table_names())
    await database.close()
