"""The pool as the process remembers it: every tenant's numbers, by index and by number, and their load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from proxy_pool.core.choice import Exhausted, PoolMap, candidates, shortage
from proxy_pool.core.number import PoolNumber, Use, Wish
from proxy_pool.core.session import Channel
from proxy_pool.ports import PoolBook
from telephony.errors import Conflict
from telephony.ids import TenantId
from telephony.numbers import E164

_NONE: Final[Mapping[E164, int]] = MappingProxyType({})


class _Tenant:
    def __init__(self, numbers: list[PoolNumber]) -> None:
        self.map = PoolMap(numbers)
        self.index_of = {number.number: number.index for number in numbers}
        self.by_id = {number.id: number for number in numbers}
        self.load: Counter[int] = Counter()


class PoolMemory:
    """Filled by ``refresh``: at start, after a change made here, and now and then for changes made
    elsewhere. The ledger checks every number again when a session is stored on it."""

    def __init__(self, book: PoolBook, chance: Callable[[int], int]) -> None:
        self._book = book
        self._chance = chance
        self._tenants: dict[TenantId, _Tenant] = {}
        self._seen: tuple[PoolNumber, ...] = ()
        self._owners: dict[E164, PoolNumber] = {}

    async def refresh(self, *, load: bool = False) -> None:
        """Take the book's numbers, and count their load anew, which costs a walk through all bindings.

        Raises StorageUnavailable; what was known stays then.
        """
        seen = tuple(await self._book.numbers())
        if seen != self._seen:
            by_tenant: dict[TenantId, list[PoolNumber]] = {}
            for number in seen:
                by_tenant.setdefault(number.tenant, []).append(number)
            before = self._tenants
            self._tenants = {tenant: _Tenant(numbers) for tenant, numbers in by_tenant.items()}
            for tenant in self._tenants.keys() & before.keys():
                self._tenants[tenant].load = before[tenant].load
            self._owners = {number.number: number for number in seen}
            self._seen = seen
        for tenant, pool in self._tenants.items() if load else ():
            loads = await self._book.loads(tenant)
            pool.load = Counter({one.number.index: one.live for one in loads})

    def note(self, tenant: TenantId, index: int, doors: int) -> None:
        """So many doors were opened on this number (or closed, below 0) since the load was counted."""
        pool = self._tenants.get(tenant)
        if pool is not None:
            pool.load[index] += doors

    # ------------------------------------------------------------ fits proxy_pool.placing.Pool

    def index_of(self, tenant: TenantId) -> Mapping[E164, int]:
        """The tenant's pool numbers and their indices."""
        pool = self._tenants.get(tenant)
        return _NONE if pool is None else pool.index_of

    def number_of(self, tenant: TenantId, index: int) -> E164:
        """The number of an index that ``candidates`` gave."""
        number = self._tenants[tenant].map.at(index)
        if number is None:
            raise Conflict("the number has left the pool", code="NUMBER_NOT_IN_POOL")
        return number.number

    def candidates(self, tenant: TenantId, wish: Wish, held: frozenset[int]) -> tuple[int, ...]:
        """At most eight numbers for this wish, the best first."""
        pool = self._tenants.get(tenant)
        return () if pool is None else candidates(pool.map, wish, held, pool.load, self._chance)

    def exhausted(self, tenant: TenantId, wish: Wish, held: frozenset[int]) -> Conflict:
        """Why there is none; ``held`` is what the ledger knows that this participant holds."""
        pool = self._tenants.get(tenant)
        found = shortage(PoolMap(()) if pool is None else pool.map, wish, held)
        if found is None:
            return Conflict("the pool is too busy with others' requests", code="POOL_CONTENDED")
        return Exhausted(found)

    # ------------------------------------------------------------ for others

    def usable(self, tenant: TenantId, number: E164, use: Use, channels: frozenset[Channel]) -> bool:
        """Whether this number may be given (again) without being asked for by name."""
        found = self.of(tenant, number)
        return (
            found is not None
            and not found.suspended
            and not found.reserved
            and found.use is use
            and channels <= found.capabilities
        )

    def of(self, tenant: TenantId, number: E164) -> PoolNumber | None:
        """The pool number with these digits."""
        pool = self._tenants.get(tenant)
        return None if pool is None else pool.map.of(number)

    def find(self, tenant: TenantId, number_id: str) -> PoolNumber | None:
        """The pool number with this id."""
        pool = self._tenants.get(tenant)
        return None if pool is None else pool.by_id.get(number_id)

    def owner_of(self, number: E164) -> PoolNumber | None:
        """Whoever has this number in the pool."""
        return self._owners.get(number)
