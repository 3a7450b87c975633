"""What the repositories give and take: frozen values, moments as aware UTC datetimes.

Calls are told in the core's own words (``dialplan.core.record``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from telephony.ids import CallId, TenantId
from telephony.numbers import E164, mask_text

T = TypeVar("T")

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, newest first. ``cursor`` leads to the next one; ``total`` counts all that match."""

    items: tuple[T, ...]
    cursor: str | None
    total: int

    @property
    def has_more(self) -> bool:
        return self.cursor is not None


class KeyRole(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    BILLING = "billing"


class KeyMode(StrEnum):
    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of this installation."""

    id: TenantId
    name: str
    created_at: datetime
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret: ``hash`` is SHA-256 in hex, ``prefix`` and ``last4`` are for people."""

    id: str
    tenant: TenantId
    name: str
    role: KeyRole
    hash: str = field(repr=False)
    last4: str
    prefix: str
    mode: KeyMode
    created_at: datetime
    scopes: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def valid_at(self, now: datetime) -> bool:
        """Whether the key opens anything at ``now``: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class OwnedNumber:
    """A number that a tenant owns. ``route``: where inbound calls go, in the words of the HTTP face."""

    id: str
    tenant: TenantId
    number: E164
    created_at: datetime
    capabilities: tuple[str, ...] = ("voice",)
    route: Mapping[str, Json] | None = None
    friendly_name: str = ""
    removed_at: datetime | None = None

    def __repr__(self) -> str:
        return f"OwnedNumber({self.id}, {self.number.masked})"


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls a list shows. ``created_after`` is included, ``created_before`` is not (epoch seconds).

    ``blind``: whoever asks may not see real numbers, and does not find a private call by one either.
    """

    status: str | None = None
    to_number: str | None = None
    from_number: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    blind: bool = False

    def __repr__(self) -> str:
        shown = (self.status, mask_text(self.to_number or ""), mask_text(self.from_number or ""))
        return f"CallFilter{shown}"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One stored event of a call; ``status`` is the call's status right after it."""

    sequence: int
    type: str
    at: float
    status: str
    detail: tuple[tuple[str, str], ...]


class RecordingState(StrEnum):
    RECORDING = "recording"
    PAUSED = "paused"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of a call. ``file`` is a name within the recordings folder, there once it is ready."""

    id: str
    call_id: CallId
    tenant: TenantId
    state: RecordingState
    created_at: float
    ended_at: float | None = None
    file: str | None = None
    duration_ms: int | None = None
    channels: int | None = None
    bytes: int | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The request is ours to carry out. ``resource_id`` is the id that its result must have.

    ``again``: an earlier attempt was left unanswered (the process died). It may have had its effect:
    look for ``resource_id`` before acting.
    """

    resource_id: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """The request was answered before, with this."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class InProgress:
    """The same request is being carried out right now."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used for a different request."""


Claim = Claimed | Replay | InProgress | Mismatch


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what. ``number`` counts from 1 within the tenant; ``hash`` covers the entry before it."""

    id: str
    tenant: TenantId
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Json]
    number: int = 0
    previous_hash: str = ""
    hash: str = ""
