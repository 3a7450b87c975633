"""Registered receivers, as their owners manage them: create, change, test, replay, rotate.

Every verb carries the tenant; another tenant's endpoint or delivery is NotFound. What a change must undo
or start (a remembered list, a first attempt) happens after its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Generic, NoReturn, Protocol, TypeVar

from gateway.webhooks.core.events import TEST_EVENT, WebhookEvent, checked_subscriptions
from gateway.webhooks.core.signing import secret_key
from gateway.webhooks.core.ssrf import Policy, check_url
from gateway.webhooks.ports import (
    DeliveryFilter,
    DeliveryLog,
    Endpoint,
    EndpointBook,
    EventSink,
    Place,
    TenantSecret,
    Transactions,
)
from telephony.clock import Clock
from telephony.errors import Conflict, NotFound

K = TypeVar("K")
T = TypeVar("T")
Q = TypeVar("Q")
Endpoints = TypeVar("Endpoints")
Deliveries = TypeVar("Deliveries")

OVERLAP_S: Final = 86_400.0
"""How long an old secret signs beside the new one."""
MOST_ENDPOINTS: Final = 50
"""Every event of a tenant is copied to each endpoint that wants it: a bound keeps that cheap."""


class WantedEndpoint(Protocol):
    """A receiver to register. Without a secret one is made."""

    @property
    def url(self) -> str: ...

    @property
    def events(self) -> tuple[str, ...]: ...

    @property
    def description(self) -> str: ...

    @property
    def secret(self) -> str | None: ...


class WantedChange(Protocol):
    """What shall be different; None leaves it as it is."""

    @property
    def url(self) -> str | None: ...

    @property
    def events(self) -> tuple[str, ...] | None: ...

    @property
    def description(self) -> str | None: ...

    @property
    def active(self) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Stores(Generic[K, Q, Endpoints, Deliveries]):
    """Where webhooks are kept; ``db`` runs works on the connection that the others take."""

    db: Transactions[K]
    book: EndpointBook[K, Q, Endpoints]
    log: DeliveryLog[K, Q, Deliveries]
    sink: EventSink[K]


@dataclass(frozen=True, slots=True)
class Makers:
    """The clock and the chances: ``new_id`` makes an id of a prefix, ``new_secret`` a signing secret."""

    clock: Clock
    new_id: Callable[[str], str]
    new_secret: Callable[[], str]


class EndpointService(Generic[K, Q, Endpoints, Deliveries]):
    """Fits ``gateway.http.ports.Webhooks``. ``notify`` tells the deliverer which lanes have work."""

    def __init__(
        self,
        stores: Stores[K, Q, Endpoints, Deliveries],
        makers: Makers,
        policy: Policy,
        cursors: Q,
        notify: Callable[[Iterable[str]], None],
    ) -> None:
        self._db, self._book, self._log, self._sink = stores.db, stores.book, stores.log, stores.sink
        self._makers = makers
        self._policy = policy
        self._cursors = cursors
        self._notify = notify

    def check_url(self, url: str, field: str) -> str:
        """The one spelling of an allowed URL; InvalidInput (INVALID_WEBHOOK_URL) for any other."""
        return check_url(url, self._policy, field).url

    async def create(self, tenant: str, wanted: WantedEndpoint) -> Endpoint:
        """Register a receiver; the answer alone shows its secret. InvalidInput names the field."""
        now = self._now()
        if wanted.secret is not None:
            secret_key(wanted.secret)
        endpoint = Endpoint(
            id=self._makers.new_id("wh"),
            tenant_id=tenant,
            url=self.check_url(wanted.url, "url"),
            events=checked_subscriptions(wanted.events),
            description=wanted.description,
            active=True,
            created_at=now,
            updated_at=now,
            secret=wanted.secret or self._makers.new_secret(),
        )

        def work(conn: K) -> Endpoint:
            if self._book.count(conn, tenant) >= MOST_ENDPOINTS:
                raise Conflict(f"a tenant has at most {MOST_ENDPOINTS} endpoints; remove one first")
            self._book.put(conn, endpoint)
            return endpoint

        return await self._change(tenant, work)

    async def get(self, tenant: str, endpoint_id: str) -> Endpoint:
        return await self._db.read(lambda conn: self._mine(conn, tenant, endpoint_id))

    async def page(self, tenant: str, *, limit: int, cursor: str | None = None) -> Endpoints:
        """Newest first. MalformedRequest (INVALID_CURSOR) for a cursor of another list."""
        place = Place(limit, cursor)
        return await self._db.read(lambda conn: self._book.page(conn, tenant, self._cursors, place))

    async def change(self, tenant: str, endpoint_id: str, change: WantedChange) -> Endpoint:
        """Change what is given. Switching an endpoint on forgives its past; off ends what waits for it."""
        url = None if change.url is None else self.check_url(change.url, "url")
        events = None if change.events is None else checked_subscriptions(change.events)
        now = self._now()

        def work(conn: K) -> Endpoint:
            old = self._mine(conn, tenant, endpoint_id, lock=True)
            new = replace(
                old,
                url=old.url if url is None else url,
                events=old.events if events is None else events,
                description=old.description if change.description is None else change.description,
                updated_at=now,
            )
            if change.active is True and not old.active:
                new = replace(new, active=True, disabled_reason=None, failing_since=None)
            if change.active is False and old.active:
                new = replace(new, active=False, disabled_reason="owner")
                self._book.silence(conn, new, "the endpoint was switched off (owner)", now)
            self._book.put(conn, new)
            return new

        return await self._change(tenant, work)

    async def remove(self, tenant: str, endpoint_id: str) -> None:
        """Remove an endpoint; what waits for it ends as dead."""
        now = self._now()
        if not await self._change(tenant, lambda conn: self._book.remove(conn, tenant, endpoint_id, now)):
            _no_endpoint()

    async def rotate_secret(self, tenant: str, endpoint_id: str) -> Endpoint:
        """A new secret, shown in this answer alone; the old one signs beside it for OVERLAP_S."""
        now, secret = self._now(), self._makers.new_secret()

        def work(conn: K) -> Endpoint:
            old = self._mine(conn, tenant, endpoint_id, lock=True)
            new = replace(
                old,
                secret=secret,
                previous_secret=old.secret,
                previous_until=now + OVERLAP_S,
                updated_at=now,
            )
            self._book.put(conn, new)
            return new

        return await self._change(tenant, work)

    async def test(self, tenant: str, endpoint_id: str) -> str:
        """Send ``webhook.test``, whatever the endpoint subscribed to. Conflict if it is switched off."""
        event_id, moment = self._makers.new_id("evt"), self._makers.clock.wall()

        def work(conn: K) -> str:
            endpoint = self._mine(conn, tenant, endpoint_id)
            if not endpoint.active:
                raise Conflict("the endpoint is switched off: switch it on first")
            told = {"endpoint_id": endpoint.id, "message": "You asked for a test event."}
            event = WebhookEvent(event_id, TEST_EVENT, moment, endpoint.id, 1, told)
            return self._sink.send_to(conn, endpoint, event)

        delivery_id = await self._db.write(work)
        self._notify((endpoint_id,))
        return delivery_id

    async def deliveries(
        self, tenant: str, wanted: DeliveryFilter, *, limit: int, cursor: str | None = None
    ) -> Deliveries:
        """Newest first. MalformedRequest (INVALID_CURSOR) for a cursor of another list or filter."""
        place = Place(limit, cursor)
        return await self._db.read(lambda conn: self._log.page(conn, tenant, wanted, self._cursors, place))

    async def replay(self, tenant: str, delivery_id: str) -> None:
        """Send a delivery again now, as new, with the same event id. Conflict if that makes no sense."""
        now = self._now()

        def work(conn: K) -> str:
            view = self._log.get(conn, tenant, delivery_id)
            if view is None:
                raise NotFound("there is no such delivery")
            if view.endpoint_id is not None:
                self._must_listen(conn, tenant, view.endpoint_id)
            lane = self._log.replay(conn, tenant, delivery_id, now)
            if lane is None:
                raise Conflict("the delivery is being sent at this moment")
            return lane

        self._notify((await self._db.write(work),))

    async def replay_failed(self, tenant: str, endpoint_id: str, since: float) -> int:
        """Send again every dead delivery to an endpoint created since (seconds since 1970); says how many."""
        now = self._now()

        def work(conn: K) -> int:
            self._mine(conn, tenant, endpoint_id)
            self._must_listen(conn, tenant, endpoint_id)
            return self._log.replay_dead(conn, tenant, endpoint_id, since, now)

        replayed = await self._db.write(work)
        self._notify((endpoint_id,))
        return replayed

    async def tenant_secret(self, tenant: str) -> TenantSecret:
        """The secret for per-call URLs, made if there is none. Not ``shown`` the first time only."""
        now = self._now()

        def work(conn: K) -> TenantSecret:
            secret = self._book.secret_of(conn, tenant, now)
            if not secret.shown:
                self._book.put_secret(conn, tenant, replace(secret, shown=True), now)
            return secret

        return await self._db.write(work)

    async def rotate_tenant_secret(self, tenant: str) -> TenantSecret:
        """A new secret for per-call URLs; the old one signs beside it for OVERLAP_S."""
        now, fresh = self._now(), self._makers.new_secret()

        def work(conn: K) -> TenantSecret:
            old = self._book.secret_of(conn, tenant, now)
            new = TenantSecret(fresh, old.secret, now + OVERLAP_S, shown=True)
            self._book.put_secret(conn, tenant, new, now)
            return new

        return await self._db.write(work)

    def _now(self) -> float:
        return self._makers.clock.wall().timestamp()

    async def _change(self, tenant: str, work: Callable[[K], T]) -> T:
        try:
            return await self._db.write(work)
        finally:
            self._book.forget((tenant,))

    def _mine(self, conn: K, tenant: str, endpoint_id: str, *, lock: bool = False) -> Endpoint:
        endpoint = self._book.get(conn, tenant, endpoint_id, lock=lock)
        return endpoint if endpoint is not None else _no_endpoint()

    def _must_listen(self, conn: K, tenant: str, endpoint_id: str) -> None:
        endpoint = self._book.get(conn, tenant, endpoint_id)
        if endpoint is None:
            raise Conflict("the endpoint of this delivery was deleted")
        if not endpoint.active:
            raise Conflict("the endpoint is switched off: switch it on first")


def _no_endpoint() -> NoReturn:
    raise NotFound("there is no such webhook endpoint")
