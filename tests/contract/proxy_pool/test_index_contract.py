"""Every sentence of the ``Index`` port, over memory and a real Redis; the absent index where it applies."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from proxy_pool.core.session import Binding, Hold
from proxy_pool.no_index import NoIndex
from proxy_pool.ports import PENDING_S, IndexAway
from proxy_pool.store_memory import MemoryIndex
from proxy_pool.upkeep import KeptIndex
from telephony.ids import TenantId
from tests.contract.proxy_pool.index_rig import (
    HOUR,
    NOW,
    TENANT,
    Books,
    Running,
    Server,
    binding,
    claim,
    door,
    session,
)

pytestmark = pytest.mark.contract

KEY = "+15550001111"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    server = Server(tmp_path_factory.mktemp("ix"))
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture(params=["memory", "redis"])
async def index(request: pytest.FixtureRequest, server: Server, books: Books) -> AsyncIterator[KeptIndex]:
    if request.param == "memory":
        yield MemoryIndex()
        return
    await server.empty()
    async with Running(server, books) as running:
        yield running


async def found(index: KeptIndex, number: int, now: float = NOW, key: str = KEY) -> Hold | None:
    entry = await index.look_up(TENANT, key, number, now)
    return None if entry is None else entry.hold


# ---------------------------------------------------------------- reserve


async def test_the_first_free_candidate_is_taken(index: KeptIndex):
    await index.put([binding(door(3))], NOW)
    assert await index.reserve([claim(3, 5, 7)], NOW) == [5]
    assert await index.reserve([claim(3, 5, 7)], NOW) == [7]
    assert await index.reserve([claim(3, 5, 7)], NOW) == [None]


async def test_each_claim_has_its_own_answer(index: KeptIndex):
    await index.put([binding(door(1))], NOW)
    claims = [claim(1), claim(2, 1), claim(key="+15550002222"), claim(1, key="+15550002222"), claim(2)]
    assert await index.reserve(claims, NOW) == [None, 2, None, 1, None]


async def test_a_claim_has_at_most_eight_candidates(index: KeptIndex):
    await index.put([binding(door(i)) for i in range(8)], NOW)
    assert await index.reserve([claim(*range(8))], NOW) == [None]
    assert await index.reserve([claim(*range(1, 9))], NOW) == [8]


async def test_another_person_or_tenant_may_have_the_same_number(index: KeptIndex):
    await index.put([binding(door(3))], NOW)
    assert await index.reserve([claim(3, key="+15550002222")], NOW) == [3]
    await index.put([binding(door(4, tenant=TenantId("ten_2")))], NOW)
    assert await index.reserve([claim(4)], NOW) == [4]
    assert await found(index, 4, key=KEY) is None


async def test_a_reservation_stands_for_a_minute_and_is_no_answer(index: KeptIndex):
    assert await index.reserve([claim(3)], NOW) == [3]
    assert await found(index, 3) is None
    assert await index.taken(TENANT, KEY, NOW) == {3}
    assert await index.reserve([claim(3)], NOW + PENDING_S - 0.001) == [None]
    assert await index.reserve([claim(3)], NOW + PENDING_S) == [3]


@pytest.mark.parametrize("hold", [Hold.LIVE, Hold.QUARANTINED])
async def test_a_hold_ends_at_its_end_and_not_before(index: KeptIndex, hold: Hold):
    await index.put([binding(door(3), hold=hold, until=NOW + 10.5)], NOW)
    for now in (NOW, NOW + 10.499):
        assert await found(index, 3, now) is hold
        assert await index.taken(TENANT, KEY, now) == {3}
        assert await index.reserve([claim(3)], now) == [None]
    assert await found(index, 3, NOW + 10.5) is None
    assert await index.taken(TENANT, KEY, NOW + 10.5) == frozenset()
    assert await index.reserve([claim(3)], NOW + 10.5) == [3]


async def test_an_end_between_two_milliseconds_is_never_late(index: KeptIndex):
    end = NOW + 1 / 3
    await index.put([binding(door(3), until=end)], NOW)
    assert await found(index, 3, end) is None
    assert await found(index, 3, math.floor(end * 1000 - 1) / 1000) is Hold.LIVE


async def test_a_hundred_at_one_door_and_one_gets_in(index: KeptIndex):
    won = await asyncio.gather(*(index.reserve([claim(3)], NOW) for _ in range(100)))
    assert Counter(index for (index,) in won) == {3: 1, None: 99}


async def test_racing_claims_share_the_candidates_without_overlap(index: KeptIndex):
    claims = [claim(1, 2, 3, 4, 5), claim(5, 4, 3)]
    won = await asyncio.gather(*(index.reserve(claims, NOW) for _ in range(9)))
    given = [index for pair in won for index in pair if index is not None]
    assert sorted(given) == [1, 2, 3, 4, 5]


# ---------------------------------------------------------------- put, look_up


async def test_what_was_put_is_found_whole(index: KeptIndex):
    said = [
        binding(door(1), hold=Hold.LIVE, until=NOW + 5, version=1, seat=-1),
        binding(door(2), hold=Hold.QUARANTINED, until=NOW + 7 * 86_400, version=300, seat=0),
        binding(door(70_000, "phone:alice"), until=NOW + 90 * 86_400.0 + 0.25, version=16_383, seat=50),
        binding(door(0, "*")),
    ]
    await index.put(said, NOW)
    for one in said:
        assert await index.look_up(TENANT, one.door.key, one.door.index, NOW) == one.entry


async def test_nothing_is_found_where_nothing_was_put(index: KeptIndex):
    await index.put([binding(door(3))], NOW)
    assert await found(index, 4) is None
    assert await found(index, 3, key="+15550009999") is None
    assert await index.look_up(TenantId("ten_2"), KEY, 3, NOW) is None


async def test_put_confirms_a_reservation_whoever_made_it(index: KeptIndex):
    mine, true_owner = session(9), session(5)
    await index.reserve([claim(3, owner=mine), claim(4, owner=mine)], NOW)
    await index.put([binding(door(3), mine), binding(door(4), true_owner)], NOW)
    assert await found(index, 3) is Hold.LIVE
    entry = await index.look_up(TENANT, KEY, 4, NOW)
    assert entry is not None
    assert entry.session == true_owner


async def test_put_moves_a_session_on(index: KeptIndex):
    owner = session()
    await index.put([binding(door(3), owner, until=NOW + 10)], NOW)
    for after in (
        binding(door(3), owner, until=NOW + 99),
        binding(door(3), owner, until=NOW + 500, version=2),
        binding(door(3), owner, Hold.QUARANTINED, NOW + 900, version=3),
        binding(door(3), session(), until=NOW + 40),
    ):
        await index.put([after], NOW + 1)
        assert await index.look_up(TENANT, KEY, 3, NOW + 1) == after.entry


async def test_a_late_put_of_an_older_state_changes_nothing(index: KeptIndex):
    older, owner = session(1), session(2)
    now_there = binding(door(3), owner, Hold.QUARANTINED, version=4)
    await index.put([now_there], NOW)
    await index.put([binding(door(3), owner, version=3), binding(door(3), owner, version=4)], NOW)
    assert await index.look_up(TENANT, KEY, 3, NOW) == now_there.entry
    live = binding(door(4), owner)
    await index.put([live], NOW)
    await index.put([binding(door(4), older, version=9)], NOW)
    assert await index.look_up(TENANT, KEY, 4, NOW) == live.entry


# ---------------------------------------------------------------- suspend, drop


async def test_a_suspended_door_is_a_question_until_the_next_put(index: KeptIndex):
    owner = session()
    await index.put([binding(door(3), owner), binding(door(4), owner)], NOW)
    await index.suspend([door(3)], NOW)
    assert await found(index, 3) is None
    assert await found(index, 4) is Hold.LIVE
    assert await index.reserve([claim(3)], NOW) == [None]
    await index.put([binding(door(3), owner, version=2)], NOW)
    assert await found(index, 3) is Hold.LIVE


async def test_no_late_put_revives_what_is_being_changed(index: KeptIndex):
    owner = session(7)
    read_before = binding(door(3), owner, version=5)
    await index.put([read_before], NOW)
    await index.suspend([door(3)], NOW)
    await index.put([read_before], NOW)
    await index.put([binding(door(3), session(6), version=1)], NOW)
    assert await found(index, 3) is None
    await index.put([binding(door(3), owner, Hold.QUARANTINED, version=6)], NOW)
    assert await found(index, 3) is Hold.QUARANTINED


async def test_a_suspension_of_something_unknown_takes_no_put_until_it_has_passed(index: KeptIndex):
    await index.suspend([door(3)], NOW)
    await index.put([binding(door(3))], NOW + PENDING_S - 1)
    assert await found(index, 3, NOW + PENDING_S - 1) is None
    after = binding(door(3))
    await index.put([after], NOW + PENDING_S)
    assert await index.look_up(TENANT, KEY, 3, NOW + PENDING_S) == after.entry


async def test_dropped_doors_are_forgotten(index: KeptIndex):
    await index.put([binding(door(3)), binding(door(4)), binding(door(5))], NOW)
    await index.drop([door(3), door(5), door(6)])
    assert await index.taken(TENANT, KEY, NOW) == {4}
    assert await index.reserve([claim(3)], NOW) == [3]
    await index.drop([door(3)])
    assert await index.reserve([claim(3)], NOW) == [3]


async def test_dropping_ends_no_suspension(index: KeptIndex):
    owner = session()
    await index.put([binding(door(3), owner)], NOW)
    await index.suspend([door(3)], NOW)
    await index.drop([door(3)])
    await index.put([binding(door(3), owner)], NOW)
    assert await found(index, 3) is None


async def test_taken_is_everything_that_a_key_holds(index: KeptIndex):
    await index.put([binding(door(i)) for i in range(300)], NOW)
    await index.put([binding(door(900), hold=Hold.QUARANTINED)], NOW)
    await index.reserve([claim(901)], NOW)
    assert await index.taken(TENANT, KEY, NOW) == {*range(300), 900, 901}
    assert await index.taken(TENANT, "+15550002222", NOW) == frozenset()


async def test_nothing_to_do_is_nothing_done(index: KeptIndex):
    await index.put([], NOW)
    await index.suspend([], NOW)
    await index.drop([])
    assert await index.reserve([], NOW) == []


# ---------------------------------------------------------------- comparing


async def test_comparing_mends_what_is_missing_and_stops_what_is_wrong(index: KeptIndex):
    owner = session(50)
    right = binding(door(1), owner)
    missing = binding(door(2), owner)
    wrong = binding(door(3), owner, Hold.QUARANTINED, version=1)
    changing = binding(door(4), owner)
    passed = binding(door(5), owner, until=NOW - 1)
    behind = binding(door(6), owner, version=3)
    page = [right, missing, wrong, changing, passed, behind]
    await index.put([right, binding(door(3), session(51), version=2), changing], NOW)
    await index.put([binding(door(6), owner, until=NOW + 9, version=2)], NOW)
    await index.suspend([changing.door], NOW)

    async def read() -> list[Binding]:
        return page

    assert await index.compare(read, NOW) == 1
    assert await index.look_up(TENANT, KEY, 2, NOW) == missing.entry
    assert await index.look_up(TENANT, KEY, 6, NOW) == behind.entry
    assert await found(index, 3) is None
    assert await found(index, 4) is None
    assert await index.compare(read, NOW) == 0
    assert (index.counts.drift, index.counts.repairs) == (1, 3)


async def test_what_changed_while_it_was_compared_is_no_drift(index: KeptIndex):
    owner = session()
    before, after = binding(door(1), owner), binding(door(1), owner, Hold.QUARANTINED, version=2)
    await index.put([after], NOW)
    reads = [[before], [after]]

    async def read() -> list[Binding]:
        return reads.pop(0)

    assert await index.compare(read, NOW) == 0
    assert index.counts.drift == 0


async def test_hits_and_misses_are_counted(index: KeptIndex):
    await index.put([binding(door(1))], NOW)
    for number in (1, 1, 2):
        await index.look_up(TENANT, KEY, number, NOW)
    await index.reserve([claim(1, 2), claim(1)], NOW)
    counts = index.counts
    assert (counts.hits, counts.misses, counts.reserved, counts.refused) == (2, 1, 1, 1)


# ---------------------------------------------------------------- no index


async def test_the_absent_index_takes_everything_and_knows_nothing(books: Books):
    index = NoIndex()
    books.hold(binding(door(3)))
    await index.run(books.pages)
    await index.put([binding(door(3))], NOW)
    await index.suspend([door(3)], NOW)
    await index.drop([door(3)])
    assert await index.look_up(TENANT, KEY, 3, NOW) is None
    assert not index.trusted
    with pytest.raises(IndexAway):
        await index.reserve([claim(3)], NOW)
    with pytest.raises(IndexAway):
        await index.taken(TENANT, KEY, NOW)


async def test_memory_is_filled_from_the_ledger_without_undoing_what_is_newer(books: Books):
    index = MemoryIndex()
    owner = session()
    books.hold(*(binding(door(i), owner) for i in range(250)))
    newer = binding(door(7), owner, until=NOW + 2 * HOUR, version=2)
    await index.put([newer], NOW)
    await index.suspend([door(8)], NOW)
    await index.run(books.pages)
    assert len(await index.taken(TENANT, KEY, NOW)) == 250
    assert await index.look_up(TENANT, KEY, 7, NOW) == newer.entry
    assert await index.look_up(TENANT, KEY, 8, NOW) is None
