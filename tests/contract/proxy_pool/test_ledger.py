"""The ledger in every backend: a door has one owner, a verb is one transaction, the world hears once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy_pool.core.opening import bindings_of, seat_people
from proxy_pool.core.session import (
    Binding,
    Channel,
    CloseReason,
    Hold,
    Model,
    PinMode,
    Redaction,
    Status,
    Terms,
)
from proxy_pool.ports import NameTaken, PairTaken, SessionEvent, SessionFilter, SessionPage, StaleVersion
from telephony.errors import Conflict
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import (
    ANN,
    BOB,
    CARL,
    CLOSED,
    DORA,
    INDEX,
    ONE,
    OPENED,
    OURS,
    SPARE,
    T0,
    THEIRS,
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

CHANGED = (SessionEvent("session.changed", T0 + 10, (("what", "people"),)),)


async def behind(books: Books, key: E164, proxy: E164, now: float = T0) -> Binding | None:
    return await books.ledger.resolve(OURS, key.reveal(), proxy, now)


# ---------------------------------------------------------------- open


async def test_a_session_reads_back_as_it_was_opened(books: Books) -> None:
    terms = Terms(
        channels=frozenset({Channel.SMS}),
        expires_at=T0 + 0.000001,
        ttl_s=61,
        pin_mode=PinMode.ALWAYS,
        redaction=Redaction.FLAG,
        announce_a="prompts/ten_ours/hello",
    )
    session = pair(
        1,
        terms=terms,
        participants=seat_people([(ANN, ONE, "480213"), (BOB, TWO, "")]),
        created_at=T0 + 0.123456,
        unique_name="order 7 ☎",
        metadata=(("order", "7"), ("b", "")),
        api_key_id="key_1",
    )
    await opened(books, session)
    assert await books.ledger.get(OURS, session.id) == session
    assert await books.ledger.get(THEIRS, session.id) is None
    bare = pair(2, CARL, DORA, webhook_url=None, terms=Terms())
    await opened(books, bare)
    assert await books.ledger.get(OURS, bare.id) == bare


async def test_every_door_of_an_open_session_leads_to_its_seat(books: Books) -> None:
    session = pair(1, participants=seat_people([(ANN, ONE, "480213"), (BOB, TWO, "")]))
    await opened(books, session)
    wanted = {binding.door: binding for binding in doors(session)}
    assert {door.key for door in wanted} == {ANN.reveal(), BOB.reveal(), "pin:480213"}
    for door, binding in wanted.items():
        assert await books.ledger.resolve(OURS, door.key, door.proxy, T0) == binding
        assert await books.ledger.resolve(THEIRS, door.key, door.proxy, T0) is None
    found = await books.ledger.bindings_of(OURS, session.id)
    assert {binding.door: binding for binding in found} == wanted
    assert await books.ledger.bindings_of(THEIRS, session.id) == []
    assert await behind(books, ANN, TWO) is None
    assert await books.ledger.held(OURS, ANN.reveal(), T0) == {INDEX[ONE]}


async def test_opening_the_same_session_again_is_the_same_as_once(books: Books) -> None:
    session = await opened(books, pair(1, unique_name="order"))
    await opened(books, session)
    assert await books.told() == ["session.opened"]
    assert len(await books.ledger.all_held(0, 10)) == 2


async def test_a_held_door_names_its_owner_and_nothing_of_the_newcomer_stays(books: Books) -> None:
    owner = await opened(books, pair(1))
    with pytest.raises(PairTaken) as refused:
        await opened(books, pair(2, CARL, BOB, (THREE, TWO)))
    assert refused.value.binding == doors(owner)[1]
    assert await books.ledger.get(OURS, pair(2).id) is None
    assert await behind(books, CARL, THREE) is None
    assert await books.told() == ["session.opened"]
    assert BOB.reveal() not in repr(refused.value) + str(refused.value) + repr(refused.value.binding)


async def test_a_unique_name_belongs_to_one_open_session_of_a_tenant(books: Books) -> None:
    first = await opened(books, pair(1, unique_name="order"))
    again = pair(2, CARL, DORA, unique_name="order")
    with pytest.raises(NameTaken):
        await opened(books, again)
    await books.pool.add(
        replace((await books.pool.numbers())[0], id="num_spare", number=SPARE, tenant=THEIRS)
    )
    theirs = pair(3, unique_name="order", tenant=THEIRS, participants=seat_people([(ANN, SPARE, "")]))
    await books.ledger.open(theirs, bindings_of(replace(theirs, model=Model.GROUP), {SPARE: 1}), OPENED)
    await close(books, first)
    await opened(books, again)
    assert [s.id for s in (await by_name(books, "order")).items] == [again.id, first.id]


async def by_name(books: Books, name: str) -> SessionPage:
    return await books.ledger.page(OURS, SessionFilter(unique_name=name), limit=10)


async def test_a_number_that_left_the_pool_or_serves_otherwise_is_refused(books: Books) -> None:
    session = pair(1)
    numbers = {number.number: number for number in await books.pool.numbers()}
    await books.pool.remove(OURS, numbers[TWO].id)
    for wrong in (
        session,
        pair(2, proxies=(ONE, SPARE)),
        pair(3, model=Model.ANYONE, proxies=(ONE, ONE)),
    ):
        with pytest.raises(Conflict) as refused:
            await books.ledger.open(wrong, bindings_of(wrong, INDEX | {SPARE: 9}), OPENED)
        assert refused.value.code == "NUMBER_NOT_IN_POOL"
        assert await books.ledger.get(OURS, wrong.id) is None
    with pytest.raises(Conflict):
        await books.ledger.open(session, bindings_of(session, {ONE: 1, TWO: 7}), OPENED)
    assert await books.ledger.all_held(0, 10) == []
    assert await books.told() == []


# ---------------------------------------------------------------- close and quarantine


async def test_a_closed_session_keeps_its_doors_shut_until_they_are_free(books: Books) -> None:
    session = await opened(books, pair(1))
    done = await books.ledger.close(OURS, session.id, CloseReason.API, T0 + 60, T0 + WEEK, CLOSED)
    assert done is not None
    closed, quarantined = done
    assert closed == await books.ledger.get(OURS, session.id)
    assert (closed.status, closed.closed_at, closed.free_at) == (Status.CLOSED, T0 + 60, T0 + WEEK)
    assert (closed.close_reason, closed.version) == (CloseReason.API, 2)
    assert {(one.entry.hold, one.entry.until) for one in quarantined} == {(Hold.QUARANTINED, T0 + WEEK)}
    assert await behind(books, ANN, ONE, T0 + 61) in quarantined
    assert await behind(books, ANN, ONE, T0 + WEEK) is None
    assert await books.ledger.held(OURS, ANN.reveal(), T0 + 61) == {INDEX[ONE]}
    assert await books.ledger.held(OURS, ANN.reveal(), T0 + WEEK) == frozenset()
    assert await books.ledger.close(OURS, session.id, CloseReason.API, T0, T0, CLOSED) is None
    assert await books.told() == ["session.opened", "session.closed"]


async def test_another_tenants_session_cannot_be_closed_changed_or_used(books: Books) -> None:
    session = await opened(books, pair(1))
    ledger = books.ledger
    assert await ledger.close(THEIRS, session.id, CloseReason.API, T0, T0, CLOSED) is None
    assert await ledger.use(THEIRS, session.id, 0, T0, T0) is None
    with pytest.raises(StaleVersion):
        await ledger.change(replace(session, tenant=THEIRS, version=2), (), T0, CHANGED)
    assert await ledger.get(OURS, session.id) == session


async def test_in_quarantine_a_door_opens_for_the_same_two_people_alone(books: Books) -> None:
    session = await opened(books, pair(1))
    await close(books, session)
    with pytest.raises(PairTaken) as refused:
        await opened(books, pair(2, ANN, CARL, created_at=T0 + 100))
    assert refused.value.binding.entry.hold is Hold.QUARANTINED
    again = await opened(books, pair(3, created_at=T0 + 100, ends_at=T0 + 200))
    assert await behind(books, ANN, ONE, T0 + 101) == doors(again)[0]
    await close(books, again, T0 + 150, T0 + 2 * WEEK)
    await opened(books, pair(4, ANN, CARL, created_at=T0 + 2 * WEEK))
    found = await behind(books, ANN, ONE, T0 + 2 * WEEK)
    assert found is not None
    assert found.entry.session == pair(4).id, "a quarantine that is over holds nobody up"


async def test_a_session_whose_end_has_moved_on_does_not_expire(books: Books) -> None:
    session = await opened(books, pair(1))
    used = await books.ledger.use(OURS, session.id, 0, T0 + 3000, T0 + 6600)
    assert used is not None
    now = T0 + 3600
    assert await books.ledger.close(OURS, session.id, CloseReason.EXPIRED, now, now, CLOSED) is None
    found = await behind(books, ANN, ONE, now)
    assert found is not None
    assert (found.entry.hold, found.entry.until) == (Hold.LIVE, T0 + 6600)
    assert await books.ledger.due(now, 10) == []
    end = T0 + 6600
    done = await books.ledger.close(OURS, session.id, CloseReason.EXPIRED, end, end + WEEK, CLOSED)
    assert done is not None
    assert done[0].close_reason is CloseReason.EXPIRED


# ---------------------------------------------------------------- change


async def test_a_change_keeps_takes_and_gives_up_doors(books: Books) -> None:
    before = await opened(books, pair(1))
    people = seat_people([(ANN, ONE, ""), (CARL, THREE, "")])
    after = replace(before, participants=people, ends_at=T0 + 99, metadata=(("a", "b"),), version=2)
    gone = await books.ledger.change(after, doors(after), T0 + WEEK, CHANGED)
    assert [(one.door.key, one.entry.hold, one.entry.until) for one in gone] == [
        (BOB.reveal(), Hold.QUARANTINED, T0 + WEEK)
    ]
    assert await books.ledger.get(OURS, before.id) == after
    assert await behind(books, ANN, ONE) == doors(after)[0]
    assert await behind(books, CARL, THREE) == doors(after)[1]
    assert await behind(books, BOB, TWO) == gone[0]
    held = await books.ledger.bindings_of(OURS, before.id)
    assert len(held) == 3
    await close(books, after, T0 + 60, T0 + 2 * WEEK)
    kept = await behind(books, BOB, TWO)
    assert kept is not None
    assert kept.entry.until == T0 + WEEK, "its quarantine runs from the change"
    assert await books.told() == ["session.opened", "session.changed", "session.closed"]


async def test_a_change_to_a_held_door_or_a_foreign_number_changes_nothing(books: Books) -> None:
    first = await opened(books, pair(1))
    other = await opened(books, pair(2, CARL, DORA))
    people = seat_people([(ANN, ONE, ""), (CARL, ONE, "")])
    after = replace(first, participants=people, version=2)
    with pytest.raises(PairTaken) as refused:
        await books.ledger.change(after, doors(after), T0 + WEEK, CHANGED)
    assert refused.value.binding == doors(other)[0]
    people = seat_people([(ANN, ONE, ""), (CARL, SPARE, "")])
    after = replace(first, participants=people, version=2)
    with pytest.raises(Conflict):
        await books.ledger.change(after, bindings_of(after, INDEX | {SPARE: 4}), T0 + WEEK, CHANGED)
    assert await books.ledger.get(OURS, first.id) == first
    assert set(await books.ledger.bindings_of(OURS, first.id)) == set(doors(first))
    assert "session.changed" not in await books.told()


async def test_a_change_made_from_an_older_state_is_stale(books: Books) -> None:
    first = await opened(books, pair(1))
    after = replace(first, metadata=(("a", "b"),), version=2)
    await books.ledger.change(after, doors(after), T0, CHANGED)
    with pytest.raises(StaleVersion):
        await books.ledger.change(after, doors(after), T0, CHANGED)
    used = await books.ledger.use(OURS, first.id, 1, T0 + 5, T0 + 3700)
    assert used is not None
    with pytest.raises(StaleVersion):
        await books.ledger.change(replace(after, version=used.version + 1), doors(after), T0, CHANGED)
    await close(books, used)
    closed = await books.ledger.get(OURS, first.id)
    assert closed is not None
    with pytest.raises(StaleVersion):
        await books.ledger.change(replace(closed, version=closed.version + 1), (), T0, CHANGED)


async def test_a_change_cannot_take_another_open_sessions_name(books: Books) -> None:
    await opened(books, pair(1, unique_name="order"))
    other = await opened(books, pair(2, CARL, DORA))
    named = replace(other, unique_name="order", version=2)
    with pytest.raises(NameTaken):
        await books.ledger.change(named, doors(named), T0, CHANGED)
    free = replace(named, unique_name="another")
    await books.ledger.change(free, doors(free), T0, CHANGED)
    assert await books.ledger.get(OURS, other.id) == free


# ---------------------------------------------------------------- use


async def test_interactions_are_noted_and_only_the_first_is_a_change(books: Books) -> None:
    session = await opened(books, pair(1, model=Model.GROUP))
    first = await books.ledger.use(OURS, session.id, 2, T0 + 10, T0 + 3610)
    assert first is not None
    assert (first.status, first.version, first.interactions) == (Status.IN_PROGRESS, 2, 1)
    assert (first.last_used_at, first.last_seat, first.ends_at) == (T0 + 10, 2, T0 + 3610)
    second = await books.ledger.use(OURS, session.id, 0, T0 + 5, T0 + 20)
    assert second is not None
    assert (second.version, second.interactions, second.last_seat) == (2, 2, 2)
    assert (second.last_used_at, second.ends_at) == (T0 + 10, T0 + 3610), "neither goes back"
    assert await books.ledger.get(OURS, session.id) == second
    assert await books.told() == ["session.opened", "session.in_progress"]


async def test_a_session_that_is_over_is_not_used_again(books: Books) -> None:
    session = await opened(books, pair(1))
    assert await books.ledger.use(OURS, session.id, 0, session.ends_at, T0 + WEEK) is None
    assert await books.ledger.get(OURS, session.id) == session
    await close(books, session)
    assert await books.ledger.use(OURS, session.id, 0, T0 + 1, T0 + WEEK) is None
