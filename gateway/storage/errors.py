"""What can go wrong with the database, in our words.

    InvalidInput                a text holds characters that no database takes (U+0000, half a surrogate pair)
    Conflict
    └── Duplicate               a unique rule of a table forbids the row
    StorageUnavailable          nothing was written
    └── WriteOutcomeUnknown     the deadline passed during the commit: look before writing again
    PatchbayError
    └── BrokenConstraint        a defect of ours: a row without its parent, a null where none may be

``translate`` is the only place that knows the drivers' exceptions.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from telephony.errors import Conflict, InvalidInput, PatchbayError, StorageUnavailable


class Duplicate(Conflict):
    """A row with the same unique value exists already.

    ``rule`` names the constraint as the database does, for people; it differs between databases.
    """

    def __init__(self, message: str = "", *, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule


class WriteOutcomeUnknown(StorageUnavailable):
    """The deadline passed while the transaction was being committed: it may have been written."""


class BrokenConstraint(PatchbayError):
    """A row breaks a rule of its table other than uniqueness; a defect of the program."""


UNSTORABLE: Final = "a text holds a character that cannot be stored"
_SQLITE_UNIQUE: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
_SQLITE_AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_POSTGRES_AWAY: Final = ("08", "53", "57", "58", "25006", "55P03")
"""SQLSTATE classes: connection, resources, operator intervention, system; read-only server, lock timeout."""
_POSTGRES_AGAIN: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: the transaction was undone, it may simply be run again."""


def is_busy(error: BaseException) -> bool:
    """Whether another process holds SQLite's write lock."""
    return isinstance(error, sqlite3.OperationalError) and _sqlite_code(error) & 0xFF == sqlite3.SQLITE_BUSY


def is_undone(error: BaseException) -> bool:
    """Whether PostgreSQL undid the transaction for reasons that running it again may cure."""
    return isinstance(error, DBAPIError) and _sqlstate(error) in _POSTGRES_AGAIN


def is_lost(error: BaseException) -> bool:
    """Whether the connection to PostgreSQL broke under the transaction."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def translate(error: BaseException) -> BaseException:
    """Our word for a driver's exception; anything that is not the driver's comes back unchanged."""
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error)
    if isinstance(error, DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            ours = _from_sqlite(error.orig)
            return error if ours is error.orig else ours
        return _from_postgres(error)
    if isinstance(error, StatementError) and error.orig is not None:
        return translate(error.orig)  # a value was refused before the driver saw it
    if isinstance(error, UnicodeEncodeError):
        return InvalidInput(UNSTORABLE)
    if isinstance(error, (PoolTimeout, OSError, TimeoutError)):
        return StorageUnavailable()
    return error


def _sqlite_code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0))


def _from_sqlite(error: sqlite3.Error) -> BaseException:
    code = _sqlite_code(error)
    if code in _SQLITE_UNIQUE:
        return Duplicate(rule=str(error).rpartition(": ")[2])
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        return BrokenConstraint(str(error))
    if code & 0xFF in _SQLITE_AWAY:
        return StorageUnavailable()
    return error


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _from_postgres(error: DBAPIError) -> BaseException:
    state = _sqlstate(error)
    cause = getattr(error.orig, "__cause__", None)
    if state == "23505":
        return Duplicate(rule=str(getattr(cause, "constraint_name", "") or ""))
    if state == "22021" or isinstance(getattr(cause, "__cause__", None), UnicodeEncodeError):
        return InvalidInput(UNSTORABLE)
    if state.startswith("23"):
        return BrokenConstraint(f"constraint broken ({state})")
    away = state.startswith(_POSTGRES_AWAY) or state in _POSTGRES_AGAIN
    if away or error.connection_invalidated or isinstance(error, InterfaceError):
        return StorageUnavailable()
    return error
