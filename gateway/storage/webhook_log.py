"""Deliveries as their owners see them, and replay, in SQL."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, update

from gateway.storage.cursors import Cursors, Position
from gateway.storage.paging import scope_of
from gateway.storage.records import Page
from gateway.storage.tables_webhooks import WEBHOOK_DELIVERIES as D
from gateway.storage.tables_webhooks import WEBHOOK_ENDPOINTS as E
from gateway.storage.tables_webhooks import WEBHOOK_EVENTS as V
from gateway.webhooks.ports import DeliveryFilter, DeliveryView, Place


class SqlDeliveryLog:
    """Fits ``DeliveryLog[Connection, Cursors, Page[DeliveryView]]``."""

    def page(
        self, conn: Connection, tenant_id: str, wanted: DeliveryFilter, cursors: Cursors, place: Place
    ) -> Page[DeliveryView]:
        """By id, which sorts by time: the index of an endpoint's deliveries serves it as it is.

        Raises MalformedRequest (INVALID_CURSOR).
        """
        parts = (wanted.endpoint_id, wanted.status, wanted.event_id, wanted.subject)
        scope = scope_of("webhook_deliveries", tenant_id, *parts)
        rules = _rules(tenant_id, wanted)
        total = conn.execute(select(func.count()).select_from(D).where(*rules)).scalar_one()
        rows = _views().where(*rules).order_by(D.c.id.desc()).limit(place.limit + 1)
        if place.cursor is not None:
            rows = rows.where(D.c.id < cursors.open(place.cursor, scope).id)
        found = [_view(row) for row in conn.execute(rows)]
        shown = tuple(found[: place.limit])
        more = len(found) > place.limit
        return Page(shown, cursors.seal(Position(0, shown[-1].id), scope) if more else None, total)

    def get(self, conn: Connection, tenant_id: str, delivery_id: str) -> DeliveryView | None:
        row = conn.execute(_views().where(D.c.tenant_id == tenant_id, D.c.id == delivery_id)).first()
        return None if row is None else _view(row)

    def replay(self, conn: Connection, tenant_id: str, delivery_id: str, now: float) -> str | None:
        mine = (D.c.tenant_id == tenant_id, D.c.id == delivery_id)
        idle = or_(~D.c.claimed, D.c.status != "pending", D.c.next_at <= now)
        if conn.execute(update(D).where(*mine, idle).values(_AFRESH | {"next_at": now})).rowcount == 0:
            return None
        return str(conn.execute(select(D.c.lane).where(*mine)).scalar_one())

    def replay_dead(
        self, conn: Connection, tenant_id: str, endpoint_id: str, since: float, now: float
    ) -> int:
        rules = _rules(tenant_id, DeliveryFilter(endpoint_id=endpoint_id, status="dead"))
        lost = [*rules, D.c.created_at >= since]
        return conn.execute(update(D).where(*lost).values(_AFRESH | {"next_at": now})).rowcount


_AFRESH: Final[dict[str, object]] = {
    "status": "pending",
    "claimed": False,
    "attempts": 0,
    "delivered_at": None,
}


def _rules(tenant_id: str, wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    rules: list[ColumnElement[bool]] = [D.c.tenant_id == tenant_id]
    if wanted.endpoint_id is not None:
        rules.append(D.c.endpoint_id == wanted.endpoint_id)
    if wanted.status is not None:
        rules.append(D.c.status == wanted.status)
    if wanted.event_id is not None:
        rules.append(D.c.event_id == wanted.event_id)
    if wanted.subject is not None:
        rules.append(D.c.subject == wanted.subject)
    return rules


def _views() -> Select[Any]:
    """Never the body, never a secret."""
    shown = [column for column in D.c if column.name not in {"claimed", "lane", "url"}]
    return (
        select(*shown, V.c.type.label("event_type"), func.coalesce(D.c.url, E.c.url, "").label("url"))
        .select_from(D)
        .join(V, V.c.id == D.c.event_id)
        .outerjoin(E, E.c.id == D.c.endpoint_id)
    )


def _view(row: Row[Any]) -> DeliveryView:
    return DeliveryView(
        id=row.id,
        tenant_id=row.tenant_id,
        event_id=row.event_id,
        event_type=row.event_type,
        endpoint_id=row.endpoint_id,
        url=row.url,
        subject=row.subject,
        sequence=row.sequence,
        status=row.status,
        attempts=row.attempts,
        created_at=row.created_at,
        next_at=row.next_at if row.status == "pending" else None,
        last_at=row.last_at,
        delivered_at=row.delivered_at,
        last_status=row.last_status,
        last_note=row.last_note,
        last_excerpt=row.last_excerpt,
        took_ms=row.took_ms,
    )
