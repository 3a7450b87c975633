"""PostgreSQL under fire: gone, back, silent, busy with a lock, in a deadlock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Connection, insert, make_url, select, text, update
from sqlalchemy.util import await_only

from gateway.storage import postgres as engine
from gateway.storage.database import DEADLINE_S, Database
from gateway.storage.errors import WriteOutcomeUnknown
from gateway.storage.postgres import POOL_SIZE
from gateway.storage.tables import DAILY_USAGE
from telephony.errors import StorageUnavailable
from tests.contract.storage import postgres_server
from tests.contract.storage.fresh import PATIENCE_S, open_empty
from tests.contract.storage.other_process import killed_after

pytestmark = pytest.mark.contract


@pytest.fixture
async def database(migrated_postgres: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(engine, "CONNECT_S", PATIENCE_S)
    opened = await open_empty(migrated_postgres)
    yield opened
    await opened.close()


def put(number: int) -> Callable[[Connection], None]:
    row = {"tenant_id": "t", "day": str(number), "seconds": number}
    return lambda conn: conn.execute(insert(DAILY_USAGE), row) and None


async def stored(database: Database) -> set[int]:
    numbers = select(DAILY_USAGE.c.seconds)
    return set(await database.read(lambda conn: conn.execute(numbers).scalars().all()))


async def meet(database: Database, count: int) -> None:
    """Have so many connections in use at once."""
    barrier = asyncio.Barrier(count)

    def all_here(conn: Connection) -> None:
        conn.execute(text("SELECT 1"))
        await_only(barrier.wait())

    await asyncio.gather(*(database.read(all_here, deadline_s=PATIENCE_S) for _ in range(count)))


class Pipe:
    """A way to the server that can fall silent: bytes are taken and never passed on."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def silence(self) -> None:
        self._open.clear()

    def speak(self) -> None:
        self._open.set()

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65_536):
                await self._open.wait()
                sink.write(chunk)
        except ConnectionError:
            return
        finally:
            sink.close()


async def test_a_lost_server_is_unavailable_and_comes_back(
    postgres: postgres_server.PostgresServer, database: Database
) -> None:
    """Every connection in the pool is dead afterwards; the next write simply takes a new one."""
    await meet(database, 5)
    await asyncio.to_thread(postgres.stop_server)
    await asyncio.to_thread(postgres.start_server)
    await database.write(put(1_000), deadline_s=PATIENCE_S)
    assert await stored(database) == {1_000}


async def test_a_server_that_is_down_is_unavailable_at_once(
    postgres: postgres_server.PostgresServer, migrated_postgres: str, database: Database
) -> None:
    await asyncio.to_thread(postgres.stop_server)
    try:
        began = time.monotonic()
        for attempt in (
            database.write(put(1_001), deadline_s=PATIENCE_S),
            database.read(lambda conn: None, deadline_s=PATIENCE_S),
            Database.open(migrated_postgres),
        ):
            with pytest.raises(StorageUnavailable):
                await attempt
        assert time.monotonic() - began < PATIENCE_S / 2, "no deadline was waited for"
    finally:
        await asyncio.to_thread(postgres.start_server)
    await database.write(put(1_002), deadline_s=PATIENCE_S)
    assert await stored(database) == {1_002}


async def test_a_silent_server_is_unavailable_within_the_deadline(
    postgres: postgres_server.PostgresServer, migrated_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONNECT_S", PATIENCE_S)
    pipe = Pipe(postgres.port)
    await pipe.start()
    url = make_url(migrated_postgres).set(port=pipe.port).render_as_string(hide_password=False)
    database = await open_empty(url)
    await database.write(put(1))
    pipe.silence()
    began = time.monotonic()
    outcomes = await asyncio.gather(
        *(database.write(put(n), deadline_s=0.5) for n in range(2, 6)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    assert 0.5 <= time.monotonic() - began < DEADLINE_S, "at their own deadline, and not at everybody's"
    pipe.speak()
    await database.write(put(9), deadline_s=PATIENCE_S)
    assert await stored(database) >= {1, 9}
    await database.close()
    await pipe.stop()


async def test_waiting_for_a_row_beyond_the_deadline_gives_the_connection_back(database: Database) -> None:
    await database.write(put(1))
    await meet(database, POOL_SIZE)
    change = update(DAILY_USAGE).values(seconds=2)
    held, let_go = asyncio.Event(), asyncio.Event()

    def hold(conn: Connection) -> None:
        conn.execute(change)
        held.set()
        await_only(let_go.wait())

    holder = asyncio.create_task(database.write(hold, deadline_s=PATIENCE_S))
    await held.wait()
    waiters = [
        database.write(lambda conn: conn.execute(change) and None, deadline_s=0.2)
        for _ in range(POOL_SIZE - 1)
    ]
    outcomes = await asyncio.gather(*waiters, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    let_go.set()
    await holder
    await meet(database, POOL_SIZE)
    assert await stored(database) == {2}


async def test_of_two_in_a_deadlock_both_come_through(database: Database) -> None:
    await database.write(put(1))
    await database.write(put(2))
    runs: list[str] = []
    both_hold_one = asyncio.Barrier(2)

    def crossed(name: str, first: int, second: int) -> Callable[[Connection], None]:
        def work(conn: Connection) -> None:
            runs.append(name)
            for number in (first, second):
                mine = DAILY_USAGE.c.day == str(number)
                conn.execute(update(DAILY_USAGE).where(mine).values(seconds=DAILY_USAGE.c.seconds + 10))
                if number == first and runs.count(name) == 1:
                    await_only(both_hold_one.wait())

        return work

    works = (crossed("a", 1, 2), crossed("b", 2, 1))
    await asyncio.gather(*(database.write(work, deadline_s=PATIENCE_S) for work in works))
    assert await stored(database) == {21, 22}
    assert len(runs) == 3, "one of them was run again"


async def test_a_connection_lost_in_mid_commit_has_an_unknown_outcome(database: Database) -> None:
    """A deferred trigger that ends its own backend stands for a server that dies while it commits."""
    trigger = """
        CREATE OR REPLACE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
    """
    fire = (
        "CREATE CONSTRAINT TRIGGER die_at_commit AFTER INSERT ON daily_usage "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()"
    )
    await database.write(lambda conn: conn.execute(text(trigger)) and conn.execute(text(fire)) and None)
    try:
        with pytest.raises(WriteOutcomeUnknown):
            await database.write(put(1))
    finally:
        await database.write(lambda conn: conn.execute(text("DROP FUNCTION die() CASCADE")) and None)
    assert await stored(database) == set()


async def test_what_was_acknowledged_outlives_a_kill_of_the_writer(
    database: Database, migrated_postgres: str
) -> None:
    numbers = await asyncio.to_thread(killed_after, migrated_postgres, 200)
    assert len(numbers) >= 200
    assert numbers <= await stored(database)
