"""No index: SQL alone proposes and decides. Right and simple; each try is a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from proxy_pool.core.session import Binding, Door, Entry
from proxy_pool.ports import Claim, IndexAway
from proxy_pool.upkeep import IndexCounts, Load, Read
from telephony.ids import TenantId


class NoIndex:
    """Fits ``proxy_pool.upkeep.KeptIndex``: an index that is always away."""

    def __init__(self) -> None:
        self.counts = IndexCounts()

    @property
    def trusted(self) -> bool:
        return False

    async def reserve(self, claims: Sequence[Claim], now: float) -> Sequence[int | None]:
        raise IndexAway

    async def put(self, bindings: Sequence[Binding], now: float) -> None:
        return None

    async def suspend(self, doors: Sequence[Door], now: float) -> None:
        return None

    async def drop(self, doors: Sequence[Door]) -> None:
        return None

    async def look_up(self, tenant: TenantId, key: str, index: int, now: float) -> Entry | None:
        self.counts.misses += 1
        return None

    async def taken(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        raise IndexAway

    async def run(self, load: Load) -> None:
        return None

    async def compare(self, read: Read, now: float) -> int:
        return 0
