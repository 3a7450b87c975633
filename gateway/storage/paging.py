"""One page of a list: newest first, behind a position, with the true total."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    and_,
    func,
    or_,
    select,
    type_coerce,
)

from gateway.storage.cursors import Cursors, Position
from gateway.storage.jsontext import to_json
from gateway.storage.records import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page must hold: ``where`` picks the rows; ``scope`` names list, tenant and filter."""

    scope: str
    where: Sequence[ColumnElement[bool]]
    limit: int
    cursor: str | None = None


def scope_of(name: str, tenant: str, *conditions: object) -> str:
    """One text for a list with its tenant and conditions; different lists never share one."""
    return to_json([name, tenant, *conditions])


def page_reader(
    table: Table, wanted: Wanted, cursors: Cursors, to_item: Callable[[RowMapping], T]
) -> Callable[[Connection], Page[T]]:
    """The work that reads one page of ``table`` by (created_at, id), newest first.

    Raises MalformedRequest (INVALID_CURSOR) here, before any database is asked.
    """
    after = None if wanted.cursor is None else cursors.open(wanted.cursor, wanted.scope)

    def work(conn: Connection) -> Page[T]:
        total = conn.execute(select(func.count()).select_from(table).where(*wanted.where)).scalar_one()
        rows = _rows_behind(conn, table, wanted, after)
        cursor = None
        if len(rows) > wanted.limit:
            rows = rows[: wanted.limit]
            cursor = cursors.seal(Position(rows[-1]["_micros"], rows[-1]["id"]), wanted.scope)
        return Page(tuple(to_item(row) for row in rows), cursor, total)

    return work


def _rows_behind(
    conn: Connection, table: Table, wanted: Wanted, after: Position | None
) -> Sequence[RowMapping]:
    micros: ColumnElement[Any] = type_coerce(table.c.created_at, BigInteger)
    statement = select(table, micros.label("_micros")).where(*wanted.where)
    if after is not None:
        same = and_(micros == after.micros, table.c.id < after.id)
        statement = statement.where(micros <= after.micros, or_(micros < after.micros, same))
    ordered = statement.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(wanted.limit + 1)
    return conn.execute(ordered).mappings().all()
