"""Webhooks' storage in memory: the same promises as the SQL one (one contract suite), gone at exit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from gateway.webhooks.core.backoff import is_beyond_hope
from gateway.webhooks.core.delivery import Delivery, Settlement
from gateway.webhooks.core.events import ENDPOINT_DISABLED, WebhookEvent, render, wants
from gateway.webhooks.core.lanes import lane_of_url
from gateway.webhooks.core.signing import secrets_in_force
from gateway.webhooks.ports import (
    DeliveryFilter,
    DeliveryView,
    Endpoint,
    Place,
    SwitchedOff,
    TenantSecret,
)
from telephony.clock import Clock
from telephony.errors import MalformedRequest

T = TypeVar("T")


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._mono = 0.0

    def wall(self) -> datetime:
        return self._now

    def mono(self) -> float:
        return self._mono

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._mono += seconds


@dataclass(frozen=True, slots=True)
class _Row:
    view: DeliveryView
    lane: str
    next_at: float
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class MemoryPage(Generic[T]):
    """One page of a list; ``cursor`` leads to the next one."""

    items: tuple[T, ...]
    cursor: str | None
    total: int

    @property
    def has_more(self) -> bool:
        return self.cursor is not None


@dataclass(slots=True)
class MemoryStore:
    """What is stored; ``write`` undoes everything when the work raises."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    secrets: dict[str, TenantSecret] = field(default_factory=dict)
    events: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    rows: dict[str, _Row] = field(default_factory=dict)

    async def write(self, work: Callable[[MemoryStore], T]) -> T:
        before = (dict(self.endpoints), dict(self.secrets), dict(self.events), dict(self.rows))
        try:
            return work(self)
        except BaseException:  # why: as a database rolls back, whatever broke the work
            self.endpoints, self.secrets, self.events, self.rows = before
            raise

    async def read(self, work: Callable[[MemoryStore], T]) -> T:
        return work(self)

    def end_pending(self, endpoint_id: str, note: str, now: float) -> None:
        for row in list(self.rows.values()):
            if row.lane == endpoint_id and row.view.status == "pending":
                ended = replace(row.view, status="dead", last_note=note, last_at=now, next_at=None)
                self.rows[row.view.id] = replace(row, view=ended, claimed=False)


class MemoryEndpointBook:
    """Fits ``EndpointBook`` on a ``MemoryStore``."""

    def __init__(self, new_secret: Callable[[], str]) -> None:
        self._new_secret = new_secret

    def get(
        self, conn: MemoryStore, tenant_id: str, endpoint_id: str, *, lock: bool = False
    ) -> Endpoint | None:
        found = conn.endpoints.get(endpoint_id)
        return found if found is not None and found.tenant_id == tenant_id else None

    def count(self, conn: MemoryStore, tenant_id: str) -> int:
        return sum(one.tenant_id == tenant_id for one in conn.endpoints.values())

    def page(self, conn: MemoryStore, tenant_id: str, cursors: object, place: Place) -> MemoryPage[Endpoint]:
        mine = [one for one in conn.endpoints.values() if one.tenant_id == tenant_id]
        return _paged(mine, lambda one: one.id, tenant_id, place)

    def put(self, conn: MemoryStore, endpoint: Endpoint) -> None:
        conn.endpoints[endpoint.id] = endpoint

    def silence(self, conn: MemoryStore, endpoint: Endpoint, note: str, now: float) -> None:
        conn.end_pending(endpoint.id, note, now)

    def remove(self, conn: MemoryStore, tenant_id: str, endpoint_id: str, now: float) -> bool:
        if self.get(conn, tenant_id, endpoint_id) is None:
            return False
        del conn.endpoints[endpoint_id]
        conn.end_pending(endpoint_id, "the endpoint was deleted", now)
        return True

    def secret_of(self, conn: MemoryStore, tenant_id: str, now: float) -> TenantSecret:
        if tenant_id not in conn.secrets:
            conn.secrets[tenant_id] = TenantSecret(self._new_secret(), None, None, shown=False)
        return conn.secrets[tenant_id]

    def put_secret(self, conn: MemoryStore, tenant_id: str, secret: TenantSecret, now: float) -> None:
        conn.secrets[tenant_id] = secret

    def forget(self, tenant_ids: Collection[str]) -> None:
        """Nothing is remembered beside the store."""


