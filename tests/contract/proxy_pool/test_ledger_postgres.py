"""Two transactions at one number at the same time: only PostgreSQL has them, SQLite has one writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import Connection, text

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.masking_events import NobodyTold
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from proxy_pool.core.session import Session
from proxy_pool.ports import PairTaken, SessionEvent
from telephony.errors import Conflict
from tests.contract.proxy_pool.ledger_rig import (
    ANN,
    CARL,
    NUMBERS,
    ONE,
    OPENED,
    OURS,
    THREE,
    doors,
    open_books,
    pair,
    pooled,
)

pytestmark = pytest.mark.contract

GATE = 42


class AtTheGate(NobodyTold):
    """Holds each transaction, right before its end, until the gate is open."""

    def session(self, conn: Connection, session: Session, events: Sequence[SessionEvent]) -> Sequence[str]:
        conn.execute(text(f"SELECT pg_advisory_xact_lock({GATE})"))
        return ()


class Gate:
    """An advisory lock of the server's, and a look at who waits for what."""

    def __init__(self, link: asyncpg.Connection) -> None:
        self._link = link

    async def waiting(self, number: int) -> None:
        """Returns when so many transactions wait for a lock."""
        async with asyncio.timeout(10):
            while await self._waiters() < number:  # noqa: ASYNC110 # why: the server tells nobody
                await asyncio.sleep(0.01)

    async def _waiters(self) -> int:
        return int(await self._link.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async def open(self) -> None:
        await self._link.execute(f"SELECT pg_advisory_unlock({GATE})")


@asynccontextmanager
async def closed_gate(url: str) -> AsyncIterator[Gate]:
    link = await asyncpg.connect(url.replace("+asyncpg", ""))
    await link.execute(f"SELECT pg_advisory_lock({GATE})")
    try:
        yield Gate(link)
    finally:
        await link.close()


@pytest.fixture
async def database(masking_postgres: str) -> AsyncIterator[Database]:
    async with open_books(masking_postgres) as books:
        await books.fill_pool(numbers=NUMBERS)
    opened = await Database.open(masking_postgres)
    yield opened
    await opened.close()


def ledger_of(database: Database) -> SqlLedger:
    return SqlLedger(database, Cursors(b"k" * 32), AtTheGate())


async def test_a_number_stays_while_a_session_is_being_opened_on_it(
    database: Database, masking_postgres: str
) -> None:
    ledger, pool = ledger_of(database), SqlPoolBook(database)
    async with closed_gate(masking_postgres) as gate:
        opening = asyncio.create_task(ledger.open(pair(1), doors(pair(1)), OPENED))
        await gate.waiting(1)
        removing = asyncio.create_task(pool.remove(OURS, pooled(ONE).id))
        await gate.waiting(2)
        await gate.open()
        await opening
        with pytest.raises(Conflict) as refused:
            await removing
    assert refused.value.code == "NUMBER_IN_USE"
    assert ONE in {number.number for number in await pool.numbers()}


async def test_a_door_that_is_being_taken_is_waited_for_and_then_refused(
    database: Database, masking_postgres: str
) -> None:
    ledger = ledger_of(database)
    rival = pair(2, ANN, CARL, (ONE, THREE))
    async with closed_gate(masking_postgres) as gate:
        first = asyncio.create_task(ledger.open(pair(1), doors(pair(1)), OPENED))
        await gate.waiting(1)
        second = asyncio.create_task(ledger.open(rival, doors(rival), OPENED))
        await gate.waiting(2)
        await gate.open()
        await first
        with pytest.raises(PairTaken) as refused:
            await second
    assert refused.value.binding == doors(pair(1))[0]
    assert await ledger.get(OURS, rival.id) is None
