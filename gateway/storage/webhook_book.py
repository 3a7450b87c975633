"""Endpoints and tenants' default secrets in SQL, with the active endpoints remembered in the process.

The hot path (every event of every call) asks only for ``active``, which is answered from memory. What is
remembered is dropped by ``forget`` when this process changes something, and after REMEMBER_S in any case,
for changes made by other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from gateway.storage.cursors import Cursors
from gateway.storage.paging import Wanted, page_reader, scope_of
from gateway.storage.records import Page
from gateway.storage.tables_webhooks import WEBHOOK_DELIVERIES as D
from gateway.storage.tables_webhooks import WEBHOOK_ENDPOINTS as E
from gateway.storage.tables_webhooks import WEBHOOK_TENANT_SECRETS as S
from gateway.webhooks.ports import Endpoint, Place, TenantSecret

REMEMBER_S: Final = 2.0
_MOST_TENANTS: Final = 10_000


class Subscriber(NamedTuple):
    """An active endpoint, as far as fanning out needs to know it."""

    endpoint_id: str
    events: tuple[str, ...]


class SqlEndpointBook:
    """Fits ``EndpointBook[Connection, Cursors, Page[Endpoint]]``.

    ``mono`` tells seconds, ``new_secret`` makes a signing secret.
    """

    def __init__(self, mono: Callable[[], float], new_secret: Callable[[], str]) -> None:
        self._mono = mono
        self._new_secret = new_secret
        self._active: dict[str, tuple[float, tuple[Subscriber, ...]]] = {}
        self._changes = 0

    def active(self, conn: Connection, tenant_id: str) -> tuple[Subscriber, ...]:
        """The tenant's active endpoints, from memory if they were read lately."""
        now = self._mono()
        known = self._active.get(tenant_id)
        if known is not None and now < known[0]:
            return known[1]
        changes = self._changes
        wanted = select(E.c.id, E.c.events).where(E.c.tenant_id == tenant_id, E.c.active).order_by(E.c.id)
        found = tuple(Subscriber(row.id, tuple(row.events)) for row in conn.execute(wanted))
        if changes == self._changes:  # else a change was committed meanwhile, perhaps after our look
            if len(self._active) >= _MOST_TENANTS:
                self._active.clear()
            self._active[tenant_id] = (now + REMEMBER_S, found)
        return found

    def forget(self, tenant_ids: Collection[str]) -> None:
        self._changes += 1
        for tenant_id in tenant_ids:
            self._active.pop(tenant_id, None)

    def get(
        self, conn: Connection, tenant_id: str, endpoint_id: str, *, lock: bool = False
    ) -> Endpoint | None:
        wanted = _endpoints().where(E.c.tenant_id == tenant_id, E.c.id == endpoint_id)
        row = conn.execute(wanted.with_for_update() if lock else wanted).mappings().first()
        return None if row is None else _endpoint(row)

    def count(self, conn: Connection, tenant_id: str) -> int:
        return conn.execute(
            select(func.count()).select_from(E).where(E.c.tenant_id == tenant_id)
        ).scalar_one()

    def page(self, conn: Connection, tenant_id: str, cursors: Cursors, place: Place) -> Page[Endpoint]:
        """Raises MalformedRequest (INVALID_CURSOR)."""
        scope = scope_of("webhooks", tenant_id)
        wanted = Wanted(scope, [E.c.tenant_id == tenant_id], place.limit, place.cursor)
        return page_reader(E, wanted, cursors, _endpoint)(conn)

    def put(self, conn: Connection, endpoint: Endpoint) -> None:
        values = {
            "url": endpoint.url,
            "events": list(endpoint.events),
            "description": endpoint.description,
            "active": endpoint.active,
            "secret": endpoint.secret,
            "previous_secret": endpoint.previous_secret,
            "previous_until": endpoint.previous_until,
            "failing_since": endpoint.failing_since,
            "disabled_reason": endpoint.disabled_reason,
            "created_at": endpoint.created_at,
            "updated_at": endpoint.updated_at,
        }
        mine = (E.c.tenant_id == endpoint.tenant_id, E.c.id == endpoint.id)
        if conn.execute(update(E).where(*mine).values(values)).rowcount == 0:
            conn.execute(insert(E).values(id=endpoint.id, tenant_id=endpoint.tenant_id, **values))
        self.forget((endpoint.tenant_id,))

    def silence(self, conn: Connection, endpoint: Endpoint, note: str, now: float) -> None:
        end_pending(conn, endpoint.id, note, now)

    def remove(self, conn: Connection, tenant_id: str, endpoint_id: str, now: float) -> bool:
        if conn.execute(delete(E).where(E.c.tenant_id == tenant_id, E.c.id == endpoint_id)).rowcount == 0:
            return False
        end_pending(conn, endpoint_id, "the endpoint was deleted", now)
        self.forget((tenant_id,))
        return True

    def disable(self, conn: Connection, endpoint: Endpoint, reason: str, now: float) -> None:
        """Switch an endpoint off; what waits for it ends as dead and can be replayed later."""
        off = {"active": False, "disabled_reason": reason, "updated_at": now}
        conn.execute(update(E).where(E.c.id == endpoint.id).values(off))
        end_pending(conn, endpoint.id, f"the endpoint was switched off ({reason})", now)
        self.forget((endpoint.tenant_id,))

    def failing(self, conn: Connection, failing: Collection[str], now: float) -> Sequence[Endpoint]:
        """Note since when these endpoints have only failed; gives those of them that are active."""
        if not failing:
            return ()
        fresh = (E.c.id.in_(failing), E.c.failing_since.is_(None))
        conn.execute(update(E).where(*fresh).values(failing_since=now))
        active = _endpoints().where(E.c.id.in_(failing), E.c.active)
        return [_endpoint(row) for row in conn.execute(active).mappings()]

    def secret_of(self, conn: Connection, tenant_id: str, now: float) -> TenantSecret:
        row = conn.execute(select(S).where(S.c.tenant_id == tenant_id)).first()
        if row is not None:
            return TenantSecret(row.secret, row.previous_secret, row.previous_until, row.shown)
        made = TenantSecret(self._new_secret(), None, None, shown=False)
        self.put_secret(conn, tenant_id, made, now)
        return made

    def put_secret(self, conn: Connection, tenant_id: str, secret: TenantSecret, now: float) -> None:
        values = {
            "secret": secret.secret,
            "previous_secret": secret.previous_secret,
            "previous_until": secret.previous_until,
            "shown": secret.shown,
        }
        if conn.execute(update(S).where(S.c.tenant_id == tenant_id).values(values)).rowcount == 0:
            conn.execute(insert(S).values(tenant_id=tenant_id, created_at=now, **values))


def end_pending(conn: Connection, endpoint_id: str, note: str, now: float) -> None:
    """What waits for this endpoint ends as dead."""
    waiting = (D.c.lane == endpoint_id, D.c.status == "pending")
    conn.execute(update(D).where(*waiting).values(status="dead", claimed=False, last_note=note, last_at=now))


def _endpoints() -> Select[Any]:
    return select(E)


def _endpoint(row: RowMapping) -> Endpoint:
    return Endpoint(
        id=row["id"],
        tenant_id=row["tenant_id"],
        url=row["url"],
        events=tuple(row["events"]),
        description=row["description"],
        active=row["active"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        secret=row["secret"],
        previous_secret=row["previous_secret"],
        previous_until=row["previous_until"],
        failing_since=row["failing_since"],
        disabled_reason=row["disabled_reason"],
    )
