"""The database without a file can be taken away, and loses nothing by it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.storage.keys import TenantRepository
from gateway.storage.memory import MemoryBackend, open_memory
from gateway.storage.records import Tenant
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId

pytestmark = pytest.mark.unit

TENANT = Tenant(TenantId("tnt_1"), "One", datetime(2026, 3, 8, tzinfo=UTC))


async def test_while_it_is_away_every_call_is_refused_and_nothing_changes() -> None:
    backend = MemoryBackend()
    database = open_memory(backend)
    tenants = TenantRepository(database)
    await tenants.create(TENANT)
    backend.away = True
    for refused in (tenants.get(TENANT.id), tenants.create(TENANT), database.migrate()):
        with pytest.raises(StorageUnavailable):
            await refused
    backend.away = False
    assert await tenants.all() == (TENANT,)
    await database.close()


async def test_two_databases_in_memory_know_nothing_of_each_other() -> None:
    one, other = open_memory(), open_memory()
    await TenantRepository(one).create(TENANT)
    assert await TenantRepository(other).all() == ()
    await one.close()
    await other.close()
