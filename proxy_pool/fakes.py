"""Stand-ins for what the service keeps in SQL: in memory, exact, gone with the process.

They keep the same promises as ``gateway.storage.masking_*`` (one contract suite tests both). While ``away``
is true each of them raises StorageUnavailable and changes nothing. ``told`` holds what the world was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proxy_pool.core.holding import in_pool, in_use
from proxy_pool.core.interaction import Interaction
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.session import SessionId
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.fake_ledger import MemoryLedger as MemoryLedger
from proxy_pool.fake_ledger import Row, cut
from proxy_pool.ports import Busiest, NumberLoad, SessionEvent
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId


@dataclass(slots=True, eq=False)
class MemoryPoolBook:
    """Fits ``proxy_pool.ports.PoolBook``; from now on ``ledger`` takes only numbers of this pool."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    away: bool = False
    _last_index: dict[TenantId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ledger.numbers is None:
            self.ledger.numbers = []

    @property
    def _all(self) -> list[PoolNumber]:
        if self.away:
            raise StorageUnavailable
        assert self.ledger.numbers is not None
        return self.ledger.numbers

    async def numbers(self) -> Sequence[PoolNumber]:
        return tuple(self._all)

    async def add(self, number: PoolNumber) -> PoolNumber:
        if any(one.number == number.number or one.id == number.id for one in self._all):
            raise in_pool()
        index = self._last_index.get(number.tenant, 0) + 1
        self._last_index[number.tenant] = index
        added = replace(number, index=index)
        self._all.append(added)
        return added

    async def change(self, number: PoolNumber) -> PoolNumber | None:
        place = self._find(number.tenant, number.id)
        if place is None:
            return None
        before = self._all[place]
        if number.use is not before.use:
            self._check_idle(before)
        changed = replace(number, number=before.number, index=before.index)
        self._all[place] = changed
        return changed

    async def remove(self, tenant: TenantId, number_id: str) -> PoolNumber | None:
        place = self._find(tenant, number_id)
        if place is None:
            return None
        self._check_idle(self._all[place])
        return self._all.pop(place)

    async def loads(self, tenant: TenantId) -> Sequence[NumberLoad]:
        mine = sorted((one for one in self._all if one.tenant == tenant), key=lambda one: one.index)
        return tuple(NumberLoad(one, *_counted(self._rows(one))) for one in mine)

    async def busiest(self, tenant: TenantId, limit: int) -> Sequence[Busiest]:
        rows: dict[str, list[Row]] = {}
        for row in self.ledger.rows:
            if row.held and row.door.tenant == tenant:
                rows.setdefault(row.door.key, []).append(row)
        found = [Busiest(key, *_counted(mine)) for key, mine in rows.items()]
        return sorted(found, key=lambda one: (-one.live - one.quarantined, one.key))[:limit]

    async def opened_since(self, tenant: TenantId, since: float) -> int:
        return self.ledger.opened_since(tenant, since)

    def _find(self, tenant: TenantId, number_id: str) -> int | None:
        mine = (place for place, one in enumerate(self._all) if (one.tenant, one.id) == (tenant, number_id))
        return next(mine, None)

    def _rows(self, number: PoolNumber) -> list[Row]:
        rows = (row for row in self.ledger.rows if row.held and row.door.tenant == number.tenant)
        return [row for row in rows if row.door.proxy == number.number]

    def _check_idle(self, number: PoolNumber) -> None:
        if self._rows(number):
            raise in_use()


def _counted(rows: Sequence[Row]) -> tuple[int, int]:
    live = sum(row.live for row in rows)
    return live, len(rows) - live


@dataclass(slots=True, eq=False)
class MemoryInteractions:
    """Fits ``proxy_pool.ports.InteractionBook``."""

    away: bool = False
    told: list[tuple[Interaction, SessionEvent]] = field(default_factory=list)
    _kept: dict[str, Interaction] = field(default_factory=dict)
    _forgotten: set[str] = field(default_factory=set)

    async def keep(self, interaction: Interaction, events: Sequence[SessionEvent]) -> None:
        self._answer()
        before = self._kept.get(interaction.id)
        if interaction.id in self._forgotten:
            return
        if before is not None and before.sequence >= interaction.sequence:
            return
        self._kept[interaction.id] = interaction
        self.told.extend((interaction, event) for event in events)

    async def get(self, tenant: TenantId, interaction_id: str) -> Interaction | None:
        self._answer()
        found = self._kept.get(interaction_id)
        return found if found is not None and found.tenant == tenant else None

    async def page(
        self, tenant: TenantId, session_id: SessionId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[Interaction], str | None, int]:
        self._answer()
        found = [one for one in self._kept.values() if (one.tenant, one.session) == (tenant, session_id)]
        found.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        items, more = cut(found, limit, cursor)
        return tuple(items), more, len(found)

    async def forget(self, tenant: TenantId, interaction_id: str) -> bool:
        if await self.get(tenant, interaction_id) is None:
            return False
        del self._kept[interaction_id]
        self._forgotten.add(interaction_id)
        return True

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable


@dataclass(slots=True, eq=False)
class MemorySettings:
    """Fits ``proxy_pool.ports.SettingsBook``."""

    away: bool = False
    _kept: dict[TenantId, ServiceSettings] = field(default_factory=dict)

    async def get(self, tenant: TenantId) -> ServiceSettings | None:
        self._answer()
        return self._kept.get(tenant)

    async def put(self, tenant: TenantId, settings: ServiceSettings) -> None:
        self._answer()
        self._kept[tenant] = settings

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable
