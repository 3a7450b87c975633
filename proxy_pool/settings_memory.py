"""Tenants' service settings, remembered for some seconds: every routed call asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy_pool.core.settings import ServiceSettings
from proxy_pool.ports import SettingsBook
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId

FOR_S: Final = 5.0
"""How long another process's change may go unnoticed here."""


class SettingsMemory:
    """What was changed through this process is known here at once."""

    def __init__(self, book: SettingsBook, now: Callable[[], float]) -> None:
        self._book = book
        self._now = now
        self._known: dict[TenantId, tuple[float, ServiceSettings]] = {}

    async def of(self, tenant: TenantId) -> ServiceSettings:
        """The tenant's settings, or the defaults. Raises StorageUnavailable where none are remembered;
        remembered ones serve for as long as the database is away."""
        known = self._known.get(tenant)
        now = self._now()
        if known is not None and now < known[0] + FOR_S:
            return known[1]
        try:
            settings = await self._book.get(tenant) or ServiceSettings()
        except StorageUnavailable:
            if known is None:
                raise
            settings = known[1]
        self._known[tenant] = (now, settings)
        return settings

    async def put(self, tenant: TenantId, settings: ServiceSettings) -> None:
        await self._book.put(tenant, settings)
        self._known[tenant] = (self._now(), settings)