class MemoryOutbox:
    """Fits ``EventSink[MemoryStore]`` and ``Outbox``."""

    def __init__(
        self, store: MemoryStore, book: MemoryEndpointBook, clock: Clock, new_id: Callable[[str], str]
    ) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._new_id = new_id

    def wanted(self, conn: MemoryStore, tenant_id: str, event_type: str) -> bool:
        mine = (one for one in conn.endpoints.values() if one.tenant_id == tenant_id and one.active)
        return any(wants(one.events, event_type) for one in mine)

    def fan_out(
        self, conn: MemoryStore, tenant_id: str, event: WebhookEvent, per_call_url: str | None = None
    ) -> tuple[str, ...]:
        now = self._clock.wall().timestamp()
        mine = [one for one in conn.endpoints.values() if one.tenant_id == tenant_id and one.active]
        receivers: list[tuple[str | None, str]] = [
            (one.id, one.id) for one in mine if wants(one.events, event.type)
        ]
        if per_call_url is not None:
            self._book.secret_of(conn, tenant_id, now)
            receivers.append((None, lane_of_url(tenant_id, per_call_url)))
        if not receivers or event.id in conn.events:
            return ()
        conn.events[event.id] = (now, render(event))
        for endpoint_id, lane in receivers:
            self._add(conn, tenant_id, event, endpoint_id, per_call_url or "", lane)
        return tuple(lane for _, lane in receivers)

    def send_to(self, conn: MemoryStore, endpoint: Endpoint, event: WebhookEvent) -> str:
        conn.events.setdefault(event.id, (self._clock.wall().timestamp(), render(event)))
        return self._add(conn, endpoint.tenant_id, event, endpoint.id, "", endpoint.id)

    def _add(
        self,
        conn: MemoryStore,
        tenant_id: str,
        event: WebhookEvent,
        endpoint_id: str | None,
        url: str,
        lane: str,
    ) -> str:
        now = self._clock.wall().timestamp()
        view = DeliveryView(
            id=self._new_id("dlv"),
            tenant_id=tenant_id,
            event_id=event.id,
            event_type=event.type,
            endpoint_id=endpoint_id,
            url=url if endpoint_id is None else "",
            subject=event.subject,
            sequence=event.sequence,
            status="pending",
            attempts=0,
            created_at=now,
            next_at=now,
            last_at=None,
            delivered_at=None,
            last_status=None,
            last_note="",
            last_excerpt="",
            took_ms=None,
        )
        conn.rows[view.id] = _Row(view, lane, now)
        return view.id

    async def waiting(self) -> Sequence[tuple[str, float]]:
        earliest: dict[str, float] = {}
        for row in self._store.rows.values():
            if row.view.status == "pending":
                earliest[row.lane] = min(row.next_at, earliest.get(row.lane, row.next_at))
        return sorted(earliest.items())

    async def claim(self, lanes: Mapping[str, int], now: float, until: float) -> Sequence[Delivery]:
        claimed = []
        for lane, room in lanes.items():
            due = [r for r in self._store.rows.values() if r.lane == lane and r.view.status == "pending"]
            due = [row for row in due if row.next_at <= now]
            due.sort(key=lambda row: (row.next_at, row.view.sequence))
            for row in due[:room]:
                self._store.rows[row.view.id] = replace(row, next_at=until, claimed=True)
                claimed.append(self._delivery(row, now, until))
        return claimed

    def _delivery(self, row: _Row, now: float, until: float) -> Delivery:
        view = row.view
        keys: Endpoint | TenantSecret
        if view.endpoint_id is None:
            keys, url = self._store.secrets[view.tenant_id], view.url
        else:
            endpoint = self._store.endpoints[view.endpoint_id]
            keys, url = endpoint, endpoint.url
        return Delivery(
            id=view.id,
            tenant_id=view.tenant_id,
            event_id=view.event_id,
            endpoint_id=view.endpoint_id,
            lane=row.lane,
            url=url,
            subject=view.subject,
            sequence=view.sequence,
            attempts=view.attempts,
            created_at=view.created_at,
            claimed_until=until,
            body=self._store.events[view.event_id][1],
            secrets=secrets_in_force(keys.secret, keys.previous_secret, keys.previous_until, now),
        )

    async def settle(self, outcomes: Sequence[Settlement]) -> Sequence[SwitchedOff]:
        for one in outcomes:
            self._mark(one)
        tried = [(one, one.delivery.endpoint_id) for one in outcomes if one.verdict != "returned"]
        answering = {id for one, id in tried if id is not None and one.verdict == "delivered"}
        failing = {id for _, id in tried if id is not None} - answering
        gone = {id for one, id in tried if one.endpoint_gone}
        now = max((one.at for one in outcomes), default=0.0)
        endpoints = self._store.endpoints
        for endpoint_id in answering & endpoints.keys():
            endpoints[endpoint_id] = replace(endpoints[endpoint_id], failing_since=None)
        switched_off = []
        for endpoint_id in sorted(failing & endpoints.keys()):
            endpoint = endpoints[endpoint_id]
            since = now if endpoint.failing_since is None else endpoint.failing_since
            endpoints[endpoint_id] = replace(endpoint, failing_since=since)
            if endpoint.active and (endpoint_id in gone or is_beyond_hope(since, now)):
                switched_off.append(self._switch_off(endpoint, gone=endpoint_id in gone, now=now))
        return switched_off

    def _mark(self, one: Settlement) -> None:
        row = self._store.rows.get(one.delivery.id)
        if row is None or row.view.status == "delivered":
            return
        if row.view.status == "dead" and one.verdict != "delivered":
            return
        if one.verdict == "returned":
            if row.claimed:
                self._store.rows[row.view.id] = replace(row, next_at=one.at, claimed=False)
            return
        view = replace(
            row.view,
            status="pending" if one.verdict == "retry" else one.verdict,
            attempts=row.view.attempts + 1,
            last_at=one.at,
            delivered_at=one.at if one.verdict == "delivered" else None,
            last_status=one.status,
            last_note=one.note,
            last_excerpt=one.excerpt,
            took_ms=one.took_ms,
        )
        next_at = one.next_at if one.verdict == "retry" else row.next_at
        self._store.rows[view.id] = _Row(view, row.lane, next_at)

    def _switch_off(self, endpoint: Endpoint, *, gone: bool, now: float) -> SwitchedOff:
        store, reason = self._store, "gone" if gone else "failing"
        off = replace(store.endpoints[endpoint.id], active=False, disabled_reason=reason, updated_at=now)
        store.endpoints[endpoint.id] = off
        store.end_pending(endpoint.id, f"the endpoint was switched off ({reason})", now)
        told = {"endpoint_id": endpoint.id, "url": endpoint.url, "reason": reason}
        moment = datetime.fromtimestamp(now, UTC)
        event = WebhookEvent(self._new_id("evt"), ENDPOINT_DISABLED, moment, endpoint.id, 1, told)
        lanes = self.fan_out(store, endpoint.tenant_id, event)
        return SwitchedOff(endpoint.tenant_id, endpoint.id, "gone" if gone else "failing", lanes)

    async def purge(self, before: float, limit: int) -> int:
        old = sorted((at, id) for id, (at, _) in self._store.events.items() if at < before)[:limit]
        gone = {id for _, id in old}
        rows = self._store.rows
        for row in list(rows.values()):
            if row.view.event_id in gone and row.view.status != "pending":
                del rows[row.view.id]
        gone -= {row.view.event_id for row in rows.values()}
        for event_id in gone:
            del self._store.events[event_id]
        return len(gone)


