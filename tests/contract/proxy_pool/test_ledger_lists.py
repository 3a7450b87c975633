"""What the ledger finds by time and in lists, in every backend."""

from __future__ import annotations

import pytest

from proxy_pool.core.session import Binding, Hold
from proxy_pool.ports import SessionEvent, SessionFilter
from telephony.errors import MalformedRequest
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import (
    ANN,
    BOB,
    CARL,
    DORA,
    ONE,
    OURS,
    T0,
    THEIRS,
    THREE,
    TWO,
    WEEK,
    Books,
    close,
    opened,
    pair,
)

pytestmark = pytest.mark.contract


async def test_due_and_expiring_sessions_are_found_in_order_and_told_once(books: Books) -> None:
    late = await opened(books, pair(1, ends_at=T0 + 300))
    soon = await opened(books, pair(2, CARL, DORA, ends_at=T0 + 200))
    ledger = books.ledger
    assert await ledger.due(T0 + 199.9, 10) == []
    assert await ledger.due(T0 + 300, 10) == [soon, late]
    assert await ledger.due(T0 + 300, 1) == [soon]
    assert await ledger.expiring(T0, 250, 10) == [soon]
    assert await ledger.expiring(T0, 1e12, 1) == [soon]
    assert await ledger.expiring(T0 + 200, 1000, 10) == [late], "what is due does not expire soon"
    note = (SessionEvent("session.expiring", T0 + 1),)
    await ledger.told_expiring(soon, note)
    await ledger.told_expiring(soon, note)
    assert await ledger.expiring(T0, 250, 10) == []
    assert [one.id for one in await ledger.due(T0 + 300, 10)] == [soon.id, late.id]
    assert await books.told() == ["session.opened", "session.opened", "session.expiring"]
    moved = await ledger.use(OURS, soon.id, 0, T0 + 2, T0 + 240)
    assert moved is not None
    await ledger.told_expiring(soon, note)
    assert await ledger.expiring(T0, 250, 10) == [moved], "it is told of each end anew"
    await ledger.told_expiring(moved, ())
    assert await ledger.expiring(T0, 250, 10) == []
    assert await ledger.get(OURS, soon.id) == moved, "nothing was told, nothing has changed"


async def test_a_sweep_frees_what_is_over_and_remembers_the_pair(books: Books) -> None:
    session = await opened(books, pair(1))
    ann, bob = ANN.reveal(), BOB.reveal()
    assert await books.ledger.last_of_pair(OURS, ann, bob) == (ONE, TWO)
    await close(books, session)
    assert await books.ledger.sweep(T0 + WEEK - 1, 10) == []
    first = await books.ledger.sweep(T0 + WEEK, 1)
    second = await books.ledger.sweep(T0 + WEEK, 10)
    assert {one.door.key for one in (*first, *second)} == {ann, bob}
    assert (len(first), len(second)) == (1, 1)
    assert await books.ledger.all_held(0, 10) == []
    assert await books.ledger.bindings_of(OURS, session.id) == []
    assert await books.ledger.last_of_pair(OURS, ann, bob) == (ONE, TWO)
    assert await books.ledger.last_of_pair(OURS, bob, ann) == (TWO, ONE)
    assert await books.ledger.last_of_pair(THEIRS, ann, bob) is None
    await opened(books, pair(2, proxies=(TWO, THREE), created_at=T0 + WEEK))
    assert await books.ledger.last_of_pair(OURS, ann, bob) == (TWO, THREE)
    assert await books.ledger.last_of_pair(OURS, ann, CARL.reveal()) is None


async def test_everything_held_is_read_page_by_page(books: Books) -> None:
    sessions = [await opened(books, pair(1)), await opened(books, pair(2, CARL, DORA))]
    await close(books, sessions[0])
    seen: list[Binding] = []
    after = 0
    while page := await books.ledger.all_held(after, 3):
        assert all(number > after for number, _ in page)
        after = page[-1][0]
        seen += [binding for _, binding in page]
    mine = [binding for one in sessions for binding in await books.ledger.bindings_of(OURS, one.id)]
    assert sorted(map(repr, seen)) == sorted(map(repr, mine))
    assert {binding.entry.hold for binding in seen} == {Hold.LIVE, Hold.QUARANTINED}


# ---------------------------------------------------------------- lists


async def test_lists_are_newest_first_filtered_and_paged(books: Books) -> None:
    people = [E164(f"+1510555{n:04d}") for n in range(6)]
    for n, person in enumerate(people):
        await opened(
            books, pair(n, person, BOB if n == 0 else people[n - 1], (ONE, THREE), created_at=T0 + n // 2)
        )
    ledger = books.ledger
    await ledger.use(OURS, pair(1).id, 0, T0 + 4, T0 + 5)
    await close(books, pair(2))
    await close(books, pair(4))
    newest = [pair(n).id for n in (5, 4, 3, 2, 1, 0)]

    async def listed(wanted: SessionFilter, limit: int = 10) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await ledger.page(OURS, wanted, limit=limit, cursor=cursor)
            found += [session.id for session in page.items]
            assert len(page.items) <= limit
            cursor = page.cursor
            if cursor is None:
                assert page.total == len(found)
                return found

    for limit in (1, 2, 4, 6, 7):
        assert await listed(SessionFilter(), limit) == newest
    assert await listed(SessionFilter(status="closed"), 1) == [pair(4).id, pair(2).id]
    assert await listed(SessionFilter(status="in_progress")) == [pair(1).id]
    assert await listed(SessionFilter(status="open")) == [pair(n).id for n in (5, 3, 0)]
    assert await listed(SessionFilter(status="no such")) == []
    assert await listed(SessionFilter(party=people[2].reveal())) == [pair(3).id, pair(2).id]
    assert await listed(SessionFilter(party=people[2].reveal(), status="closed")) == [pair(2).id]
    await ledger.sweep(T0 + WEEK, 10)
    assert await listed(SessionFilter(party=people[2].reveal())) == [pair(3).id, pair(2).id]
    assert (await ledger.page(THEIRS, SessionFilter(), limit=5)).total == 0


async def test_what_is_no_cursor_is_refused(books: Books) -> None:
    await opened(books, pair(1))
    await opened(books, pair(2, CARL, DORA))
    for cursor in ("", "garbage", "💥"):
        with pytest.raises(MalformedRequest) as refused:
            await books.ledger.page(OURS, SessionFilter(), limit=1, cursor=cursor)
        assert refused.value.code == "INVALID_CURSOR"
