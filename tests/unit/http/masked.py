"""Number masking behind the face: the real service on memory, and what a test does with it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dialplan.fakes import ManualClock
from gateway.http.ports_masking import TakenText
from gateway.masked_doors import Doors
from gateway.masked_dry_run import DryRun
from gateway.policy.destination import describe
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.masking_interactions import SqlInteractions
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from gateway.storage.masking_settings import SqlSettings
from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.core.session import SessionId
from proxy_pool.core.text import InboundText
from proxy_pool.desk import NewSession
from proxy_pool.drafts import Makers
from proxy_pool.fakes import MemoryInteractions, MemoryLedger, MemoryPoolBook, MemorySettings
from proxy_pool.no_index import NoIndex
from proxy_pool.placing import Placer
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.service import Books, Masking
from proxy_pool.sessions import Places, Sessions
from proxy_pool.settings_memory import SettingsMemory
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from tests.rig.masking import Copy

PROXY = "/api/v1/proxy"
SESSIONS = f"{PROXY}/sessions"


class TakenTexts:
    """Fits ``gateway.http.ports_masking.InboundTexts``. ``away`` makes it refuse."""

    def __init__(self) -> None:
        self.taken: list[tuple[TenantId, InboundText]] = []
        self.away = False

    async def take_in(self, tenant: TenantId, text: InboundText) -> TakenText:
        if self.away:
            raise StorageUnavailable
        self.taken.append((tenant, text))
        return TakenText(f"msg_{len(self.taken):026d}", "received")


class OneCarrier:
    """Fits ``gateway.http.ports_masking.Carriers``."""

    def knows(self, carrier: str) -> bool:
        return carrier == "trunkline"


@dataclass(eq=False)
class Masked:
    """The service and everything below it."""

    masking: Masking
    ledger: MemoryLedger
    book: MemoryPoolBook
    interactions: MemoryInteractions
    settings: MemorySettings
    texts: TakenTexts
    calls: DryRun
    carriers: OneCarrier = field(default_factory=OneCarrier)
    _count: Any = field(default_factory=itertools.count)

    async def interact(self, tenant: TenantId, session_id: str, at: float, **fields: Any) -> str:
        """An interaction of the session, put there behind the API's back; its id."""
        count = next(self._count)
        proxy = (await self.masking.get(tenant, SessionId(session_id))).participants[0].proxy
        plain = {
            "kind": Kind.VOICE,
            "from_seat": 0,
            "to_seat": 1,
            "subject": f"call_{count:026d}",
            "status": "completed",
            "outcome": "answered",
        }
        kept = Interaction(
            id=InteractionId(f"int_{count:026d}"),
            tenant=tenant,
            session=SessionId(session_id),
            proxy=proxy,
            created_at=at,
            sequence=1,
            **{**plain, **fields},
        )
        await self.interactions.keep(kept, ())
        return kept.id


def on_memory() -> tuple[Any, Any, Any, Any]:
    """Ledger, pool book, interactions and settings, gone with the test."""
    ledger = MemoryLedger()
    return ledger, MemoryPoolBook(ledger), MemoryInteractions(), MemorySettings()


def on_database(database: Database, cursors: Cursors) -> tuple[Any, Any, Any, Any]:
    """The same in SQL."""
    kept = SqlLedger(database, cursors), SqlPoolBook(database), SqlInteractions(database, cursors)
    return (*kept, SqlSettings(database))


def masked(clock: ManualClock, stores: tuple[Any, Any, Any, Any] | None = None) -> Masked:
    """A service with an empty pool, at the face's own time, on memory unless told otherwise."""
    dice = random.Random(7)
    ledger, book, interactions, kept = stores or on_memory()
    pool, settings = PoolMemory(book, dice.randrange), SettingsMemory(kept, clock.now)

    def digits(count: int) -> str:
        return "".join(str(dice.randrange(10)) for _ in range(count))

    makers = Makers(clock.now, digits, lambda number: describe(number.reveal()).region or "")
    index = NoIndex()
    placer = Placer(ledger, index, pool, clock.now)
    sessions = Sessions(
        Places(ledger, index, pool, Copy(), placer, makers, settings.of, lambda session: None)
    )
    masking = Masking(sessions, Books(ledger, book, interactions), pool, settings, clock.now)
    doors = Doors(
        masking,
        nobody_reads,
        clock.now,
        lambda prefix: prefix,
        ours=lambda number: pool.owner_of(number) is not None,
        emergency=lambda number: describe(number.reveal()).emergency,
    )
    calls = DryRun(doors, pool.owner_of)
    return Masked(masking, ledger, book, interactions, kept, TakenTexts(), calls)


async def nobody_reads(tenant: TenantId, wanted: Mapping[str, object]) -> NewSession:
    """A dry run opens no sessions."""
    raise AssertionError