class MemoryDeliveryLog:
    """Fits ``DeliveryLog`` on a ``MemoryStore``."""

    def page(
        self, conn: MemoryStore, tenant_id: str, wanted: DeliveryFilter, cursors: object, place: Place
    ) -> MemoryPage[DeliveryView]:
        mine = [self._shown(conn, row) for row in conn.rows.values() if row.view.tenant_id == tenant_id]
        mine = [view for view in mine if _fits(view, wanted)]
        return _paged(mine, lambda view: view.id, f"{tenant_id} {wanted}", place)

    def get(self, conn: MemoryStore, tenant_id: str, delivery_id: str) -> DeliveryView | None:
        row = conn.rows.get(delivery_id)
        return self._shown(conn, row) if row is not None and row.view.tenant_id == tenant_id else None

    def _shown(self, conn: MemoryStore, row: _Row) -> DeliveryView:
        endpoint = conn.endpoints.get(row.view.endpoint_id or "")
        url = row.view.url if endpoint is None else endpoint.url
        return replace(row.view, url=url, next_at=row.next_at if row.view.status == "pending" else None)

    def replay(self, conn: MemoryStore, tenant_id: str, delivery_id: str, now: float) -> str | None:
        row = conn.rows.get(delivery_id)
        if row is None or row.view.tenant_id != tenant_id:
            return None
        if row.claimed and row.view.status == "pending" and row.next_at > now:
            return None
        conn.rows[delivery_id] = _afresh(row, now)
        return row.lane

    def replay_dead(
        self, conn: MemoryStore, tenant_id: str, endpoint_id: str, since: float, now: float
    ) -> int:
        lost = DeliveryFilter(endpoint_id=endpoint_id, status="dead")
        found = [
            row
            for row in conn.rows.values()
            if row.view.tenant_id == tenant_id and _fits(row.view, lost) and row.view.created_at >= since
        ]
        for row in found:
            conn.rows[row.view.id] = _afresh(row, now)
        return len(found)


def _paged(mine: list[T], id_of: Callable[[T], str], scope: str, place: Place) -> MemoryPage[T]:
    """Cursors here are plain: the list's name and the last id."""
    mine.sort(key=id_of, reverse=True)
    total = len(mine)
    if place.cursor is not None:
        name, _, after = place.cursor.rpartition("|")
        if name != scope:
            raise MalformedRequest("the cursor is of another list", field="cursor", code="INVALID_CURSOR")
        mine = [one for one in mine if id_of(one) < after]
    shown = tuple(mine[: place.limit])
    return MemoryPage(shown, f"{scope}|{id_of(shown[-1])}" if len(mine) > len(shown) else None, total)


def _afresh(row: _Row, now: float) -> _Row:
    view = replace(row.view, status="pending", attempts=0, delivered_at=None)
    return _Row(view, row.lane, now)


def _fits(view: DeliveryView, wanted: DeliveryFilter) -> bool:
    return (
        (wanted.endpoint_id is None or view.endpoint_id == wanted.endpoint_id)
        and (wanted.status is None or view.status == wanted.status)
        and (wanted.event_id is None or view.event_id == wanted.event_id)
        and (wanted.subject is None or view.subject == wanted.subject)
    )
