"""Many at once, in every backend: one winner, no half-made session, nothing forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from proxy_pool.core.opening import seat_people
from proxy_pool.core.session import CloseReason, Session
from proxy_pool.ports import NameTaken, PairTaken, SessionEvent, StaleVersion
from telephony.errors import Conflict
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import (
    ANN,
    BOB,
    CARL,
    CLOSED,
    ONE,
    OURS,
    T0,
    THREE,
    TWO,
    WEEK,
    Books,
    close,
    doors,
    opened,
    pair,
)

pytestmark = pytest.mark.contract

MANY = 24


async def outcomes(*attempts: object) -> list[object]:
    return list(await asyncio.gather(*attempts, return_exceptions=True))  # type: ignore[call-overload]


async def test_one_of_many_gets_a_door_and_the_others_hear_whose_it_is(books: Books) -> None:
    strangers = [E164(f"+1510555{n:04d}") for n in range(MANY)]
    wanted = [pair(n, ANN, other, (ONE, TWO)) for n, other in enumerate(strangers)]
    results = await outcomes(*(opened(books, session) for session in wanted))
    winners = [one for one in results if isinstance(one, Session)]
    assert len(winners) == 1
    for lost in results:
        if lost is not winners[0]:
            assert isinstance(lost, PairTaken)
            assert lost.binding.entry.session == winners[0].id
    assert len(await books.ledger.all_held(0, 100)) == 2
    assert await books.told() == ["session.opened"]


async def test_sessions_that_want_each_others_doors_never_lock_each_other_out(books: Books) -> None:
    """Each wants two doors of which another one takes one first."""
    people = [E164(f"+1510555{n:04d}") for n in range(6)]
    ring = [
        pair(n, people[n % 6], people[(n + 1) % 6], (ONE, ONE) if n % 2 else (ONE, TWO)) for n in range(MANY)
    ]
    results = await outcomes(*(opened(books, session) for session in ring))
    assert {type(one) for one in results} <= {Session, PairTaken}
    winners = {one.id for one in results if isinstance(one, Session)}
    held = [binding for _, binding in await books.ledger.all_held(0, 100)]
    assert Counter(binding.entry.session for binding in held) == dict.fromkeys(winners, 2)
    assert len({binding.door for binding in held}) == len(held)


async def test_one_of_many_gets_a_name(books: Books) -> None:
    strangers = [E164(f"+1510555{n:04d}") for n in range(2 * MANY)]
    wanted = [pair(n, strangers[2 * n], strangers[2 * n + 1], unique_name="order") for n in range(MANY)]
    results = await outcomes(*(opened(books, session) for session in wanted))
    assert Counter(type(one) for one in results) == {Session: 1, NameTaken: MANY - 1}


async def test_the_same_two_people_get_their_doors_back_once(books: Books) -> None:
    await close(books, await opened(books, pair(0)))
    again = [pair(n, created_at=T0 + 100) for n in range(1, MANY)]
    results = await outcomes(*(opened(books, session) for session in again))
    assert Counter(type(one) for one in results) == {Session: 1, PairTaken: MANY - 2}
    assert len(await books.ledger.all_held(0, 100)) == 2


async def test_every_interaction_counts(books: Books) -> None:
    session = await opened(books, pair(1))
    uses = [books.ledger.use(OURS, session.id, n % 2, T0 + n, T0 + 3600 + n) for n in range(MANY)]
    await asyncio.gather(*uses)
    found = await books.ledger.get(OURS, session.id)
    assert found is not None
    assert (found.interactions, found.ends_at) == (MANY, T0 + 3600 + MANY - 1)
    assert await books.told() == ["session.opened", "session.in_progress"]


async def test_one_of_many_changes_and_one_of_many_closings_counts(books: Books) -> None:
    session = await opened(books, pair(1))
    told = (SessionEvent("session.changed", T0 + 1),)
    changed = [replace(session, metadata=(("n", str(n)),), version=2) for n in range(MANY)]
    results = await outcomes(*(books.ledger.change(one, doors(one), T0, told) for one in changed))
    assert Counter(type(one) for one in results) == {list: 1, StaleVersion: MANY - 1}
    found = await books.ledger.get(OURS, session.id)
    assert found == changed[next(n for n, one in enumerate(results) if isinstance(one, list))]
    ends = [
        books.ledger.close(OURS, session.id, CloseReason.API, T0 + 60 + n, T0 + WEEK, CLOSED)
        for n in range(MANY)
    ]
    assert Counter(one is None for one in await outcomes(*ends)) == {True: MANY - 1, False: 1}
    assert await books.told() == ["session.opened", "session.changed", "session.closed"]


async def test_changes_race_openings_for_a_door_and_one_wins(books: Books) -> None:
    for n in range(5):
        first = await opened(books, pair(10 * n, ANN, BOB))
        people = seat_people([(ANN, ONE, ""), (CARL, THREE, "")])
        after = replace(first, participants=people, version=2)
        told = (SessionEvent("session.changed", T0 + 1),)
        rival = pair(10 * n + 1, CARL, E164("+15105550000"), (THREE, TWO))
        results = await outcomes(books.ledger.change(after, doors(after), T0, told), opened(books, rival))
        lost = [one for one in results if isinstance(one, PairTaken)]
        assert len(lost) == 1
        await end_all(books, first, rival)


async def end_all(books: Books, *sessions: Session) -> None:
    for session in sessions:
        await books.ledger.close(OURS, session.id, CloseReason.API, T0 + 60, T0 + 60, CLOSED)
    await books.ledger.sweep(T0 + 60, 100)
    assert await books.ledger.all_held(0, 100) == []


async def test_a_number_never_leaves_the_pool_under_a_session(books: Books) -> None:
    for n in range(8):
        number = next(one for one in await books.pool.numbers() if one.number == TWO)
        session = pair(n)
        attempts = [opened(books, session), books.pool.remove(OURS, number.id)]
        results = await outcomes(*(attempts if n % 2 else reversed(attempts)))
        refused = [one for one in results if isinstance(one, Conflict)]
        assert [one.code for one in refused] in (["NUMBER_IN_USE"], ["NUMBER_NOT_IN_POOL"])
        pooled = TWO in {one.number for one in await books.pool.numbers()}
        assert pooled == (await books.ledger.get(OURS, session.id) is not None)
        await end_all(books, session)
        if not pooled:
            return
