"""The outbox in SQL: facts leave their webhooks here in their own transaction; the deliverer empties it.

Each lane (receiver) is read by itself, oldest first, through a partial index of what is pending, so the
backlog of one dead receiver is never scanned on behalf of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, select, text

from gateway.storage.columns import EpochMicros, seconds_to_micros
from gateway.storage.database import Database
from gateway.storage.tables_webhooks import WEBHOOK_DELIVERIES as D
from gateway.storage.tables_webhooks import WEBHOOK_EVENTS as V
from gateway.storage.webhook_book import SqlEndpointBook, end_pending
from gateway.storage.webhook_statements import ADD_DELIVERY, CLAIM, DUE, KEEP_EVENT, MARK, WELL
from gateway.webhooks.core.backoff import is_beyond_hope
from gateway.webhooks.core.delivery import Delivery, Settlement
from gateway.webhooks.core.events import ENDPOINT_DISABLED, WebhookEvent, render, wants
from gateway.webhooks.core.lanes import lane_of_url
from gateway.webhooks.core.signing import secrets_in_force
from gateway.webhooks.ports import Endpoint, SwitchedOff
from telephony.clock import Clock

_WAITING: Final = text(
    """
    WITH RECURSIVE lanes(lane) AS (
        SELECT (SELECT min(lane) FROM webhook_deliveries WHERE status = 'pending')
        UNION ALL
        SELECT (SELECT min(lane) FROM webhook_deliveries WHERE status = 'pending' AND lane > l.lane)
        FROM lanes l WHERE l.lane IS NOT NULL
    )
    SELECT l.lane,
           (SELECT min(next_at) FROM webhook_deliveries WHERE status = 'pending' AND lane = l.lane)
               AS earliest
    FROM lanes l WHERE l.lane IS NOT NULL
    """
).columns(earliest=EpochMicros)
"""A skip scan: one step through the index per lane, however long each lane's backlog is."""


