"""The index is compared with the whole ledger, round after round, and mended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from ulid import ULID

from proxy_pool.core.session import Binding, Door, Entry, Hold, SessionId
from proxy_pool.store_memory import MemoryIndex
from proxy_pool.upkeep import reconcile
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

NOW = 1_772_971_200.0
TENANT = TenantId("ten_1")
OWNER = SessionId(f"ses_{ULID.from_int(5)}")


def held(index: int) -> Binding:
    door = Door(TENANT, "+15550001111", E164(f"+1415{index:07d}"), index)
    return Binding(door, Entry(OWNER, 0, Hold.LIVE, NOW + 60))


async def test_every_page_has_its_turn_also_after_a_failure():
    index = MemoryIndex()
    rows = [(seq, held(seq)) for seq in range(1, 1201)]
    wrong = rows[600][1]
    await index.put([Binding(wrong.door, Entry(OWNER, 3, Hold.LIVE, NOW + 60))], NOW)
    failures, rounds, done = [StorageUnavailable()], 0, asyncio.Event()

    async def all_held(after: int, limit: int) -> Sequence[tuple[int, Binding]]:
        nonlocal rounds
        if after == 500 and failures:
            raise failures.pop()
        page = [row for row in rows if row[0] > after][:limit]
        rounds += not page
        if rounds == 2:
            done.set()
        return page

    task = asyncio.create_task(reconcile(index, all_held, lambda: NOW, round_s=0.06))
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (index.counts.drift, index.counts.repairs) == (1, 1200)
    assert await index.look_up(TENANT, "+15550001111", 601, NOW) is None
    assert await index.look_up(TENANT, "+15550001111", 1200, NOW) == rows[-1][1].entry
