"""Statements that both databases know but SQLAlchemy spells per dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, RowMapping, Table
from sqlalchemy.dialects import postgresql, sqlite

Values = Mapping[str, Any]


def insert_new(conn: Connection, table: Table, values: Values) -> bool:
    """Insert the row unless its primary key (or another unique value) is taken; whether it was inserted."""
    statement = _insert(conn, table).values(values).on_conflict_do_nothing()
    return conn.execute(statement).rowcount == 1


def upsert(
    conn: Connection, table: Table, values: Values, key: Sequence[str], *, kept: Sequence[str] = ()
) -> None:
    """Insert the row, or bring the one with the same ``key`` to these values but for the ``kept`` ones."""
    statement = _insert(conn, table).values(values)
    changed = {name: statement.excluded[name] for name in values if name not in (*key, *kept)}
    conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed))


def add_to(conn: Connection, table: Table, values: Values, key: Sequence[str], counter: str) -> None:
    """Insert the row, or add its ``counter`` to the one with the same ``key``."""
    statement = _insert(conn, table).values(values)
    total = {counter: table.c[counter] + statement.excluded[counter]}
    conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=total))


def _insert(conn: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    if conn.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def run(conn: Connection, statement: Executable) -> int:
    """Execute a change; how many rows it touched."""
    return conn.execute(statement).rowcount


def first(conn: Connection, statement: Executable) -> RowMapping | None:
    """The first row of a query, by column name."""
    return conn.execute(statement).mappings().first()
