"""The service is killed at every numbered point of opening a session, and inside changing and closing one.

Another process takes over what is stored, on the same SQLite file and the same Redis: what was acknowledged
is there, what was not is there whole or not at all, and nobody is connected wrongly at any time.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.masking_interactions import SqlInteractions
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from gateway.storage.masking_settings import SqlSettings
from proxy_pool.core.opening import keys_of
from proxy_pool.core.packed import State, milliseconds, passed, state_of
from proxy_pool.core.reach import Reached, reach
from proxy_pool.core.session import Channel, Session
from proxy_pool.ports import PENDING_S
from proxy_pool.service import Books, Masking
from proxy_pool.settings_memory import SettingsMemory
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import open_redis
from tests.contract.proxy_pool.dying_service import QUARANTINE_S, SECRET, sid, to_person, wanted
from tests.contract.proxy_pool.index_rig import CALM, Server, until
from tests.contract.proxy_pool.service_rig import pages_of
from tests.rig.masking import TENANT, Hand, Service, person, proxy, service

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

T0 = 1_800_000_000.0
NUMBERS = 3


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "redis")
    await server.start()
    yield server
    await server.kill()


@dataclass
class Died:
    """What a process left behind: its stores, and what it had acknowledged."""

    database: str
    server: Server
    told: list[str]


async def die(database: str, server: Server, verb: str, point: str) -> Died:
    """A process that opens session 0 and dies at this point of this verb."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contract.proxy_pool.dying_service"),
        *("--database", database, "--redis", server.url, "--verb", verb, "--point", point),
        *("--at", str(T0), "--numbers", str(NUMBERS)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        told, complaint = await process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it died elsewhere: {complaint.decode()[-2000:]}"
    lines = told.decode().splitlines()
    assert "opened 0" in lines
    return Died(database, server, lines)


@dataclass
class Heir:
    """The process that takes over."""

    made: Service
    masking: Masking
    index: RedisIndex
    filling: asyncio.Task[None] | None = None

    async def rebuild(self) -> None:
        """From here on the index answers too."""
        self.filling = asyncio.create_task(self.index.run(lambda: pages_of(self.made.ledger)))
        await until(lambda: self.index.trusted)

    async def dials(self, caller: int, dialled: int) -> tuple[str, int, int] | None:
        """The session that somebody is let into, the seat, and who is called; None: nobody."""
        found = await self.made.sessions.resolve(TENANT, person(caller).reveal(), proxy(dialled))
        if found is None:
            return None
        session, seat = found
        way = reach(session, seat, Channel.VOICE, self.made.hand.at)
        assert isinstance(way, Reached)
        return session.id, seat, next(n for n in range(1, 9) if person(n) == way.target)

    async def everybody(self) -> dict[tuple[int, int], tuple[str, int, int]]:
        """Every door that lets anybody in, of all persons and all numbers."""
        found = {}
        for caller in range(1, 5):
            for dialled in range(1, NUMBERS + 1):
                reached = await self.dials(caller, dialled)
                if reached is not None:
                    found[caller, dialled] = reached
        return found


@asynccontextmanager
async def heir_of(died: Died) -> AsyncIterator[Heir]:
    hand = Hand(at=T0)
    database = await Database.open(died.database)
    ledger, book = SqlLedger(database, Cursors(SECRET)), SqlPoolBook(database)
    redis = open_redis(died.server.url)
    index = RedisIndex(redis, SECRET, now=hand.now, patience=CALM)
    made = await service(index, ledger=ledger, book=book, hand=hand, numbers=0)
    await made.pool.refresh()
    books = Books(ledger, book, SqlInteractions(database, Cursors(SECRET)))
    settings = SettingsMemory(SqlSettings(database), hand.now)
    masking = Masking(made.sessions, books, made.pool, settings, hand.now)
    heir = Heir(made, masking, index)
    try:
        yield heir
    finally:
        await made.sessions.settle()
        if heir.filling is not None:
            heir.filling.cancel()
            await asyncio.gather(heir.filling, return_exceptions=True)
        await redis.aclose()
        await database.close()


def doors(*sessions: Session) -> dict[tuple[int, int], tuple[str, int, int]]:
    """Who must be let in, as ``Heir.everybody`` tells it: the doors of these pairs and no others."""
    found = {}
    for session in sessions:
        numbers = {one.seat: one for one in session.participants}
        for key, number, seat in keys_of(session):
            caller = next(n for n in range(1, 9) if person(n).reveal() == key)
            dialled = next(n for n in range(1, NUMBERS + 1) if proxy(n) == number)
            target = next(n for n in range(1, 9) if person(n) == numbers[1 - seat].party)
            found[caller, dialled] = (session.id, seat, target)
    return found


async def whole(heir: Heir, count: int) -> Session | None:
    """A session and exactly its bindings, or neither."""
    session = await heir.made.ledger.get(TENANT, sid(count))
    bindings = await heir.made.ledger.bindings_of(TENANT, sid(count))
    if session is None:
        assert not bindings
        return None
    if session.live:
        live = {(one.door.key, one.door.proxy) for one in bindings if one.entry.hold.name == "LIVE"}
        assert live == {(key, number) for key, number, _ in keys_of(session)}
    return session


async def agrees(heir: Heir, *sessions: Session) -> None:
    """Look-ups are right at once, while the index is not trusted, and once it is."""
    assert await heir.everybody() == doors(*sessions)
    await heir.rebuild()
    hits = heir.index.counts.hits
    assert await heir.everybody() == doors(*sessions)
    assert heir.index.counts.hits >= hits + len(doors(*sessions)), "the index answered"


# ------------------------------------------------------------ opening


@pytest.mark.parametrize("point", ["2", "3", "4"])
async def test_killed_while_opening(point: str, masking_file: str, redis_server: Server) -> None:
    died = await die(masking_file, redis_server, "open", point)
    async with heir_of(died) as heir:
        first, second = await whole(heir, 0), await whole(heir, 1)
        assert first is not None
        assert (second is not None) == (point != "2")
        if "open done" in died.told:
            assert second is not None
        await agrees(heir, *(one for one in (first, second) if one is not None))
        again = await heir.masking.open(TENANT, wanted(1, 3), session_id=sid(1), again=True)
        if second is not None:
            assert again == second, "a retried request gets the same numbers"
        await heir.made.sessions.settle()
        assert await heir.everybody() == doors(first, again)


async def test_the_reservations_of_the_dead_stand_in_nobodys_way(
    masking_file: str, redis_server: Server
) -> None:
    died = await die(masking_file, redis_server, "open", "2")
    async with Redis.from_url(redis_server.url) as redis:
        left = [
            value for key in await redis.keys("pl:[0-9]*") for value in (await redis.hgetall(key)).values()
        ]
    reserved = [value for value in left if state_of(value) is State.RESERVED]
    assert len(reserved) == 2, "one for each side"
    assert all(passed(value, milliseconds(T0 + PENDING_S)) for value in reserved)
    async with heir_of(died) as heir:
        # why: with what person 1 has in session 0, these are all the numbers there are
        for count, other in ((2, 3), (3, 4)):
            await heir.made.sessions.open(TENANT, wanted(1, other), sid(count))
        await heir.rebuild()
        for one in range(1, 5):
            key = person(one).reveal()
            assert await heir.index.taken(TENANT, key, T0) == await heir.made.ledger.held(TENANT, key, T0)


# ------------------------------------------------------------ changing


@pytest.mark.parametrize("point", ["suspended", "2", "3", "decided", "told"])
async def test_killed_while_people_change(point: str, masking_file: str, redis_server: Server) -> None:
    died = await die(masking_file, redis_server, "change", point)
    async with heir_of(died) as heir:
        session = await whole(heir, 0)
        assert session is not None
        happened = point in ("3", "decided", "told")
        assert session.participants[1].party == person(3 if happened else 2)
        assert session.version == (2 if happened else 1)
        await agrees(heir, session)
        changed = await heir.made.sessions.change(TENANT, sid(0), to_person(3))
        await heir.made.sessions.settle()
        assert changed.participants[0] == session.participants[0]
        assert await heir.everybody() == doors(changed)


# ------------------------------------------------------------ closing


@pytest.mark.parametrize("point", ["suspended", "decided", "told"])
async def test_killed_while_closing(point: str, masking_file: str, redis_server: Server) -> None:
    died = await die(masking_file, redis_server, "close", point)
    async with heir_of(died) as heir:
        session = await whole(heir, 0)
        assert session is not None
        assert session.live == (point == "suspended")
        await agrees(heir, *([session] if session.live else []))
        closed = await heir.made.sessions.close(TENANT, sid(0))
        assert not closed.live
        assert await heir.everybody() == {}
        held = await heir.made.ledger.held(TENANT, person(1).reveal(), T0)
        assert len(held) == 1, "its number rests"
        heir.made.hand.at = T0 + QUARANTINE_S
        assert not await heir.made.ledger.held(TENANT, person(1).reveal(), heir.made.hand.at)
