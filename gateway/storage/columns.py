"""Column types that mean the same on SQLite and PostgreSQL.

Moments are 64-bit microseconds since 1970 UTC. JSON is kept as the text we wrote: nothing looks inside
it with SQL, and PostgreSQL's JSONB would reorder keys, respell numbers and refuse U+0000.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import JSON, TypeDecorator

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, exact. Raises ValueError for a naive datetime."""
    if moment.utcoffset() is None:
        raise ValueError("a naive datetime has no place in the database: give it a time zone")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of ``to_micros``."""
    return _EPOCH + timedelta(microseconds=micros)


def seconds_to_micros(seconds: float) -> int:
    """Whole microseconds of a moment that the core tells in seconds since 1970."""
    return round(seconds * 1_000_000)


class UtcMicros(TypeDecorator[datetime]):
    """An aware datetime: exact, sortable, the same everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class EpochMicros(TypeDecorator[float]):
    """Seconds since 1970 as a float, the core's way of telling time; kept as microseconds too."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> int | None:
        return None if value is None else seconds_to_micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> float | None:
        return None if value is None else value / 1_000_000


def json_type() -> JSON:
    """JSON text; None is SQL NULL."""
    return JSON(none_as_null=True)
