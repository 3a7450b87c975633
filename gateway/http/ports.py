"""What the HTTP faces need from outside. The storage repositories and services fit structurally."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from dialplan.core.record import CallRecord
from gateway.storage.records import (
    ApiKey,
    AuditEntry,
    CallFilter,
    Claim,
    OwnedNumber,
    Page,
    Recording,
    Tenant,
    TimelineEntry,
)
from gateway.webhooks.ports import DeliveryFilter, DeliveryView, Endpoint, TenantSecret
from telephony.ids import CallId, TenantId
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """A receiver to register. Without a secret one is made."""

    url: str
    events: tuple[str, ...]
    description: str = ""
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What shall be different about a receiver; None leaves it as it is."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    description: str | None = None
    active: bool | None = None


class Calls(Protocol):
    """Calls as stored; every verb carries the tenant."""

    async def get(self, tenant: TenantId, call_id: CallId) -> CallRecord | None: ...

    async def page(
        self, tenant: TenantId, wanted: CallFilter, *, limit: int, cursor: str | None = None
    ) -> Page[CallRecord]: ...

    async def events(self, tenant: TenantId, call_id: CallId) -> Sequence[TimelineEntry] | None: ...


class Recordings(Protocol):
    """Recordings as stored. ``forget`` drops the row; the file is the face's to remove."""

    async def get(self, tenant: TenantId, recording_id: str) -> Recording | None: ...

    async def of_call(self, tenant: TenantId, call_id: CallId) -> Sequence[Recording]: ...

    async def ready_of(self, tenant: TenantId, calls: Sequence[CallId]) -> Mapping[CallId, Recording]: ...

    async def forget(self, tenant: TenantId, recording_id: str) -> bool: ...


class Numbers(Protocol):
    """Numbers that tenants own."""

    async def add(self, number: OwnedNumber) -> None: ...

    async def get(self, tenant: TenantId, number_id: str) -> OwnedNumber | None: ...

    async def find_owned(self, tenant: TenantId, number: E164) -> OwnedNumber | None: ...

    async def find_by_e164(self, number: E164) -> OwnedNumber | None: ...

    async def page(self, tenant: TenantId, *, limit: int, cursor: str | None = None) -> Page[OwnedNumber]: ...

    async def change(
        self, tenant: TenantId, number_id: str, edit: Callable[[OwnedNumber], OwnedNumber]
    ) -> OwnedNumber | None: ...

    async def remove(self, tenant: TenantId, number_id: str, at: datetime) -> OwnedNumber | None: ...


class Keys(Protocol):
    """API keys: found by hash, revoked, never deleted."""

    async def find_by_hash(self, key_hash: str) -> ApiKey | None: ...

    async def touch(self, key_id: str, at: datetime) -> None: ...

    async def create(self, key: ApiKey) -> None: ...

    async def get(self, tenant: TenantId, key_id: str) -> ApiKey | None: ...

    async def page(self, tenant: TenantId, *, limit: int, cursor: str | None = None) -> Page[ApiKey]: ...

    async def revoke(self, tenant: TenantId, key_id: str, at: datetime) -> ApiKey | None: ...


class Tenants(Protocol):
    """Who this installation serves. ``settings["limits"]`` may hold a tenant's own limits."""

    async def get(self, tenant: TenantId) -> Tenant | None: ...

    async def all(self) -> Sequence[Tenant]: ...


class Idempotency(Protocol):
    """One answer for one Idempotency-Key."""

    async def claim(
        self, tenant: TenantId, key: str, fingerprint: str, resource_id: str, now: datetime
    ) -> Claim: ...

    async def complete(self, tenant: TenantId, key: str, status: int, body: bytes) -> None: ...

    async def release(self, tenant: TenantId, key: str) -> None: ...


class Usage(Protocol):
    """Seconds of outbound talk by tenant and UTC day."""

    async def seconds_on(self, tenant: TenantId, day: date) -> int: ...


class Audit(Protocol):
    """Who changed what."""

    async def append(self, entry: AuditEntry) -> AuditEntry: ...


class Webhooks(Protocol):
    """Registered receivers and what was sent to them. A foreign id raises NotFound.

    ``create`` and ``change`` raise InvalidInput for a URL, a secret or events that are not allowed.
    ``check_url`` does the same for a call's own URL, and gives its only spelling.
    """

    def check_url(self, url: str, field: str) -> str: ...

    async def create(self, tenant: TenantId, wanted: NewEndpoint) -> Endpoint: ...

    async def get(self, tenant: TenantId, endpoint_id: str) -> Endpoint: ...

    async def page(self, tenant: TenantId, *, limit: int, cursor: str | None = None) -> Page[Endpoint]: ...

    async def change(self, tenant: TenantId, endpoint_id: str, change: EndpointChange) -> Endpoint: ...

    async def remove(self, tenant: TenantId, endpoint_id: str) -> None: ...

    async def rotate_secret(self, tenant: TenantId, endpoint_id: str) -> Endpoint: ...

    async def test(self, tenant: TenantId, endpoint_id: str) -> str:
        """The id of the test event's delivery."""
        ...

    async def deliveries(
        self, tenant: TenantId, wanted: DeliveryFilter, *, limit: int, cursor: str | None = None
    ) -> Page[DeliveryView]: ...

    async def replay(self, tenant: TenantId, delivery_id: str) -> None: ...

    async def replay_failed(self, tenant: TenantId, endpoint_id: str, since: float) -> int: ...

    async def tenant_secret(self, tenant: TenantId) -> TenantSecret: ...

    async def rotate_tenant_secret(self, tenant: TenantId) -> TenantSecret: ...


class Prompts(Protocol):
    """Sounds the switch can play, by file name without ending.

    ``spoken`` raises InvalidInput (field ``text`` or ``voice``) and SpeechUnavailable; ``stored``
    gives None when the tenant has no prompt of that name.
    """

    async def spoken(self, text: str, voice: str | None) -> str: ...

    async def stored(self, tenant: TenantId, name: str) -> str | None: ...


class PhoneBook(Protocol):
    """Softphones that may register at the switch."""

    def knows(self, tenant: TenantId, phone: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Health:
    """What a probe found. ``detail`` is for people, without addresses or secrets."""

    ok: bool
    detail: str = ""


Probe = Callable[[], Awaitable[Health]]
LiveOfKey = Callable[[TenantId, str], int]
"""How many calls placed with this key id are open."""
