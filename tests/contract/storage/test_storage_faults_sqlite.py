"""SQLite under fire: locked, full, overloaded, killed.

Nothing acknowledged is lost, nothing refused is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from gateway.storage import sqlite as engine
from gateway.storage.database import DEADLINE_S, Database
from gateway.storage.errors import WriteOutcomeUnknown
from gateway.storage.sqlite_link import raw_of
from gateway.storage.tables import DAILY_USAGE
from telephony.errors import StorageUnavailable
from tests.contract.storage.fresh import PATIENCE_S
from tests.contract.storage.other_process import killed_after

pytestmark = pytest.mark.contract


@pytest.fixture
async def database(sqlite_file: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite:///{sqlite_file}")
    yield opened
    await opened.close()


@contextlib.contextmanager
def locked_elsewhere(path: Path) -> Iterator[None]:
    """Another process holds the write lock inside this block."""
    command = [sys.executable, "-m", "tests.contract.storage.locking_process", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            other.stdin.close()
            other.wait(PATIENCE_S)


def row(number: int) -> dict[str, object]:
    return {"tenant_id": "t", "day": str(number), "seconds": number}


def put(number: int) -> Callable[[Connection], None]:
    return lambda conn: conn.execute(insert(DAILY_USAGE), row(number)) and None


async def stored(database: Database) -> set[int]:
    numbers = select(DAILY_USAGE.c.seconds)
    return set(await database.read(lambda conn: conn.execute(numbers).scalars().all()))


async def test_a_locked_database_is_unavailable_within_the_deadline_and_then_again_available(
    database: Database, sqlite_file: Path
) -> None:
    await database.write(put(1))
    with locked_elsewhere(sqlite_file):
        began = time.monotonic()
        writes = [database.write(put(n), deadline_s=0.4) for n in (2, 3)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        took = time.monotonic() - began
        assert [type(outcome) for outcome in outcomes] == [StorageUnavailable, StorageUnavailable]
        assert 0.4 <= took < DEADLINE_S, "at their own deadline, and not at everybody's"
        assert await stored(database) == {1}, "reading goes on"
    await database.write(put(4))
    assert await stored(database) == {1, 4}, "what was refused is not written later"


async def test_a_write_waits_for_a_lock_that_goes_away_in_time(database: Database, sqlite_file: Path) -> None:
    with locked_elsewhere(sqlite_file):
        write = asyncio.create_task(database.write(put(1), deadline_s=PATIENCE_S))
        with pytest.raises(StorageUnavailable):
            await database.write(put(2), deadline_s=0.05)
    await write
    assert await stored(database) == {1}


async def test_a_write_cancelled_while_it_waits_is_not_made(database: Database, sqlite_file: Path) -> None:
    with locked_elsewhere(sqlite_file):
        write = asyncio.create_task(database.write(put(1), deadline_s=PATIENCE_S))
        with pytest.raises(StorageUnavailable):
            await database.write(put(2), deadline_s=0.05)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    await database.write(put(3))
    assert await stored(database) == {3}


async def test_more_waiting_writes_than_there_is_room_for_are_refused_at_once(
    database: Database, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAITING_MAX", 5)
    with locked_elsewhere(sqlite_file):
        works = [database.write(put(n), deadline_s=PATIENCE_S) for n in range(20)]
        refused, waiting = await asyncio.wait([asyncio.create_task(work) for work in works], timeout=0.2)
        assert len(waiting) in (5, 6), "five in the queue, and the one that the writer tries"
        assert {type(write.exception()) for write in refused} == {StorageUnavailable}
    await asyncio.gather(*waiting)
    assert len(await stored(database)) == len(waiting)


async def test_a_work_under_way_at_its_deadline_has_an_unknown_outcome(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(conn: Connection) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        put(1)(conn)

    write = asyncio.create_task(database.write(slow, deadline_s=0.05))
    await asyncio.sleep(0)  # one turn of the loop: it is in the queue
    assert begun.wait(PATIENCE_S), "the loop stands still: no deadline passes before the work is under way"
    with pytest.raises(WriteOutcomeUnknown):
        await write
    go_on.set()
    await database.write(put(2))
    assert await stored(database) == {1, 2}


async def test_waiting_writes_share_one_commit_and_each_fails_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BATCH_SECONDS", 60.0)
    go_on, log = threading.Event(), list[str]()

    def hold_up(conn: Connection) -> None:
        raw_of(conn).set_trace_callback(log.append)
        assert go_on.wait(PATIENCE_S)

    def fail(conn: Connection) -> None:
        put(10_000)(conn)
        raise LookupError("on purpose")

    works = [hold_up, *(fail if n % 10 == 0 else put(n) for n in range(1, 101))]
    writes = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0)  # one turn of the loop: all of them are in the queue
    go_on.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, LookupError)] == list(
        range(10, 101, 10)
    )
    assert await stored(database) == {n for n in range(1, 101) if n % 10}
    assert log.count("COMMIT") <= 2  # one, or two where the first was taken before the others were there


@contextlib.asynccontextmanager
async def traced(database: Database) -> AsyncIterator[list[str]]:
    """What the writer's connection is told inside this block."""
    told = list[str]()
    await database.write(lambda conn: raw_of(conn).set_trace_callback(told.append))
    told.clear()
    yield told
    await database.write(lambda conn: raw_of(conn).set_trace_callback(None))


