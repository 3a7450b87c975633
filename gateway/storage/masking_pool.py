"""The pool's numbers in SQL. Fits ``proxy_pool.ports.PoolBook``.

What would pull a number from under its sessions is refused here, in one transaction with the look: a session
that is being opened holds its numbers' rows (``masking_statements.ADD_BINDING``) until it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, literal_column, select, update

from gateway.storage.columns import seconds_to_micros
from gateway.storage.database import Database
from gateway.storage.hot import Hot
from gateway.storage.statements import first, insert_new, run
from gateway.storage.tables_masking import PROXY_NUMBERS as N
from proxy_pool.core.holding import in_pool, in_use
from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.session import Channel, Status
from proxy_pool.ports import Busiest, NumberLoad
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

_TRIES: Final = 20
_COUNT_S: Final = 30.0
"""Counting reads every held binding of a tenant once."""
_ACTIVE: Final = N.c.removed == literal_column("false")
_LAST_INDEX: Final = Hot(
    "SELECT coalesce(max(number_index), 0) FROM proxy_numbers WHERE tenant_id = :tenant_id"
)
_POOLED: Final = Hot(
    "SELECT 1 FROM proxy_numbers WHERE removed = false AND e164 = :e164"
    " UNION ALL SELECT 1 FROM proxy_numbers WHERE removed = false AND id = :id"
)
_IN_USE: Final = Hot(
    "SELECT 1 FROM proxy_bindings WHERE proxy = :e164 AND hold > 0 AND tenant_id = :tenant_id LIMIT 1"
)
_LOADS: Final = Hot(
    "SELECT n.e164, b.hold, count(*) FROM proxy_numbers n JOIN proxy_bindings b ON b.proxy = n.e164"
    " WHERE n.tenant_id = :tenant_id AND n.removed = false AND b.hold > 0 GROUP BY n.e164, b.hold"
)
"""Reads the index of numbers alone: what is held on a pool number is held by its tenant."""
_BUSIEST: Final = Hot(
    "SELECT participant FROM proxy_bindings WHERE tenant_id = :tenant_id AND hold > 0"
    " GROUP BY participant ORDER BY count(*) DESC, participant LIMIT :limit"
)
_HOLDS: Final = Hot(
    "SELECT hold, count(*) FROM proxy_bindings"
    " WHERE tenant_id = :tenant_id AND participant = :participant AND hold > 0 GROUP BY hold"
)
_OPENED: Final = Hot(
    "SELECT count(*) FROM proxy_sessions"
    " WHERE tenant_id = :tenant_id AND status = :status AND created_at >= :since"
)


class SqlPoolBook:
    """Removed numbers stay as rows, unseen, so that no index of a tenant ever stands for another number."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def numbers(self) -> Sequence[PoolNumber]:
        every = select(N).where(_ACTIVE).order_by(N.c.tenant_id, N.c.number_index)
        rows = await self._database.read(lambda conn: conn.execute(every).mappings().all())
        return tuple(_number(row) for row in rows)

    async def add(self, number: PoolNumber) -> PoolNumber:
        """Conflict (NUMBER_IN_POOL) where any tenant's pool has the number."""
        fixed = {
            **_changeable(number),
            "id": number.id,
            "tenant_id": number.tenant,
            "e164": number.number.reveal(),
            "removed": False,
        }

        def work(conn: Connection) -> PoolNumber:
            for _ in range(_TRIES):  # others may take the next index at the same time
                index = _LAST_INDEX.scalar(conn, fixed) + 1
                if insert_new(conn, N, {**fixed, "number_index": index}):
                    return _number({**fixed, "number_index": index})
                if _POOLED.scalar(conn, fixed) is not None:
                    raise in_pool()
            raise StorageUnavailable

        return await self._database.write(work)

    async def change(self, number: PoolNumber) -> PoolNumber | None:
        def work(conn: Connection) -> PoolNumber | None:
            row = _locked(conn, number.tenant, number.id)
            if row is None:
                return None
            if row["use"] != number.use:
                _check_idle(conn, row)
            run(conn, update(N).where(N.c.seq == row["seq"]).values(_changeable(number)))
            return _number({**row, **_changeable(number)})

        return await self._database.write(work)

    async def remove(self, tenant: TenantId, number_id: str) -> PoolNumber | None:
        def work(conn: Connection) -> PoolNumber | None:
            row = _locked(conn, tenant, number_id)
            if row is None:
                return None
            _check_idle(conn, row)
            run(conn, update(N).where(N.c.seq == row["seq"]).values(removed=True))
            return _number(row)

        return await self._database.write(work)

    async def loads(self, tenant: TenantId) -> Sequence[NumberLoad]:
        mine = select(N).where(N.c.tenant_id == tenant, _ACTIVE).order_by(N.c.number_index)

        def work(conn: Connection) -> tuple[NumberLoad, ...]:
            counts = {(proxy, hold): n for proxy, hold, n in _LOADS.rows(conn, {"tenant_id": tenant})}
            return tuple(
                NumberLoad(_number(row), counts.get((row["e164"], 1), 0), counts.get((row["e164"], 2), 0))
                for row in conn.execute(mine).mappings()
            )

        return await self._database.read(work, deadline_s=_COUNT_S)

    async def busiest(self, tenant: TenantId, limit: int) -> Sequence[Busiest]:
        wanted = {"tenant_id": tenant, "limit": limit}

        def work(conn: Connection) -> tuple[Busiest, ...]:
            found = []
            for (key,) in _BUSIEST.rows(conn, wanted):
                counts = dict(map(tuple, _HOLDS.rows(conn, {**wanted, "participant": key})))
                found.append(Busiest(key, counts.get(1, 0), counts.get(2, 0)))
            return tuple(found)

        return await self._database.read(work, deadline_s=_COUNT_S)

    async def opened_since(self, tenant: TenantId, since: float) -> int:
        wanted = {"tenant_id": tenant, "since": seconds_to_micros(since)}

        def work(conn: Connection) -> int:
            return sum(_OPENED.scalar(conn, {**wanted, "status": one.value}) for one in Status)

        return await self._database.read(work, deadline_s=_COUNT_S)


def _locked(conn: Connection, tenant: TenantId, number_id: str) -> RowMapping | None:
    own = select(N).where(N.c.id == number_id, N.c.tenant_id == tenant, _ACTIVE)
    return first(conn, own.with_for_update())


def _check_idle(conn: Connection, row: RowMapping) -> None:
    if _IN_USE.scalar(conn, {"e164": row["e164"], "tenant_id": row["tenant_id"]}) is not None:
        raise in_use()


def _changeable(number: PoolNumber) -> dict[str, Any]:
    return {
        "country": number.country,
        "area": number.area,
        "capabilities": [one.value for one in sorted(number.capabilities)],
        "use": number.use.value,
        "reserved": number.reserved,
        "suspended": number.suspended,
        "carrier": number.carrier,
    }


def _number(row: RowMapping | dict[Any, Any]) -> PoolNumber:
    return PoolNumber(
        id=row["id"],
        tenant=TenantId(row["tenant_id"]),
        number=E164(row["e164"]),
        index=row["number_index"],
        country=row["country"],
        area=row["area"],
        capabilities=frozenset(map(Channel, row["capabilities"])),
        use=Use(row["use"]),
        reserved=row["reserved"],
        suspended=row["suspended"],
        carrier=row["carrier"],
    )
