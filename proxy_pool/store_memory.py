"""The index in this process's memory: for one process, and as the measure of the one in Redis."""

from __future__ import annotations

from collections.abc import Sequence

from proxy_pool.core.packed import (
    Drift,
    State,
    entry_of,
    milliseconds,
    pack,
    passed,
    state_of,
    supersedes,
    suspended,
)
from proxy_pool.core.session import Binding, Door, Entry, Hold
from proxy_pool.ports import PENDING_S, Claim
from proxy_pool.upkeep import IndexCounts, Load, Pages, Read, drifted
from telephony.ids import TenantId


class MemoryIndex:
    """Fits ``proxy_pool.upkeep.KeptIndex``. It is there and trusted from its beginning: an empty one gives no
    answers that could be wrong, and ``run`` fills it from the ledger. Nothing here waits, so every verb is
    atomic among the tasks of a process."""

    def __init__(self) -> None:
        self.counts = IndexCounts()
        self._held: dict[tuple[TenantId, str], dict[int, bytes]] = {}

    @property
    def trusted(self) -> bool:
        return True

    async def reserve(self, claims: Sequence[Claim], now: float) -> Sequence[int | None]:
        return [self._reserve(claim, now) for claim in claims]

    def _reserve(self, claim: Claim, now: float) -> int | None:
        now_ms = milliseconds(now)
        held = self._held.setdefault((claim.tenant, claim.key), {})
        for index in claim.candidates:
            stands = held.get(index)
            if stands is None or passed(stands, now_ms):
                until = now + PENDING_S
                held[index] = pack(
                    Entry(claim.session, claim.seat, Hold.PENDING, until, version=0), State.RESERVED
                )
                self.counts.reserved += 1
                return index
        self.counts.refused += 1
        return None

    async def put(self, bindings: Sequence[Binding], now: float) -> None:
        now_ms = milliseconds(now)
        for binding in bindings:
            door = binding.door
            held = self._held.setdefault((door.tenant, door.key), {})
            new, stands = pack(binding.entry), held.get(door.index)
            if stands is None or supersedes(new, stands, now_ms):
                held[door.index] = new

    async def suspend(self, doors: Sequence[Door], now: float) -> None:
        for door in doors:
            held = self._held.setdefault((door.tenant, door.key), {})
            held[door.index] = suspended(held.get(door.index), now + PENDING_S)

    async def drop(self, doors: Sequence[Door]) -> None:
        for door in doors:
            held = self._held.get((door.tenant, door.key))
            if held is not None:
                stands = held.get(door.index)
                if stands is not None and state_of(stands) is not State.SUSPENDED:
                    del held[door.index]
                if not held:
                    del self._held[door.tenant, door.key]

    async def look_up(self, tenant: TenantId, key: str, index: int, now: float) -> Entry | None:
        stands = self._held.get((tenant, key), {}).get(index)
        entry = None if stands is None or passed(stands, milliseconds(now)) else entry_of(stands)
        if entry is None:
            self.counts.misses += 1
        else:
            self.counts.hits += 1
        return entry

    async def taken(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        now_ms = milliseconds(now)
        held = self._held.get((tenant, key), {})
        return frozenset(index for index, stands in held.items() if not passed(stands, now_ms))

    # ------------------------------------------------------------ upkeep

    async def rebuild(self, pages: Pages) -> None:
        """Put everything that the ledger holds; what is newer here stays."""
        async for page in pages:
            for binding in page:
                door = binding.door
                self._held.setdefault((door.tenant, door.key), {}).setdefault(door.index, pack(binding.entry))
        self.counts.rebuilds += 1

    async def run(self, load: Load) -> None:
        await self.rebuild(load())

    async def compare(self, read: Read, now: float) -> int:
        found = await drifted(read, self._stands, now)
        wrong = [binding.door for binding, how in found if how is Drift.WRONG]
        self.counts.drift += len(wrong)
        self.counts.repairs += len(found)
        await self.suspend(wrong, now)
        await self.put([binding for binding, how in found if how is not Drift.WRONG], now)
        return len(wrong)

    async def _stands(self, doors: Sequence[Door]) -> Sequence[bytes | None]:
        return [self._held.get((door.tenant, door.key), {}).get(door.index) for door in doors]
