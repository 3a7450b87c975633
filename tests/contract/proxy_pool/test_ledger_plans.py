"""The ledger's questions are answered by indices, however many sessions there are: SQLite's plan says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.storage import masking_pool as pool
from gateway.storage import masking_statements as sql
from gateway.storage.database import Database
from gateway.storage.hot import Hot
from gateway.storage.masking_lists import _statements
from gateway.storage.sqlite_link import raw_of

pytestmark = pytest.mark.contract

HELD = "uq_proxy_bindings_held"
PLANS = {
    "a look-up": (sql.RESOLVE, {HELD: "tenant_id=? AND participant=? AND proxy=?"}),
    "the holder of a door": (sql.HOLDER, {HELD: "tenant_id=? AND participant=? AND proxy=?"}),
    "a session": (sql.GET, {"uq_proxy_sessions_id": "id=?"}),
    "a name": (sql.NAMED, {"uq_proxy_sessions_name": "tenant_id=? AND unique_name=?"}),
    "its bindings": (sql.BINDINGS_OF, {"uq_proxy_sessions_id": "id=?", "ix_proxy_bindings_session": ""}),
    "what somebody holds": (sql.HELD, {HELD: "tenant_id=? AND participant=?"}),
    "a pair's numbers": (sql.LAST_OF_PAIR[0], {HELD: "tenant_id=? AND participant=?"}),
    "a pair's old numbers": (
        sql.LAST_OF_PAIR[1],
        {"ix_proxy_bindings_freed": "tenant_id=? AND participant=?"},
    ),
    "what is due": (sql.TOLD_OF, {"ix_proxy_sessions_ends": "told_expiring=? AND ends_at>? AND ends_at<?"}),
    "what ends soon": (sql.UNTOLD, {"ix_proxy_sessions_ends": "told_expiring=? AND ends_at>? AND ends_at<?"}),
    "what quarantine is over": (sql.OVER, {"ix_proxy_bindings_until": "hold=? AND until<?"}),
    "what is forgotten": (sql.FORGET, {"ix_proxy_bindings_until": "hold=? AND until<?"}),
    "everything held": (sql.ALL_HELD, {"INTEGER PRIMARY KEY": "rowid>?"}),
    "a number in the pool": (sql.POOLED, {"uq_proxy_numbers_index": "tenant_id=? AND number_index=?"}),
    "whether a number is held": (pool._IN_USE, {"ix_proxy_bindings_number": "proxy=? AND hold>?"}),
    "loads": (pool._LOADS, {"COVERING INDEX ix_proxy_bindings_number": "proxy=? AND hold>?"}),
    "the busiest": (pool._BUSIEST, {HELD: "tenant_id=?"}),
    "a list": (_statements(False, "")[1], {"ix_proxy_sessions_page": "tenant_id=? AND status=? AND"}),
    "a list's length": (_statements(False, "")[0], {"COVERING INDEX ix_proxy_sessions_page": ""}),
    "a list by name": (
        _statements(True, "")[1],
        {"ix_proxy_sessions_named": "tenant_id=? AND unique_name=?"},
    ),
    "a list by party": (
        _statements(False, "caller")[1],
        {HELD: "tenant_id=? AND participant=?", "INTEGER PRIMARY KEY": "rowid=?"},
    ),
    "a list by agent": (
        _statements(False, "agent")[1],
        {"ix_proxy_sessions_page": "tenant_id=? AND status=? AND"},
    ),
}


@pytest.fixture
async def database(masking_file: str) -> AsyncIterator[Database]:
    opened = await Database.open(masking_file)
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", PLANS)
async def test_a_question_is_answered_by_its_index(database: Database, name: str) -> None:
    statement, wanted = PLANS[name]
    assert isinstance(statement, Hot)

    def explain(conn: Connection) -> list[tuple[Any, ...]]:
        spelled = statement._spelled["sqlite"]
        query = raw_of(conn).execute("EXPLAIN QUERY PLAN " + spelled.sql, [None] * len(spelled.names))
        return list(query.fetchall())

    plan = [str(row[3]) for row in await database.read(explain)]
    for index, columns in wanted.items():
        assert any(index in step and columns in step for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN")], plan
    if name == "a list":
        assert not [step for step in plan if "TEMP B-TREE" in step], plan
