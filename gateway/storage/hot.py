"""Statements of the hot paths: written once as SQL, run past SQLAlchemy's compiler and result machinery.

These run several times in every call, where that machinery costs several times what the database does.
Values are what a driver takes as it is: moments in microseconds (``columns``), JSON as text (``jsontext``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, make_url, text
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.storage.sqlite_link import raw_of

Values = Mapping[str, Any]
Found = Sequence[Any]
"""A row of an answer, in the order of its columns, as the driver gave it."""


class _Spelled(NamedTuple):
    sql: str
    names: tuple[str, ...]

    def row(self, values: Values) -> tuple[Any, ...]:
        return tuple([values[name] for name in self.names])


class Hot:
    """One statement. ``:name`` marks a value; ``postgres`` is added for PostgreSQL alone.

    SQLite's goes to the driver's own connection, inside the transaction that is open there.
    """

    def __init__(self, sql: str, *, postgres: str = "") -> None:
        self._spelled = {
            "sqlite": _spell(sql, "sqlite://"),
            "postgresql": _spell(sql + postgres, "postgresql+asyncpg://"),
        }

    def run(self, conn: Connection, values: Values) -> int:
        """Run it once; the number of rows it changed."""
        name = conn.dialect.name
        spelled = self._spelled[name]
        if name == "sqlite":
            return raw_of(conn).execute(spelled.sql, spelled.row(values)).rowcount
        return conn.exec_driver_sql(spelled.sql, spelled.row(values)).rowcount

    def run_each(self, conn: Connection, rows: Iterable[Values]) -> None:
        """Run it for each row of values."""
        name = conn.dialect.name
        spelled = self._spelled[name]
        each = [spelled.row(row) for row in rows]
        if not each:
            return
        if name == "sqlite":
            raw_of(conn).executemany(spelled.sql, each)
        else:
            conn.exec_driver_sql(spelled.sql, each if len(each) > 1 else each[0])

    def rows(self, conn: Connection, values: Values) -> list[Found]:
        """Everything it finds."""
        name = conn.dialect.name
        spelled = self._spelled[name]
        if name == "sqlite":
            return cast(list[Found], raw_of(conn).execute(spelled.sql, spelled.row(values)).fetchall())
        return list(conn.exec_driver_sql(spelled.sql, spelled.row(values)))

    def scalar(self, conn: Connection, values: Values) -> Any:
        """The first column of the first row; None when nothing is found."""
        found = self.rows(conn, values)
        return found[0][0] if found else None


def _spell(sql: str, url: str) -> _Spelled:
    compiled = text(sql).compile(dialect=make_url(url).get_dialect()())
    assert isinstance(compiled, SQLCompiler)
    return _Spelled(str(compiled), tuple(compiled.positiontup or ()))