class SqlOutbox:
    """Fits ``EventSink[Connection]`` and ``Outbox``. ``new_id`` makes an id of the given prefix."""

    def __init__(
        self, database: Database, book: SqlEndpointBook, clock: Clock, new_id: Callable[[str], str]
    ) -> None:
        self._database = database
        self._book = book
        self._clock = clock
        self._new_id = new_id

    def wanted(self, conn: Connection, tenant_id: str, event_type: str) -> bool:
        return any(wants(one.events, event_type) for one in self._book.active(conn, tenant_id))

    def fan_out(
        self, conn: Connection, tenant_id: str, event: WebhookEvent, per_call_url: str | None = None
    ) -> tuple[str, ...]:
        now = self._clock.wall().timestamp()
        receivers = [
            self._row(tenant_id, event, subscriber.endpoint_id, None, now)
            for subscriber in self._book.active(conn, tenant_id)
            if wants(subscriber.events, event.type)
        ]
        if per_call_url is not None:
            receivers.append(self._row(tenant_id, event, None, per_call_url, now))
        if not receivers or not self._keep(conn, tenant_id, event, now):
            return ()
        ADD_DELIVERY.run_each(conn, receivers)
        return tuple(row["lane"] for row in receivers)

    def send_to(self, conn: Connection, endpoint: Endpoint, event: WebhookEvent) -> str:
        now = self._clock.wall().timestamp()
        row = self._row(endpoint.tenant_id, event, endpoint.id, None, now)
        self._keep(conn, endpoint.tenant_id, event, now)
        ADD_DELIVERY.run(conn, row)
        return str(row["id"])

    def _keep(self, conn: Connection, tenant_id: str, event: WebhookEvent, now: float) -> bool:
        """Store the event; False if it is stored already."""
        values = {
            "id": event.id,
            "tenant_id": tenant_id,
            "type": event.type,
            "subject": event.subject,
            "sequence": event.sequence,
            "created_at": seconds_to_micros(now),
            "body": render(event),
        }
        return KEEP_EVENT.run(conn, values) > 0

    def _row(
        self, tenant_id: str, event: WebhookEvent, endpoint_id: str | None, url: str | None, now: float
    ) -> dict[str, Any]:
        return {
            "id": self._new_id("dlv"),
            "tenant_id": tenant_id,
            "event_id": event.id,
            "endpoint_id": endpoint_id,
            "lane": endpoint_id if url is None else lane_of_url(tenant_id, url),
            "url": url,
            "subject": event.subject,
            "sequence": event.sequence,
            "now": seconds_to_micros(now),
        }

    async def waiting(self) -> Sequence[tuple[str, float]]:
        def work(conn: Connection) -> list[tuple[str, float]]:
            return [(row.lane, row.earliest) for row in conn.execute(_WAITING)]

        return await self._database.read(work)

    async def claim(self, lanes: Mapping[str, int], now: float, until: float) -> Sequence[Delivery]:
        due, hidden = seconds_to_micros(now), seconds_to_micros(until)

        def work(conn: Connection) -> list[Delivery]:
            claimed: list[Delivery] = []
            for lane, room in lanes.items():
                found = DUE.rows(conn, {"lane": lane, "now": due, "room": room})
                rows = [self._with_secret(conn, _Due._make(row), now) for row in found]
                claimed.extend(row.delivery(now, until) for row in rows if row.has_receiver)
                if not all(row.has_receiver for row in rows):
                    end_pending(conn, lane, "the endpoint is deleted or switched off", now)
            CLAIM.run_each(conn, [{"id": delivery.id, "until": hidden} for delivery in claimed])
            return claimed

        return await self._database.write(work)

    def _with_secret(self, conn: Connection, row: _Due, now: float) -> _Due:
        """A tenant's first per-call URL finds no secret yet: make it here, not while a call is stored."""
        if row.secret is not None or row.endpoint_id is not None:
            return row
        return row._replace(secret=self._book.secret_of(conn, row.tenant_id, now).secret)

    async def settle(self, outcomes: Sequence[Settlement]) -> Sequence[SwitchedOff]:
        switched_off = await self._database.write(lambda conn: self._settle(conn, outcomes))
        if switched_off:
            self._book.forget({one.tenant_id for one in switched_off})
        return switched_off

    def _settle(self, conn: Connection, outcomes: Sequence[Settlement]) -> list[SwitchedOff]:
        for verdict, statement in MARK.items():
            statement.run_each(conn, [_marked(one) for one in outcomes if one.verdict == verdict])
        tried = [(one, one.delivery.endpoint_id) for one in outcomes if one.verdict != "returned"]
        answering = {id for one, id in tried if id is not None and one.verdict == "delivered"}
        failing = {id for _, id in tried if id is not None} - answering
        gone = {id for one, id in tried if one.endpoint_gone}
        now = max((one.at for one in outcomes), default=0.0)
        WELL.run_each(conn, [{"id": id} for id in answering])
        found = self._book.failing(conn, failing, now)
        switched_off = []
        for endpoint in found:
            lost = endpoint.failing_since is not None and is_beyond_hope(endpoint.failing_since, now)
            if endpoint.id in gone or lost:
                switched_off.append(self._switch_off(conn, endpoint, gone=endpoint.id in gone, now=now))
        return switched_off

    def _switch_off(self, conn: Connection, endpoint: Endpoint, *, gone: bool, now: float) -> SwitchedOff:
        """Disable the endpoint and tell the tenant's other endpoints."""
        self._book.disable(conn, endpoint, "gone" if gone else "failing", now)
        told = {"endpoint_id": endpoint.id, "url": endpoint.url, "reason": "gone" if gone else "failing"}
        moment = datetime.fromtimestamp(now, UTC)
        event = WebhookEvent(self._new_id("evt"), ENDPOINT_DISABLED, moment, endpoint.id, 1, told)
        lanes = self.fan_out(conn, endpoint.tenant_id, event)
        return SwitchedOff(endpoint.tenant_id, endpoint.id, "gone" if gone else "failing", lanes)

    async def purge(self, before: float, limit: int) -> int:
        def work(conn: Connection) -> int:
            old = select(V.c.id, V.c.subject).where(V.c.created_at < before)
            rows = conn.execute(old.order_by(V.c.created_at).limit(limit)).all()
            ids, subjects = [row.id for row in rows], {row.subject for row in rows}
            of_these = D.c.subject.in_(subjects) & D.c.event_id.in_(ids)
            conn.execute(delete(D).where(of_these, D.c.status != "pending"))
            in_use = select(D.c.id).where(D.c.subject == V.c.subject, D.c.event_id == V.c.id).exists()
            return conn.execute(delete(V).where(V.c.id.in_(ids), ~in_use)).rowcount

        return await self._database.write(work)


class _Due(NamedTuple):
    """A row of ``DUE``, in its order."""

    id: str
    tenant_id: str
    event_id: str
    endpoint_id: str | None
    lane: str
    url: str | None
    subject: str
    sequence: int
    attempts: int
    created_at: int
    body: bytes
    endpoint_active: bool | None
    endpoint_url: str | None
    secret: str | None
    previous_secret: str | None
    previous_until: int | None

    @property
    def has_receiver(self) -> bool:
        """False for what another process left here before it knew that the endpoint is off."""
        return self.endpoint_id is None or bool(self.endpoint_active)

    def delivery(self, now: float, until: float) -> Delivery:
        ends = None if self.previous_until is None else self.previous_until / 1_000_000
        return Delivery(
            id=self.id,
            tenant_id=self.tenant_id,
            event_id=self.event_id,
            endpoint_id=self.endpoint_id,
            lane=self.lane,
            url=(self.url if self.endpoint_id is None else self.endpoint_url) or "",
            subject=self.subject,
            sequence=self.sequence,
            attempts=self.attempts,
            created_at=self.created_at / 1_000_000,
            claimed_until=until,
            body=self.body,
            secrets=secrets_in_force(self.secret or "", self.previous_secret, ends, now),
        )


def _marked(one: Settlement) -> dict[str, Any]:
    return {
        "id": one.delivery.id,
        "at": seconds_to_micros(one.at),
        "again": seconds_to_micros(one.next_at),
        "code": one.status,
        "note": one.note,
        "excerpt": one.excerpt,
        "took": one.took_ms,
    }
