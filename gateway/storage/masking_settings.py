"""Each tenant's masking settings in SQL. Fits ``proxy_pool.ports.SettingsBook``."""

from __future__ import annotations

from sqlalchemy import select

from gateway.storage.database import Database
from gateway.storage.statements import first, upsert
from gateway.storage.tables_masking import PROXY_SETTINGS
from proxy_pool.core.codec import settings_from, settings_json
from proxy_pool.core.settings import ServiceSettings
from telephony.errors import InvalidInput, PatchbayError
from telephony.ids import TenantId


class UnreadableSettings(PatchbayError):
    """The stored masking settings are not of this release."""


class SqlSettings:
    """Stored as what differs from ``ServiceSettings()``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant: TenantId) -> ServiceSettings | None:
        """Raises UnreadableSettings where another release stored what this one does not know."""
        query = select(PROXY_SETTINGS.c.settings).where(PROXY_SETTINGS.c.tenant_id == tenant)
        row = await self._database.read(lambda conn: first(conn, query))
        if row is None:
            return None
        try:
            return settings_from(row["settings"])
        except InvalidInput as error:
            raise UnreadableSettings(f"stored masking settings: {error.message}") from error

    async def put(self, tenant: TenantId, settings: ServiceSettings) -> None:
        values = {"tenant_id": tenant, "settings": settings_json(settings)}
        await self._database.write(lambda conn: upsert(conn, PROXY_SETTINGS, values, ("tenant_id",)))
