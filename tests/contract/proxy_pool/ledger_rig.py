"""The masking books of every backend: memory, a SQLite file, PostgreSQL; and what the tests open in them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from sqlalchemy import select

from dialplan.fakes import ManualClock
from gateway.masking_announcer import MaskingAnnouncer
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.masking_interactions import SqlInteractions
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from gateway.storage.masking_settings import SqlSettings
from gateway.storage.outbox import SqlOutbox
from gateway.storage.tables_webhooks import WEBHOOK_EVENTS
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.webhooks.core.signing import make_secret
from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.opening import bindings_of, seat_people
from proxy_pool.core.session import Binding, Channel, CloseReason, Model, Session, SessionId, Terms
from proxy_pool.fakes import MemoryInteractions, MemoryLedger, MemoryPoolBook, MemorySettings
from proxy_pool.ports import InteractionBook, Ledger, PoolBook, SessionEvent, SettingsBook
from telephony.ids import TenantId
from telephony.numbers import E164
from tests.contract.storage.fresh import open_empty

OURS, THEIRS = TenantId("ten_ours"), TenantId("ten_theirs")
T0 = 1_770_000_000.0
ANN, BOB, CARL, DORA = (E164(f"+1415555{n}") for n in ("0001", "0002", "0003", "0004"))
ONE, TWO, THREE, SPARE = (E164(f"+1628555{n}") for n in ("0001", "0002", "0003", "0004"))
NUMBERS = (ONE, TWO, THREE)
INDEX = {number: place for place, number in enumerate(NUMBERS, start=1)}
OPENED = (SessionEvent("session.opened", T0),)
CLOSED = (SessionEvent("session.closed", T0 + 60),)
WEEK = 7 * 86_400.0
HOOK = "https://hooks.example/masking"
_COUNTER = count(1)


def ulid(number: int) -> str:
    return f"{number:026d}"


def session_id(number: int) -> SessionId:
    return SessionId(f"ses_{ulid(number)}")


@dataclass(slots=True)
class Books:
    """Everything masking keeps, in one backend. ``told`` lists what the world heard, oldest first."""

    ledger: Ledger
    pool: PoolBook
    interactions: InteractionBook
    settings: SettingsBook
    database: Database | None = None
    _memory: list[MemoryLedger | MemoryInteractions] = field(default_factory=list)

    async def told(self) -> list[str]:
        if self.database is None:
            return [event.type for book in self._memory for _, event in book.told]
        return [str(event["type"]) for event in await self.webhooks()]

    async def webhooks(self) -> list[dict[str, object]]:
        """The bodies that receivers get, in the order in which they were stored."""
        assert self.database is not None
        query = select(WEBHOOK_EVENTS.c.body).order_by(WEBHOOK_EVENTS.c.created_at, WEBHOOK_EVENTS.c.sequence)
        bodies = await self.database.read(lambda conn: conn.execute(query).scalars().all())
        return [json.loads(body) for body in bodies]

    async def fill_pool(self, tenant: TenantId = OURS, numbers: Sequence[E164] = NUMBERS) -> None:
        for number in numbers:
            await self.pool.add(pooled(number, tenant))


class Clock(ManualClock):
    """A moment later at every look, so that what is stored has an order."""

    def wall(self) -> datetime:
        self.advance(0.001)
        return super().wall()


def pooled(number: E164, tenant: TenantId = OURS, use: Use = Use.PAIRS) -> PoolNumber:
    return PoolNumber(
        id=f"num_{ulid(int(number.reveal()[-7:]))}",
        tenant=tenant,
        number=number,
        index=0,
        country="US",
        area="628",
        capabilities=frozenset(Channel),
        use=use,
    )


def pair(
    number: int, a: E164 = ANN, b: E164 = BOB, proxies: tuple[E164, E164] = (ONE, TWO), **changes: object
) -> Session:
    """A session of two people, with an own webhook, so that everything it tells is stored."""
    session = Session(
        id=session_id(number),
        tenant=OURS,
        model=Model.PAIR,
        terms=Terms(ttl_s=3600, expires_at=T0 + 7200),
        participants=seat_people([(a, proxies[0], ""), (b, proxies[1], "")]),
        created_at=T0,
        ends_at=T0 + 3600,
        webhook_url=HOOK,
    )
    return replace(session, **changes)  # type: ignore[arg-type]


def doors(session: Session) -> tuple[Binding, ...]:
    return bindings_of(session, INDEX)


async def opened(books: Books, session: Session) -> Session:
    await books.ledger.open(session, doors(session), OPENED)
    return session


async def close(books: Books, session: Session, at: float = T0 + 60, free_at: float = T0 + WEEK) -> None:
    assert await books.ledger.close(OURS, session.id, CloseReason.API, at, free_at, CLOSED) is not None


def in_memory() -> Books:
    ledger, interactions = MemoryLedger(), MemoryInteractions()
    pool = MemoryPoolBook(ledger)
    return Books(ledger, pool, interactions, MemorySettings(), _memory=[ledger, interactions])


def in_sql(database: Database) -> Books:
    clock, cursors = Clock(), Cursors(b"a secret of the tests, 32 bytes!!")
    book = SqlEndpointBook(clock.mono, lambda: make_secret(next(_COUNTER).to_bytes(32, "big")))
    sink = SqlOutbox(database, book, clock, lambda prefix: f"{prefix}_{ulid(next(_COUNTER))}")
    told = MaskingAnnouncer(sink, wake=lambda lanes: None)
    return Books(
        SqlLedger(database, cursors, told),
        SqlPoolBook(database),
        SqlInteractions(database, cursors, told),
        SqlSettings(database),
        database,
    )


@asynccontextmanager
async def open_books(url: str | None) -> AsyncIterator[Books]:
    """Books on an empty database that has all tables; None is memory."""
    if url is None:
        yield in_memory()
        return
    database = await open_empty(url)
    try:
        yield in_sql(database)
    finally:
        await database.close()
