"""How long each tenant has talked on a day, for the daily cap."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, select

from gateway.storage.database import Database
from gateway.storage.statements import add_to
from gateway.storage.tables import DAILY_USAGE
from telephony.ids import TenantId


class UsageRepository:
    """Seconds by tenant and UTC day. Outbound calls are added where their CDR is written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seconds_on(self, tenant: TenantId, day: date) -> int:
        mine = (DAILY_USAGE.c.tenant_id == tenant, DAILY_USAGE.c.day == day.isoformat())
        found = await self._database.read(
            lambda conn: conn.execute(select(DAILY_USAGE.c.seconds).where(*mine)).scalar()
        )
        return int(found or 0)

    async def add(self, tenant: TenantId, day: date, seconds: int) -> None:
        await self._database.write(lambda conn: add_in(conn, tenant, day, seconds))


def add_in(conn: Connection, tenant: TenantId, day: date, seconds: int) -> None:
    """``add`` inside a transaction of the caller's."""
    values = {"tenant_id": tenant, "day": day.isoformat(), "seconds": seconds}
    add_to(conn, DAILY_USAGE, values, ("tenant_id", "day"), "seconds")
