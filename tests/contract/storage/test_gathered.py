"""Reads of many tasks in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from gateway.storage.database import Database
from gateway.storage.gathered import GatheredReads
from gateway.storage.hot import Hot

pytestmark = pytest.mark.contract

TWICE = Hot("SELECT :n * 2")
COUNT = Hot("SELECT count(*) FROM things WHERE n >= :n")


class Counting(Database):
    """Knows how many reads it made."""

    reads = 0

    async def read(self, *args: object, **more: object) -> object:  # type: ignore[override]
        self.reads += 1
        return await super().read(*args, **more)  # type: ignore[arg-type]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Counting]:
    opened = await Counting.open(f"sqlite:///{tmp_path / 'few.db'}")
    assert isinstance(opened, Counting)
    await opened.write(lambda conn: conn.execute(text("CREATE TABLE things (n INTEGER)")))
    yield opened
    await opened.close()


async def test_each_asker_gets_the_answer_to_its_own_question(database: Counting) -> None:
    reads = GatheredReads(database)
    found = await asyncio.gather(*(reads.rows((TWICE, TWICE), {"n": n}) for n in range(1000)))
    assert [[tuple(row) for row in rows] for rows in found] == [[(2 * n,), (2 * n,)] for n in range(1000)]
    assert database.reads <= 10


async def test_an_answer_holds_every_write_that_was_finished_when_it_was_asked_for(
    database: Counting,
) -> None:
    reads = GatheredReads(database)

    async def write_and_ask(n: int) -> None:
        def add(conn: Connection) -> None:
            conn.execute(text("INSERT INTO things VALUES (:n)"), {"n": n})

        await database.write(add)
        assert (await reads.rows((COUNT,), {"n": n}))[0][0] >= 1

    await asyncio.gather(*(write_and_ask(n) for n in range(200)))


async def test_who_gives_up_waiting_takes_nobody_along(database: Counting) -> None:
    reads = GatheredReads(database)
    tasks = [asyncio.create_task(reads.rows((TWICE,), {"n": n})) for n in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found.pop(3), asyncio.CancelledError)
    assert [rows[0][0] for rows in found if isinstance(rows, list)] == [0, 2, 4, 8, 10, 12, 14, 16, 18]


async def test_everybody_hears_of_a_read_that_failed_and_may_ask_again(database: Counting) -> None:
    reads = GatheredReads(database)
    broken = Hot("SELECT n FROM nothing_like_it WHERE n = :n")
    failed = await asyncio.gather(
        *(reads.rows((broken,), {"n": n}) for n in range(3)), return_exceptions=True
    )
    assert [isinstance(one, Exception) for one in failed] == [True] * 3
    assert (await reads.rows((TWICE,), {"n": 4}))[0][0] == 8
