"""Redis killed, stopped, emptied, set back, or cut off from one of two processes: never a wrong entry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from proxy_pool.core.session import Hold
from proxy_pool.ports import IndexAway
from proxy_pool.store_redis import RedisIndex
from tests.contract.proxy_pool.index_rig import (
    CALM,
    MORTAL,
    NOW,
    SWIFT,
    TENANT,
    Books,
    Running,
    Server,
    binding,
    claim,
    door,
    first,
    session,
    until,
)

pytestmark = pytest.mark.contract

KEY = "+15550001111"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "r")
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
def books() -> Books:
    return Books()


async def hold_at(index: RedisIndex, number: int = 1) -> Hold | None:
    entry = await index.look_up(TENANT, KEY, number, NOW)
    return None if entry is None else entry.hold


async def is_away(index: RedisIndex) -> bool:
    """Away as the port says it: questions that choose raise, everything else is silent."""
    await index.put([binding(door(60))], NOW)
    await index.drop([door(61)])
    assert await hold_at(index) is None
    for asking in (index.reserve([claim(1)], NOW), index.taken(TENANT, KEY, NOW)):
        with pytest.raises(IndexAway):
            await asking
    return not index.trusted


async def test_without_a_server_it_is_away(tmp_path: Path, books: Books):
    running = Running(Server(tmp_path), books)
    index = await running.start_only()
    await index.suspend([door(1)], NOW)
    assert await is_away(index)
    await running.die()


async def test_killed_and_emptied_it_is_filled_from_the_ledger(server: Server, books: Books):
    owner = session()
    books.hold(binding(door(1), owner))
    async with Running(server, books) as index:
        assert await hold_at(index) is Hold.LIVE
        await server.kill()
        assert await hold_at(index) is None
        await index.suspend([door(1)], NOW)
        assert await is_away(index)
        closed = binding(door(1), owner, Hold.QUARANTINED, version=2)
        books.hold(closed)
        await index.put([closed], NOW)
        await server.start_from(None)
        await until(lambda: index.trusted)
        assert await hold_at(index) is Hold.QUARANTINED
        assert (index.counts.rebuilds, index.counts.suspected) == (2, 1)


async def test_set_back_to_before_a_suspension_it_gives_no_old_answer(server: Server, books: Books):
    """What a crash within the second, or a fail-over to a replica that lags, does."""
    owner = session()
    before, after = binding(door(1), owner), binding(door(1), owner, Hold.QUARANTINED, version=2)
    books.hold(before)
    running = Running(server, books)
    async with running as index:
        copy = await server.copy_data()
        await index.suspend([door(1)], NOW)
        books.hold(after)
        await index.put([after], NOW)
        await server.kill()
        await running.cut_off()  # until the old entry was seen: it would be cleared away at once
        await server.start_from(copy)
        async with Redis.from_url(server.url) as redis:
            live = index.key("1.0", TENANT, KEY)
            assert await redis.hexists(live, "1"), "the old entry is there again"
        running.let_through()
        assert Hold.LIVE not in await first(Hold.QUARANTINED, lambda: hold_at(index))


async def test_stopped_it_holds_nobody_up_and_is_built_anew(server: Server, books: Books):
    owner = session()
    closed = binding(door(1), owner, Hold.QUARANTINED, version=2)
    books.hold(binding(door(1), owner))
    async with Running(server, books, patience=SWIFT) as index:
        server.freeze()
        try:
            async with asyncio.timeout(10):
                assert await hold_at(index) is None
                await index.suspend([door(1)], NOW)
                assert await is_away(index)
                books.hold(closed)
                await index.put([closed], NOW)
        finally:
            server.thaw()
        assert Hold.LIVE not in await first(Hold.QUARANTINED, lambda: hold_at(index))


async def test_stopped_for_a_moment_it_needs_no_building(server: Server, books: Books):
    books.hold(binding(door(1)))
    brief = replace(CALM, look_up_s=SWIFT.look_up_s)
    async with Running(server, books, patience=brief) as index:
        server.freeze()
        try:
            await first(None, lambda: hold_at(index))
            await until(lambda: index._line.late(brief.look_up_s))
            asked = len(index._line._waiting)
            assert await hold_at(index) is None
            assert len(index._line._waiting) == asked, "nobody else waits for it"
        finally:
            server.thaw()
        await first(Hold.LIVE, lambda: hold_at(index))
        assert index.counts.rebuilds == 1


async def test_emptied_under_its_hands_it_is_filled_again(server: Server, books: Books):
    books.hold(binding(door(1)))
    seen = asyncio.Event()
    async with Running(server, books) as index:
        books.after_page = seen.wait
        await server.empty()
        assert await hold_at(index) is None
        seen.set()
        await until(lambda: index.counts.rebuilds == 2)
        assert await hold_at(index) is Hold.LIVE


async def test_the_ledger_away_it_goes_on_trying(server: Server, books: Books):
    books.hold(binding(door(1)))

    def broken() -> None:
        if books.reads < 3:
            raise ConnectionError

    books.before_page = broken
    async with Running(server, books) as index:
        assert books.reads == 3
        assert await hold_at(index) is Hold.LIVE


async def test_changes_while_it_is_built_are_not_lost(server: Server, books: Books):
    owner = session()
    books.hold(*(binding(door(i), owner) for i in range(1, 6)))
    running = Running(server, books)
    index = running.index

    async def meanwhile() -> None:
        books.after_page = lambda: None
        await index.suspend([door(1), door(2)], NOW)
        await index.put([binding(door(2), owner, Hold.QUARANTINED, version=2)], NOW)
        await index.put([binding(door(3), owner, Hold.QUARANTINED, version=2)], NOW)
        await index.put([binding(door(9), owner)], NOW)
        await index.put([binding(door(8), owner)], NOW)
        await index.drop([door(8)])

    books.after_page = meanwhile
    async with running:
        assert await hold_at(index, 1) is None
        assert await hold_at(index, 2) is not Hold.LIVE
        assert await hold_at(index, 3) is Hold.QUARANTINED
        assert [await hold_at(index, i) for i in (4, 5, 9)] == [Hold.LIVE] * 3
        assert await hold_at(index, 8) is None
        assert index.counts.rebuilds == 1


# ---------------------------------------------------------------- two processes, one Redis


async def test_what_one_writes_the_other_finds(server: Server, books: Books):
    async with Running(server, books, "a") as one, Running(server, books, "b") as other:
        await one.put([binding(door(1))], NOW)
        await first(Hold.LIVE, lambda: hold_at(other))
        await other.suspend([door(1)], NOW)
        assert await hold_at(one) is None
        won = await asyncio.gather(*(who.reserve([claim(5)], NOW) for who in (one, other) * 20))
        assert sorted(won, key=str) == [[5]] + [[None]] * 39
        assert books.reads == 1


async def test_cut_off_it_returns_only_when_nobody_believes_what_it_could_not_take_back(
    server: Server, books: Books
):
    owner = session()
    books.hold(binding(door(1), owner))
    one_running = Running(server, books, "a", MORTAL)
    async with one_running as one, Running(server, books, "b") as other:
        await first(Hold.LIVE, lambda: hold_at(other))
        await one_running.cut_off()
        await one.suspend([door(1)], NOW)
        assert await hold_at(other) is None
        closed = binding(door(1), owner, Hold.QUARANTINED, version=2)
        books.hold(closed)
        await one.put([closed], NOW)
        one_running.let_through()
        for index in (one, other):
            assert Hold.LIVE not in await first(Hold.QUARANTINED, lambda index=index: hold_at(index))  # type: ignore[misc]


async def test_a_newcomer_is_answered_only_when_the_others_know_of_it(server: Server, books: Books):
    """They would not wait for it otherwise, and it would believe what they could not take back."""
    owner = session()
    books.hold(binding(door(1), owner))
    one_running = Running(server, books, "a")
    async with one_running as one:
        await one_running.cut_off()
        async with Running(server, books, "b") as other:
            await one.suspend([door(1)], NOW)
            for _ in range(20):
                assert await hold_at(other) is None
                await asyncio.sleep(0.01)


async def test_of_a_dead_process_nobody_knows_what_it_could_not_say(server: Server, books: Books):
    books.hold(binding(door(1)))
    dying = Running(server, books, "a", MORTAL)
    async with Running(server, books, "b") as other:
        await dying.__aenter__()
        await first(Hold.LIVE, lambda: hold_at(other))
        await dying.die(politely=False)
        await first(None, lambda: hold_at(other))
        async with Running(server, books, "a") as back:
            await until(lambda: back.trusted and other.trusted)
            assert await hold_at(other) is await hold_at(back) is Hold.LIVE
            assert books.reads == 2


async def test_a_process_that_will_not_be_back_is_retired(server: Server, books: Books):
    books.hold(binding(door(1)))
    dying = Running(server, books, "a", MORTAL)
    async with Running(server, books, "b") as other:
        await dying.__aenter__()
        assert not await other.retire("a"), "it is alive"
        await dying.die(politely=False)
        await first(True, lambda: other.retire("a"))
        await until(lambda: other.counts.rebuilds == 2)
        assert await hold_at(other) is Hold.LIVE


async def test_who_leaves_in_order_is_not_missed(server: Server, books: Books):
    books.hold(binding(door(1)))
    async with Running(server, books, "b") as other:
        async with Running(server, books, "a") as leaving:
            await first(Hold.LIVE, lambda: hold_at(leaving))
        assert await hold_at(other) is Hold.LIVE
        assert books.reads == 1


async def test_two_of_one_name_do_not_share_it(server: Server, books: Books):
    async with Running(server, books, "a") as one:
        second = Running(server, books, "a")
        index = await second.start_only()
        await one.put([binding(door(1))], NOW)
        assert await hold_at(one) is Hold.LIVE
        assert not index.trusted
        await second.die()
        assert await hold_at(one) is Hold.LIVE


@pytest.mark.parametrize("who", ["a", "b"])
async def test_an_open_suspension_gets_into_a_generation_that_another_builds(
    who: str, server: Server, books: Books
):
    """The ledger is read before the change is committed; without the suspension the old state would stay.

    Whoever beats first after the flush builds, and the roll knows of nobody else then: the server must.
    """
    owner = session()
    books.hold(binding(door(1), owner))
    async with Running(server, books, "a") as one, Running(server, books, "b") as other:
        changing = one if who == "a" else other
        await changing.suspend([door(1)], NOW)
        await server.empty()
        await until(lambda: books.reads == 2 and one.trusted and other.trusted)
        assert await hold_at(one) is await hold_at(other) is None
        await changing.put([binding(door(1), owner, Hold.QUARANTINED, version=2)], NOW)
        assert Hold.LIVE not in {await hold_at(one), await hold_at(other)}
