"""Statements that both databases know but SQLAlchemy spells per dialect, each built once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, RowMapping, Table
from sqlalchemy.dialects import postgresql, sqlite

Values = Mapping[str, Any]
Insert = sqlite.Insert | postgresql.Insert


def run(conn: Connection, statement: Executable) -> int:
    """Execute a change; how many rows it touched."""
    return conn.execute(statement).rowcount


def first(conn: Connection, statement: Executable) -> RowMapping | None:
    """The first row of a query, by column name."""
    return conn.execute(statement).mappings().first()


def insert_new(conn: Connection, table: Table, values: Values) -> bool:
    """Insert the row unless its primary key (or another unique value) is taken; whether it was inserted."""
    return conn.execute(_insert_new(conn.dialect.name, table), values).rowcount == 1


def upsert(
    conn: Connection, table: Table, values: Values, key: tuple[str, ...], kept: tuple[str, ...] = ()
) -> None:
    """Insert the row, or bring the one with the same ``key`` to these values but for the ``kept`` ones."""
    changed = tuple(name for name in values if name not in key and name not in kept)
    conn.execute(_upsert(conn.dialect.name, table, key, changed), values)


def add_to(conn: Connection, table: Table, values: Values, key: tuple[str, ...], counter: str) -> None:
    """Insert the row, or add its ``counter`` to the one with the same ``key``."""
    conn.execute(_add_to(conn.dialect.name, table, key, counter), values)


@lru_cache(maxsize=64)
def _insert_new(dialect: str, table: Table) -> Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@lru_cache(maxsize=64)
def _upsert(dialect: str, table: Table, key: tuple[str, ...], changed: tuple[str, ...]) -> Insert:
    statement = _insert(dialect, table)
    values = {name: statement.excluded[name] for name in changed}
    return statement.on_conflict_do_update(index_elements=key, set_=values)


@lru_cache(maxsize=64)
def _add_to(dialect: str, table: Table, key: tuple[str, ...], counter: str) -> Insert:
    statement = _insert(dialect, table)
    total = {counter: table.c[counter] + statement.excluded[counter]}
    return statement.on_conflict_do_update(index_elements=key, set_=total)


def _insert(dialect: str, table: Table) -> Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
