"""Numbers that tenants own. A removed number stays for history, and is free for anybody to add again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.paging import Wanted, page_reader, scope_of
from gateway.storage.records import OwnedNumber, Page
from gateway.storage.statements import first, run
from gateway.storage.tables import NUMBERS
from telephony.ids import TenantId
from telephony.numbers import E164

_ACTIVE = NUMBERS.c.removed_at.is_(None)


class NumberRepository:
    """Only numbers that are not removed are seen here."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    async def add(self, number: OwnedNumber) -> None:
        """Raises Duplicate when any tenant owns the number, BrokenConstraint without the tenant."""
        values = {
            **_changeable(number),
            "id": number.id,
            "tenant_id": number.tenant,
            "e164": number.number.reveal(),
            "created_at": number.created_at,
            "removed_at": None,
        }
        await self._database.write(lambda conn: run(conn, insert(NUMBERS).values(values)))

    async def get(self, tenant: TenantId, number_id: str) -> OwnedNumber | None:
        return await self._one(*_own(tenant, number_id))

    async def find_owned(self, tenant: TenantId, number: E164) -> OwnedNumber | None:
        """The tenant's number with these digits: what may be shown as caller."""
        return await self._one(NUMBERS.c.e164 == number.reveal(), NUMBERS.c.tenant_id == tenant)

    async def find_by_e164(self, number: E164) -> OwnedNumber | None:
        """Whoever owns these digits: where an inbound call goes."""
        return await self._one(NUMBERS.c.e164 == number.reveal())

    async def all_active(self) -> tuple[OwnedNumber, ...]:
        """Every number of every tenant, for the route book's memory."""
        every = select(NUMBERS).where(_ACTIVE).order_by(NUMBERS.c.id)
        rows = await self._database.read(lambda conn: conn.execute(every).mappings().all())
        return tuple(_number(row) for row in rows)

    async def page(self, tenant: TenantId, *, limit: int, cursor: str | None = None) -> Page[OwnedNumber]:
        """Newest first. Raises MalformedRequest (INVALID_CURSOR)."""
        wanted = Wanted(scope_of("numbers", tenant), [NUMBERS.c.tenant_id == tenant, _ACTIVE], limit, cursor)
        return await self._database.read(page_reader(NUMBERS, wanted, self._cursors, _number))

    async def change(
        self, tenant: TenantId, number_id: str, edit: Callable[[OwnedNumber], OwnedNumber]
    ) -> OwnedNumber | None:
        """Store what the pure ``edit`` makes of capabilities, route and name. None: no such number."""

        def work(conn: Connection) -> OwnedNumber | None:
            row = first(conn, select(NUMBERS).where(*_own(tenant, number_id), _ACTIVE).with_for_update())
            if row is None:
                return None
            edited = edit(_number(row))
            run(conn, update(NUMBERS).where(*_own(tenant, number_id)).values(_changeable(edited)))
            return edited

        return await self._database.write(work)

    async def remove(self, tenant: TenantId, number_id: str, at: datetime) -> OwnedNumber | None:
        """Give the number up. None when the tenant has no such number (any more)."""

        def work(conn: Connection) -> OwnedNumber | None:
            row = first(conn, select(NUMBERS).where(*_own(tenant, number_id), _ACTIVE).with_for_update())
            if row is None:
                return None
            run(conn, update(NUMBERS).where(*_own(tenant, number_id)).values(removed_at=at))
            return _number({**row, "removed_at": at})

        return await self._database.write(work)

    async def _one(self, *conditions: ColumnElement[bool]) -> OwnedNumber | None:
        query = select(NUMBERS).where(*conditions, _ACTIVE)
        row = await self._database.read(lambda conn: first(conn, query))
        return None if row is None else _number(row)


def _own(tenant: TenantId, number_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return NUMBERS.c.id == number_id, NUMBERS.c.tenant_id == tenant


def _changeable(number: OwnedNumber) -> dict[str, Any]:
    return {
        "capabilities": list(number.capabilities),
        "route": None if number.route is None else dict(number.route),
        "friendly_name": number.friendly_name,
    }


def _number(row: RowMapping | dict[Any, Any]) -> OwnedNumber:
    return OwnedNumber(
        id=row["id"],
        tenant=TenantId(row["tenant_id"]),
        number=E164(row["e164"]),
        created_at=row["created_at"],
        capabilities=tuple(row["capabilities"]),
        route=row["route"],
        friendly_name=row["friendly_name"],
        removed_at=row["removed_at"],
    )
