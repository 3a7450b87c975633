"""Everything the HTTP faces stand on, in one frozen value that the composition root builds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from prometheus_client import CollectorRegistry

from dialplan.ports import CallDesk
from gateway.auth import Authenticator
from gateway.config import Settings
from gateway.http import ports, ports_agents, ports_masking, ports_rooms
from gateway.http.holding import Holding
from gateway.http.limits import Rates
from gateway.http.memory import Remembered
from gateway.policy.attempt import CallLimits
from gateway.webhooks.ports import Poster
from proxy_pool.desk import MaskingDesk
from telephony.clock import Clock
from telephony.ids import TenantId


@dataclass(frozen=True, slots=True)
class Books:
    """What is stored."""

    calls: ports.Calls
    recordings: ports.Recordings
    numbers: ports.Numbers
    keys: ports.Keys
    tenants: ports.Tenants
    idempotency: ports.Idempotency
    usage: ports.Usage
    audit: ports.Audit
    agents: ports_agents.Agents
    sessions: ports_agents.AgentSessions


class TenantLimits:
    """What each tenant may spend: the installation's limits, overlaid by ``limits`` in its settings.

    Remembered for ``memory_s`` seconds, so that placing a call asks the database for them rarely.
    """

    def __init__(
        self, default: CallLimits, tenants: ports.Tenants, clock: Clock, *, memory_s: float = 5.0
    ) -> None:
        self._default = default
        self._tenants = tenants
        self._known: Remembered[TenantId, CallLimits] = Remembered(clock, for_s=memory_s)

    async def of(self, tenant: TenantId) -> CallLimits:
        return await self._known.of(tenant, lambda: self._read(tenant))

    async def _read(self, tenant: TenantId) -> CallLimits:
        known = await self._tenants.get(tenant)
        own = None if known is None else known.settings.get("limits")
        return self._default.narrowed(own) if isinstance(own, dict) else self._default


class Recent:
    """What placing calls looks up again and again, remembered for a second.

    A number given up through this process is forgotten at once (``forget_numbers``), through another one
    after that second; today's minutes may be a second old.
    """

    def __init__(self, clock: Clock) -> None:
        self.numbers: Remembered[TenantId, Holding] = Remembered(clock, for_s=1.0)
        self.seconds: Remembered[tuple[TenantId, date], int] = Remembered(clock, for_s=1.0)

    def forget_numbers(self) -> None:
        self.numbers.forget()


async def nobody_asks() -> None:
    """The number hook of a face without a route book."""


@dataclass(frozen=True, slots=True)
class Face:
    """The collaborators of the HTTP faces.

    ``signing_secret`` signs recording addresses. ``numbers_changed`` is awaited after a number or its
    route changed, so that inbound calls meet the new plan. What number masking, agents' calls and
    video rooms need is None where it is not set up: their operations answer 503. ``documents`` fetches TwiML.
    """

    settings: Settings
    clock: Clock
    new_id: Callable[[str], str]
    random_bytes: Callable[[int], bytes]
    signing_secret: bytes = field(repr=False)
    books: Books
    desk: CallDesk
    live_of_key: ports.LiveOfKey
    webhooks: ports.Webhooks
    prompts: ports.Prompts
    phones: ports.PhoneBook
    auth: Authenticator
    rates: Rates
    limits: TenantLimits
    probes: Mapping[str, ports.Probe]
    registry: CollectorRegistry
    numbers_changed: Callable[[], Awaitable[None]] = nobody_asks
    masking: MaskingDesk | None = None
    inbound_texts: ports_masking.InboundTexts | None = None
    inbound_calls: ports_masking.InboundCalls | None = None
    carriers: ports_masking.Carriers | None = None
    carrier_hooks: ports_masking.CarrierHooks | None = None
    media_files: ports_masking.MediaFiles | None = None
    agent_calls: ports_agents.AgentCalls | None = None
    documents: Poster | None = None
    rooms: ports_rooms.VideoRooms | None = None
    recent: Recent = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recent", Recent(self.clock))


def default_limits(settings: Settings, *, calls_per_minute: int = 60) -> CallLimits:
    """The installation's limits as configured. One key may use all of its tenant's concurrent calls."""
    return CallLimits(
        countries=settings.allowed_countries,
        concurrent=settings.max_concurrent_calls,
        concurrent_per_key=settings.max_concurrent_calls,
        daily_minutes=settings.daily_minutes_cap,
        calls_per_minute=calls_per_minute,
    )