@contextlib.contextmanager
def all_handed_over_at_once() -> Iterator[None]:
    """The loop is not interrupted while it fills the writer's queue: an idle writer commits what it finds."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(PATIENCE_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


async def test_patient_writes_share_the_commit_of_one_that_cannot_wait_and_come_before_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_S", 60.0)
    monkeypatch.setattr(engine, "BATCH_SECONDS", 60.0)
    order = list[int]()

    def note(number: int) -> Callable[[Connection], None]:
        def work(conn: Connection) -> None:
            put(number)(conn)
            order.append(number)

        return work

    async with traced(database) as told:
        patient = [asyncio.create_task(database.write(note(n), patient=True)) for n in (1, 2)]
        await asyncio.sleep(0)  # one turn of the loop: both linger
        with all_handed_over_at_once():
            await database.write(note(3))
        await asyncio.gather(*patient)
    assert order == [1, 2, 3]
    assert told.count("COMMIT") == 1
    assert await stored(database) == {1, 2, 3}


async def test_a_patient_write_waits_for_company_only_a_moment(database: Database) -> None:
    await database.write(put(1), patient=True)
    assert await stored(database) == {1}


async def test_closing_writes_what_lingers_and_a_patient_write_can_be_withdrawn(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_S", 60.0)
    database = await Database.open(f"sqlite:///{sqlite_file}")
    kept, withdrawn = (asyncio.create_task(database.write(put(n), patient=True)) for n in (1, 2))
    await asyncio.sleep(0)
    withdrawn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await withdrawn
    await database.close()
    await kept
    again = await Database.open(f"sqlite:///{sqlite_file}")
    assert await stored(again) == {1}
    await again.close()


async def test_more_patient_writes_than_there_is_room_for_are_refused_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_S", 60.0)
    monkeypatch.setattr(engine, "WAITING_MAX", 5)
    writes = [asyncio.create_task(database.write(put(n), patient=True)) for n in range(8)]
    refused, _ = await asyncio.wait(writes, timeout=0.1)
    assert [type(write.exception()) for write in refused] == [StorageUnavailable] * 3
    await database.write(put(100))
    assert await stored(database) == {0, 1, 2, 3, 4, 100}


def size_of(file: Path) -> int:
    return file.stat().st_size


async def test_what_was_written_reaches_the_database_file_without_another_write(
    database: Database, sqlite_file: Path
) -> None:
    before = size_of(sqlite_file)
    rows = [{"tenant_id": "x" * 4000, "day": str(n), "seconds": n} for n in range(100)]
    await database.write(lambda conn: conn.execute(insert(DAILY_USAGE), rows) and None)
    async with asyncio.timeout(PATIENCE_S):
        while size_of(sqlite_file) < before + 400_000:  # noqa: ASYNC110 # why: a file tells nobody
            await asyncio.sleep(0.01)


async def test_a_checkpoint_that_fails_is_made_up_for(
    database: Database, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, dial = list[str](), engine.connect

    def refuse_once(path: str, synchronous: str, *, query_only: bool) -> Connection:
        if threading.current_thread().name == "storage-checkpointer" and not tried:
            tried.append(path)
            raise sqlite3.OperationalError("on purpose")
        return dial(path, synchronous, query_only=query_only)

    monkeypatch.setattr(engine, "connect", refuse_once)
    before, number = size_of(sqlite_file), 0
    async with asyncio.timeout(PATIENCE_S):
        while size_of(sqlite_file) < before + 400_000:
            number += 1
            row = {"tenant_id": "x" * 400_000, "day": str(number), "seconds": 1}
            await database.write(lambda conn, row=row: conn.execute(insert(DAILY_USAGE), row) and None)
            await asyncio.sleep(0.05)
    assert tried == [str(sqlite_file)]


async def test_a_full_disk_fails_the_write_and_is_survived(database: Database) -> None:
    def pages(conn: Connection, most: int) -> int:
        raw = raw_of(conn)
        used = raw.execute("PRAGMA page_count").fetchone()[0]
        return int(raw.execute(f"PRAGMA max_page_count={used + most}").fetchone()[0])

    await database.write(put(1))
    await database.write(lambda conn: pages(conn, 4))
    much = {"tenant_id": "x" * 200_000, "day": "1", "seconds": 1}
    with pytest.raises(StorageUnavailable):
        await database.write(lambda conn: conn.execute(insert(DAILY_USAGE), much) and None)
    await database.write(lambda conn: pages(conn, 1_000))
    await database.write(put(2))
    assert await stored(database) == {1, 2}


async def test_a_transaction_that_sqlite_undid_whole_fails_everybody_in_it(database: Database) -> None:
    """As SQLITE_IOERR and SQLITE_NOMEM do: the savepoints go with it."""
    go_on = threading.Event()

    def undone(conn: Connection) -> None:
        assert go_on.wait(PATIENCE_S)
        raw_of(conn).execute("ROLLBACK")

    writes = [asyncio.create_task(database.write(work)) for work in (put(1), undone, put(2))]
    await asyncio.sleep(0)  # one turn of the loop: all of them are in the queue
    go_on.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(outcomes[1], StorageUnavailable)
    kept = {n for n, outcome in ((1, outcomes[0]), (2, outcomes[2])) if outcome is None}
    assert await stored(database) == kept
    await database.write(put(3))
    assert await stored(database) == kept | {3}


async def test_closing_finishes_what_was_accepted_and_refuses_the_rest(sqlite_file: Path) -> None:
    others = set(threading.enumerate())
    database = await Database.open(f"sqlite:///{sqlite_file}")
    writes = [asyncio.create_task(database.write(put(n))) for n in range(100)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*writes)
    for refused in (database.write(put(200)), database.read(lambda conn: None)):
        with pytest.raises(StorageUnavailable):
            await refused
    with contextlib.closing(sqlite3.connect(sqlite_file)) as link:
        assert link.execute("SELECT count(*) FROM daily_usage").fetchone() == (100,)
    left = set(threading.enumerate()) - others
    assert not [thread for thread in left if thread.name.startswith("storage-")]


async def test_closing_a_locked_database_does_not_hang(sqlite_file: Path) -> None:
    database = await Database.open(f"sqlite:///{sqlite_file}")
    with locked_elsewhere(sqlite_file):
        write = asyncio.create_task(database.write(put(1), deadline_s=PATIENCE_S))
        await asyncio.sleep(0)
        await asyncio.wait_for(database.close(), PATIENCE_S / 2)
        with pytest.raises(StorageUnavailable):
            await write


async def test_a_new_file_and_its_log_are_for_their_owner_alone(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path}/patchbay.db")
    await database.migrate()
    await database.write(put(1))
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path)}
    await database.close()
    assert set(modes.values()) == {0o600}
    assert {"patchbay.db", "patchbay.db-wal"} <= set(modes)


@pytest.mark.parametrize("content", [None, b"this is not a database, however long it may be" * 50])
async def test_a_file_that_cannot_be_a_database_is_unavailable(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "missing" / "patchbay.db"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    with pytest.raises(StorageUnavailable):
        await Database.open(f"sqlite:///{path}")


@pytest.mark.parametrize("acknowledged", [1, 100, 2_000])
async def test_what_was_acknowledged_outlives_a_kill(sqlite_file: Path, acknowledged: int) -> None:
    url = f"sqlite:///{sqlite_file}"
    numbers = await asyncio.to_thread(killed_after, url, acknowledged)
    database = await Database.open(url)
    assert numbers <= await stored(database)
    await database.write(put(0))
    checked = await database.read(lambda conn: raw_of(conn).execute("PRAGMA integrity_check").fetchone())
    assert checked == ("ok",)
    await database.close()
