"""The pool's numbers in every backend: who is in it, what holds them, what may become of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.opening import bindings_of, seat_people
from proxy_pool.core.session import Channel, Model
from proxy_pool.ports import Busiest
from telephony.errors import Conflict
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import (
    ANN,
    BOB,
    CARL,
    DORA,
    ONE,
    OPENED,
    OURS,
    SPARE,
    T0,
    THEIRS,
    THREE,
    TWO,
    Books,
    close,
    opened,
    pair,
    pooled,
)

pytestmark = pytest.mark.contract


async def by_number(books: Books) -> dict[E164, PoolNumber]:
    return {one.number: one for one in await books.pool.numbers()}


async def test_a_number_reads_back_as_it_was_added_with_the_next_index(empty_books: Books) -> None:
    rich = replace(
        pooled(ONE),
        country="CA",
        area="",
        capabilities=frozenset({Channel.SMS}),
        use=Use.EXTENSIONS,
        reserved=True,
        suspended=True,
        carrier="acme",
    )
    first = await empty_books.pool.add(rich)
    assert first == replace(rich, index=1)
    second = await empty_books.pool.add(pooled(TWO))
    theirs = await empty_books.pool.add(pooled(THREE, THEIRS))
    assert (second.index, theirs.index) == (2, 1)
    assert set(await empty_books.pool.numbers()) == {first, second, theirs}


async def test_a_number_is_in_one_pool_once(books: Books) -> None:
    for again in (pooled(ONE), pooled(ONE, THEIRS), replace(pooled(ONE), number=SPARE)):
        with pytest.raises(Conflict) as refused:
            await books.pool.add(again)
        assert refused.value.code == "NUMBER_IN_POOL"


async def test_an_index_never_stands_for_another_number(books: Books) -> None:
    numbers = await by_number(books)
    assert await books.pool.remove(OURS, numbers[THREE].id) == numbers[THREE]
    assert await books.pool.remove(OURS, numbers[THREE].id) is None
    assert THREE not in await by_number(books)
    assert (await books.pool.add(pooled(SPARE))).index == 4
    assert (await books.pool.add(pooled(THREE))).index == 5


async def test_numbers_added_at_once_have_indices_of_their_own(empty_books: Books) -> None:
    many = [pooled(E164(f"+1510{n:07d}")) for n in range(1, 21)]
    added = await asyncio.gather(*(empty_books.pool.add(number) for number in many))
    assert sorted(number.index for number in added) == list(range(1, 21))


async def test_what_may_change_of_a_number_changes_and_its_index_stays(books: Books) -> None:
    before = (await by_number(books))[ONE]
    changed = replace(
        before,
        index=77,
        use=Use.ANYONE,
        reserved=True,
        suspended=True,
        carrier="acme",
        capabilities=frozenset({Channel.VOICE}),
    )
    assert await books.pool.change(changed) == replace(changed, index=1)
    assert (await by_number(books))[ONE] == replace(changed, index=1)
    assert await books.pool.change(replace(changed, tenant=THEIRS)) is None
    assert await books.pool.remove(THEIRS, changed.id) is None
    assert await books.pool.change(replace(changed, id="num_none")) is None


async def test_a_number_that_sessions_hold_keeps_its_use_and_stays(books: Books) -> None:
    session = await opened(books, pair(1))
    number = (await by_number(books))[ONE]
    other = replace(number, use=Use.ANYONE)
    suspended = replace(number, suspended=True)
    assert await books.pool.change(suspended) == suspended, "it may be suspended at any time"
    for _ in range(2):
        for attempt in (books.pool.change(other), books.pool.remove(OURS, number.id)):
            with pytest.raises(Conflict) as refused:
                await attempt
            assert refused.value.code == "NUMBER_IN_USE"
        if (await books.ledger.bindings_of(OURS, session.id))[0].entry.hold == 1:
            await close(books, session, free_at=T0 + 100)
    await books.ledger.sweep(T0 + 100, 10)
    assert await books.pool.change(other) == other
    assert await books.pool.remove(OURS, number.id) == other


async def test_each_model_opens_on_numbers_of_its_use_alone(books: Books) -> None:
    number = (await by_number(books))[ONE]
    await books.pool.change(replace(number, use=Use.ANYONE))
    alone = seat_people([(ANN, ONE, "")])
    for n, (model, allowed) in enumerate(
        [(Model.PAIR, False), (Model.GROUP, False), (Model.EXTENSION, False), (Model.ANYONE, True)]
    ):
        session = pair(n, model=model, participants=alone, extension="204")
        attempt = books.ledger.open(
            session, bindings_of(replace(session, model=Model.GROUP), {ONE: 1}), OPENED
        )
        if allowed:
            await attempt
            continue
        with pytest.raises(Conflict) as refused:
            await attempt
        assert refused.value.code == "NUMBER_NOT_IN_POOL"


async def test_loads_and_the_busiest_count_live_and_quarantined_apart(books: Books) -> None:
    await opened(books, pair(1, ANN, BOB, (ONE, TWO)))
    await opened(books, pair(2, ANN, CARL, (TWO, TWO)))
    third = await opened(books, pair(3, ANN, DORA, (THREE, ONE)))
    await close(books, third)
    loads = [(one.number.number, one.live, one.quarantined) for one in await books.pool.loads(OURS)]
    assert loads == [(ONE, 1, 1), (TWO, 3, 0), (THREE, 0, 1)]
    busiest = await books.pool.busiest(OURS, 2)
    assert busiest[0] == Busiest(ANN.reveal(), 2, 1)
    assert busiest[1] == Busiest(BOB.reveal(), 1, 0)
    assert len(await books.pool.busiest(OURS, 10)) == 4
    assert list(await books.pool.loads(THEIRS)) == []
    assert list(await books.pool.busiest(THEIRS, 10)) == []
    assert ANN.reveal() not in repr(busiest)


async def test_arrivals_are_counted_since_a_moment(books: Books) -> None:
    await opened(books, pair(1))
    await opened(books, pair(2, CARL, DORA, created_at=T0 + 10))
    await close(books, pair(1))
    assert [await books.pool.opened_since(OURS, T0 + n) for n in (0, 5, 10, 11)] == [2, 1, 1, 0]
    assert await books.pool.opened_since(THEIRS, 0) == 0
