"""Number masking as the API faces use it: one desk over sessions, interactions, settings and the pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from proxy_pool.core import forecast
from proxy_pool.core.choice import Exhausted
from proxy_pool.core.interaction import Interaction
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.session import Numbers, Session, SessionId
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.desk import Forecast, NewSession, NumberChange, PoolView, SessionChange, WhatIf
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.ports import InteractionBook, Ledger, PoolBook, SessionFilter, SessionPage
from proxy_pool.sessions import Sessions
from proxy_pool.settings_memory import SettingsMemory
from telephony.errors import NotFound
from telephony.ids import TenantId
from telephony.numbers import E164

_HOUR_S: Final = 3600.0
_BUSIEST: Final = 100


@dataclass(frozen=True, slots=True)
class Books:
    """What is stored."""

    ledger: Ledger
    pool: PoolBook
    interactions: InteractionBook


class Masking:
    """Fits ``proxy_pool.desk.MaskingDesk``; ``resolve`` is for whoever routes calls and texts.

    ``exhausted`` is told whenever a session could not be opened for want of a number.
    """

    def __init__(
        self,
        sessions: Sessions,
        books: Books,
        memory: PoolMemory,
        settings: SettingsMemory,
        now: Callable[[], float],
        exhausted: Callable[[TenantId, Exhausted], None] = lambda tenant, error: None,
    ) -> None:
        self.sessions = sessions
        self._books = books
        self._memory = memory
        self._settings = settings
        self._now = now
        self._exhausted = exhausted

    # ------------------------------------------------------------ sessions

    async def open(
        self, tenant: TenantId, wanted: NewSession, *, session_id: SessionId, again: bool = False
    ) -> Session:
        """See ``MaskingDesk``. ``again``: an earlier attempt was cut off and may have stored it."""
        try:
            return await self.sessions.open(tenant, wanted, session_id, again=again)
        except Exhausted as error:
            self._exhausted(tenant, error)
            raise

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session:
        return await self.sessions.get(tenant, session_id)

    async def page(
        self, tenant: TenantId, wanted: SessionFilter, *, limit: int, cursor: str | None = None
    ) -> SessionPage:
        return await self._books.ledger.page(tenant, wanted, limit=limit, cursor=cursor)

    async def close(self, tenant: TenantId, session_id: SessionId) -> Session:
        return await self.sessions.close(tenant, session_id)

    async def change(self, tenant: TenantId, session_id: SessionId, change: SessionChange) -> Session:
        return await self.sessions.change(tenant, session_id, change)

    async def resolve(self, tenant: TenantId, key: str, proxy: E164) -> tuple[Session, int] | None:
        """The live session behind (key, proxy number), and the seat it gives."""
        return await self.sessions.resolve(tenant, key, proxy)

    # ------------------------------------------------------------ interactions

    async def interactions(
        self, tenant: TenantId, session_id: SessionId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[Interaction], str | None, int]:
        await self.sessions.get(tenant, session_id)
        return await self._books.interactions.page(tenant, session_id, limit=limit, cursor=cursor)

    async def interaction(self, tenant: TenantId, interaction_id: str) -> Interaction:
        known = await self._books.interactions.get(tenant, interaction_id)
        if known is None:
            raise NotFound("there is no such interaction")
        return known

    async def forget_interaction(self, tenant: TenantId, interaction_id: str) -> None:
        if not await self._books.interactions.forget(tenant, interaction_id):
            raise NotFound("there is no such interaction")

    # ------------------------------------------------------------ settings

    async def settings(self, tenant: TenantId) -> ServiceSettings:
        return await self._settings.of(tenant)

    async def set_settings(self, tenant: TenantId, settings: ServiceSettings) -> ServiceSettings:
        await self._settings.put(tenant, settings)
        return settings

    # ------------------------------------------------------------ the pool

    async def pool(self, tenant: TenantId) -> PoolView:
        loads = await self._books.pool.loads(tenant)
        busiest = await self._books.pool.busiest(tenant, _BUSIEST)
        return PoolView(forecast.buckets(loads, busiest), tuple(loads))

    async def forecast(self, tenant: TenantId, supposed: WhatIf) -> Forecast:
        settings = await self._settings.of(tenant)
        opened = await self._books.pool.opened_since(tenant, self._now() - _HOUR_S)
        observed = forecast.Observed(
            loads=tuple(await self._books.pool.loads(tenant)),
            busiest=tuple(await self._books.pool.busiest(tenant, _BUSIEST)),
            opened_per_hour=float(opened),
            mean_lifetime_s=float(settings.terms.ttl_s or settings.terms.max_lifetime_s),
            quarantine_s=settings.terms.quarantine_s,
            shared=settings.terms.numbers is Numbers.SHARED,
        )
        return forecast.forecast(observed, supposed)

    async def add_number(self, number: PoolNumber) -> PoolNumber:
        added = await self._books.pool.add(number)
        await self._memory.refresh()
        return added

    async def pool_number(self, tenant: TenantId, number_id: str) -> PoolNumber | None:
        """The number as the book has it now, not as this process remembers it."""
        await self._memory.refresh()
        return self._memory.find(tenant, number_id)

    async def change_number(self, tenant: TenantId, number_id: str, change: NumberChange) -> PoolNumber:
        known = self._memory.find(tenant, number_id)
        if known is None:
            raise NotFound("there is no such number in the pool")
        wanted = replace(
            known,
            use=change.use or known.use,
            reserved=known.reserved if change.reserved is None else change.reserved,
            suspended=known.suspended if change.suspended is None else change.suspended,
            carrier=known.carrier if change.carrier is None else change.carrier,
            capabilities=change.capabilities or known.capabilities,
        )
        changed = await self._books.pool.change(wanted)
        await self._memory.refresh()
        if changed is None:
            raise NotFound("there is no such number in the pool")
        return changed

    async def remove_number(self, tenant: TenantId, number_id: str) -> PoolNumber:
        removed = await self._books.pool.remove(tenant, number_id)
        await self._memory.refresh()
        if removed is None:
            raise NotFound("there is no such number in the pool")
        return removed
