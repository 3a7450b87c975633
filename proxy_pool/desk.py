"""What an API face may do with number masking; the service fits ``MaskingDesk``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proxy_pool.core.forecast import Bucket as Bucket
from proxy_pool.core.forecast import BucketForecast as BucketForecast
from proxy_pool.core.forecast import Forecast as Forecast
from proxy_pool.core.forecast import PoolView as PoolView
from proxy_pool.core.forecast import WhatIf as WhatIf
from proxy_pool.core.interaction import Interaction
from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.party import Party
from proxy_pool.core.session import Channel, Model, Session, SessionId
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.ports import SessionFilter, SessionPage
from telephony.ids import TenantId
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class Seating:
    """A person to take part. ``number`` asks for this proxy number (it may be a reserved one); ``pin`` is
    given, or made where the session's terms ask for PINs; ``country``/``area`` wish for a number there."""

    party: Party
    number: E164 | None = None
    pin: str = field(default="", repr=False)
    country: str = ""
    area: str = ""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to open. ``others``: party B of a pair, the temporary callee of an anyone-session (may be
    absent), the members of a group. ``terms`` holds only what differs from the service's defaults, by the
    field names of ``core.session.Terms``."""

    a: Seating
    others: tuple[Seating, ...] = ()
    model: Model = Model.PAIR
    terms: Mapping[str, object] = field(default_factory=dict)
    extension: str = ""
    unique_name: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    webhook_url: str | None = field(default=None, repr=False)
    api_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What shall be different about an open session; None leaves it. ``a`` and ``others`` replace people:
    whoever stays keeps number and PIN."""

    a: Seating | None = None
    others: tuple[Seating, ...] | None = None
    terms: Mapping[str, object] = field(default_factory=dict)
    metadata: tuple[tuple[str, str], ...] | None = None
    webhook_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NumberChange:
    """What shall be different about a pool number; None leaves it."""

    use: Use | None = None
    reserved: bool | None = None
    suspended: bool | None = None
    carrier: str | None = None
    capabilities: frozenset[Channel] | None = None


class MaskingDesk(Protocol):
    """Everything under ``/api/v1/proxy``. A foreign id raises NotFound, a broken rule InvalidInput.

    ``open`` returns once the session is durably stored and its numbers are its own; Conflict with code
    POOL_EXHAUSTED carries the constraint and the shortfall (``Exhausted``), UNIQUE_NAME_TAKEN,
    NUMBER_IN_USE … name other conflicts. ``session_id`` is the id that it must have; ``again`` says that an
    earlier attempt was cut off: the one that it may have stored is given.
    ``close`` of a closed session returns it as it is.
    """

    async def open(
        self, tenant: TenantId, wanted: NewSession, *, session_id: SessionId, again: bool = False
    ) -> Session: ...

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session: ...

    async def page(
        self, tenant: TenantId, wanted: SessionFilter, *, limit: int, cursor: str | None = None
    ) -> SessionPage: ...

    async def close(self, tenant: TenantId, session_id: SessionId) -> Session: ...

    async def change(self, tenant: TenantId, session_id: SessionId, change: SessionChange) -> Session: ...

    async def interactions(
        self, tenant: TenantId, session_id: SessionId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[Interaction], str | None, int]:
        """Newest first; the cursor of the next page; how many there are."""
        ...

    async def interaction(self, tenant: TenantId, interaction_id: str) -> Interaction: ...

    async def forget_interaction(self, tenant: TenantId, interaction_id: str) -> None: ...

    async def settings(self, tenant: TenantId) -> ServiceSettings: ...

    async def set_settings(self, tenant: TenantId, settings: ServiceSettings) -> ServiceSettings: ...

    async def pool(self, tenant: TenantId) -> PoolView: ...

    async def forecast(self, tenant: TenantId, supposed: WhatIf) -> Forecast: ...

    async def add_number(self, number: PoolNumber) -> PoolNumber:
        """Take an owned number into the pool; ``index`` is ignored. Conflict when it is there."""
        ...

    async def pool_number(self, tenant: TenantId, number_id: str) -> PoolNumber | None:
        """The number with this id as it serves now; None where it is not in the pool."""
        ...

    async def change_number(self, tenant: TenantId, number_id: str, change: NumberChange) -> PoolNumber: ...

    async def remove_number(self, tenant: TenantId, number_id: str) -> PoolNumber: ...
