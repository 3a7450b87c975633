"""What webhooks need from outside, in small protocols, and the values that cross them.

``C`` is the transaction a storage works in (a SQLAlchemy connection for SQL): whoever stores a fact
passes its own, so the fact and its webhooks are written together or not at all. Times are seconds since
1970 as floats.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

from gateway.webhooks.core.backoff import Answer
from gateway.webhooks.core.delivery import Delivery, Settlement
from gateway.webhooks.core.events import WebhookEvent

C = TypeVar("C", contravariant=True)
T = TypeVar("T")
K = TypeVar("K", covariant=True)
P = TypeVar("P", covariant=True)
"""A page of a list, as the storage makes it: how lists are cut is its own affair."""
Q = TypeVar("Q", contravariant=True)
"""What opens and seals the cursors of those lists."""

Status = Literal["pending", "delivered", "dead"]
STATUSES: tuple[Status, ...] = ("pending", "delivered", "dead")


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """An endpoint that was disabled, and why: ``gone`` (it answered 410) or ``failing`` (for five days)."""

    tenant_id: str
    endpoint_id: str
    reason: Literal["gone", "failing"]
    lanes: tuple[str, ...] = ()
    """Lanes of other endpoints that are told about it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registered receiver. The secrets never show in a repr; an API face shows them once only."""

    id: str
    tenant_id: str
    url: str
    events: tuple[str, ...]
    description: str
    active: bool
    created_at: float
    updated_at: float
    secret: str = field(repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: float | None = None
    failing_since: float | None = None
    disabled_reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery as its owner sees it. ``next_at`` is None once nothing more will be tried."""

    id: str
    tenant_id: str
    event_id: str
    event_type: str
    endpoint_id: str | None
    url: str
    subject: str
    sequence: int
    status: Status
    attempts: int
    created_at: float
    next_at: float | None
    last_at: float | None
    delivered_at: float | None
    last_status: int | None
    last_note: str
    last_excerpt: str
    took_ms: int | None


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries of a tenant: of one endpoint, in one state, of one event or subject; None is any."""

    endpoint_id: str | None = None
    status: Status | None = None
    event_id: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a list a page begins (behind ``cursor``, or at its start), and how long it is at most."""

    limit: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class TenantSecret:
    """The secret that signs deliveries to per-call URLs. ``shown``: its owner has seen it."""

    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: float | None
    shown: bool


class Transactions(Protocol[K]):
    """A database: ``write`` runs a work in one transaction and returns when it is durable."""

    async def write(self, work: Callable[[K], T]) -> T: ...

    async def read(self, work: Callable[[K], T]) -> T: ...


class EventSink(Protocol[C]):
    """Where whoever stores a fact leaves its webhooks, inside its own transaction.

    ``fan_out`` writes the event once and one delivery for each active endpoint of the tenant that wants
    it, and one to ``per_call_url`` (already checked). It returns the lanes to pass to ``notify`` after
    the commit; none if nobody is told. The same event id twice changes nothing. ``wanted`` tells beforehand
    whether any endpoint would be told: an event for nobody need not be made.
    """

    def wanted(self, conn: C, tenant_id: str, event_type: str) -> bool: ...

    def fan_out(
        self, conn: C, tenant_id: str, event: WebhookEvent, per_call_url: str | None = None
    ) -> tuple[str, ...]: ...

    def send_to(self, conn: C, endpoint: Endpoint, event: WebhookEvent) -> str:
        """One delivery to one endpoint, whatever it subscribed to; returns the delivery's id."""
        ...


class Outbox(Protocol):
    """The deliverer's side of the outbox. Every verb raises StorageUnavailable.

    ``waiting`` names each lane with unfinished deliveries and when its earliest is due. ``claim`` takes
    up to so many due deliveries of each lane, oldest first, and hides them from others until
    ``until``: a claim whose owner dies comes back by itself. ``settle`` records outcomes, switches
    endpoints off that are beyond hope, and returns those. ``purge`` drops finished deliveries older
    than ``before``, and says how many.
    """

    async def waiting(self) -> Sequence[tuple[str, float]]: ...

    async def claim(self, lanes: Mapping[str, int], now: float, until: float) -> Sequence[Delivery]: ...

    async def settle(self, outcomes: Sequence[Settlement]) -> Sequence[SwitchedOff]: ...

    async def purge(self, before: float, limit: int) -> int: ...


class TenantSecrets(Protocol[C]):
    """The secrets that sign deliveries to per-call URLs. ``secret_of`` makes one when there is none yet."""

    def secret_of(self, conn: C, tenant_id: str, now: float) -> TenantSecret: ...

    def put_secret(self, conn: C, tenant_id: str, secret: TenantSecret, now: float) -> None: ...


class EndpointBook(TenantSecrets[C], Protocol[C, Q, P]):
    """Registered endpoints, and tenants' secrets; every verb knows the tenant it works for.

    ``get`` gives None for an endpoint that is not this tenant's; ``lock`` keeps others from changing it
    until the transaction ends. ``page`` is newest first, from a place whose cursor ``cursors`` opens and
    seals; MalformedRequest for a cursor of another list. ``put`` inserts or replaces. ``silence`` ends
    what waits for an endpoint as dead, ``remove`` also removes it.
    """

    def get(self, conn: C, tenant_id: str, endpoint_id: str, *, lock: bool = False) -> Endpoint | None: ...

    def count(self, conn: C, tenant_id: str) -> int: ...

    def page(self, conn: C, tenant_id: str, cursors: Q, place: Place) -> P: ...

    def put(self, conn: C, endpoint: Endpoint) -> None: ...

    def silence(self, conn: C, endpoint: Endpoint, note: str, now: float) -> None: ...

    def remove(self, conn: C, tenant_id: str, endpoint_id: str, now: float) -> bool: ...

    def forget(self, tenant_ids: Collection[str]) -> None:
        """Drop what is remembered of these tenants; called after a change was committed."""
        ...


class DeliveryLog(Protocol[C, Q, P]):
    """Deliveries as their owner sees them, newest first. ``replay`` makes them due now, as new."""

    def page(self, conn: C, tenant_id: str, wanted: DeliveryFilter, cursors: Q, place: Place) -> P: ...

    def get(self, conn: C, tenant_id: str, delivery_id: str) -> DeliveryView | None: ...

    def replay(self, conn: C, tenant_id: str, delivery_id: str, now: float) -> str | None:
        """The lane; None if it is being sent at this moment (or is not this tenant's)."""
        ...

    def replay_dead(self, conn: C, tenant_id: str, endpoint_id: str, since: float, now: float) -> int:
        """Make every dead delivery to an endpoint created since then due; says how many."""
        ...


class Poster(Protocol):
    """Sends one attempt over the network. Never raises but for cancellation; every wait has a deadline."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer: ...
