"""Sessions on memory, without an index to help: the ledger decides everything."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from proxy_pool.core.choice import Exhausted
from proxy_pool.core.number import Use
from proxy_pool.core.opening import first_callee
from proxy_pool.core.party import PIN, Party
from proxy_pool.core.session import Binding, CloseReason, Door, Entry, Model, Session, SessionId
from proxy_pool.desk import NewSession, Seating, SessionChange
from proxy_pool.fakes import MemoryLedger
from proxy_pool.ports import Claim, Index, IndexAway
from proxy_pool.store_memory import MemoryIndex
from telephony.errors import Conflict, InvalidInput
from telephony.ids import TenantId
from tests.rig.masking import TENANT, Hand, Service, person, proxy, service, ulid

pytestmark = pytest.mark.unit


class NoIndex:
    """An index that is away."""

    async def reserve(self, claims: Sequence[Claim], now: float) -> Sequence[int | None]:
        raise IndexAway

    async def put(self, bindings: Sequence[Binding], now: float) -> None:
        """Nowhere to write."""

    async def suspend(self, doors: Sequence[Door], now: float) -> None:
        """Nowhere to write."""

    async def drop(self, doors: Sequence[Door]) -> None:
        """Nowhere to write."""

    async def look_up(self, tenant: TenantId, key: str, index: int, now: float) -> Entry | None:
        return None

    async def taken(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        raise IndexAway


_COUNT = iter(range(1, 10_000))


def an_id() -> SessionId:
    return SessionId(ulid("ses", next(_COUNT)))


def pair(a: int, b: int, **terms: object) -> NewSession:
    return NewSession(Seating(person(a)), (Seating(person(b)),), terms=terms)


async def fresh(numbers: int = 5, use: Use = Use.PAIRS) -> Service:
    return await service(NoIndex(), numbers=numbers, use=use)


async def who(s: Service, caller: int | str, dialled: int) -> tuple[str, int] | None:
    key = caller if isinstance(caller, str) else person(caller).reveal()
    found = await s.sessions.resolve(TENANT, key, proxy(dialled))
    return None if found is None else (found[0].id, found[1])


def digits_of(s: Service, dialled: object) -> int:
    return next(count for count in range(1, 100) if proxy(count) == dialled)


async def test_each_side_of_a_pair_is_found_by_the_number_it_knows():
    s = await fresh()
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    a, b = (digits_of(s, one.proxy) for one in session.participants)
    assert await who(s, 1, a) == (session.id, 0)
    assert await who(s, 2, b) == (session.id, 1)
    assert await who(s, 3, a) is None


async def test_one_person_has_another_number_in_each_session():
    s = await fresh(3)
    sessions = [await s.sessions.open(TENANT, pair(1, other), an_id()) for other in (2, 3, 4)]
    assert len({session.participants[0].proxy for session in sessions}) == 3
    with pytest.raises(Exhausted) as refused:
        await s.sessions.open(TENANT, pair(1, 5), an_id())
    assert refused.value.shortfall == 1
    assert refused.value.constraint == "all_held_by_participant"


@pytest.mark.parametrize("index", [NoIndex, MemoryIndex])
async def test_the_sides_have_different_numbers_wherever_there_are_two(index: type[Index]):
    for seed in range(20):
        s = await service(index(), numbers=2, hand=Hand(dice=random.Random(seed)))
        session = await s.sessions.open(TENANT, pair(1, 2), an_id())
        assert len({one.proxy for one in session.participants}) == 2
        changed = await s.sessions.change(TENANT, session.id, SessionChange(a=Seating(person(3))))
        assert len({one.proxy for one in changed.participants}) == 2


async def test_with_one_number_left_both_sides_have_it_and_are_told_apart_by_who_calls():
    s = await fresh(1)
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    assert await who(s, 1, 1) == (session.id, 0)
    assert await who(s, 2, 1) == (session.id, 1)


async def test_a_shared_number_is_one_for_both():
    s = await fresh()
    session = await s.sessions.open(TENANT, pair(1, 2, numbers="shared"), an_id())
    assert len({one.proxy for one in session.participants}) == 1


async def test_a_closed_session_connects_nobody_and_its_numbers_rest():
    s = await fresh(1)
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    closed = await s.sessions.close(TENANT, session.id)
    assert closed.close_reason is CloseReason.API
    assert s.ended == [closed]
    assert await who(s, 1, 1) is None
    with pytest.raises(Exhausted):
        await s.sessions.open(TENANT, pair(1, 3), an_id())
    again = await s.sessions.open(TENANT, pair(1, 2), an_id())
    assert await who(s, 1, 1) == (again.id, 0)


async def test_a_session_is_routable_until_its_end_and_not_after():
    s = await fresh()
    session = await s.sessions.open(TENANT, pair(1, 2, ttl_s=600), an_id())
    a = digits_of(s, session.participants[0].proxy)
    s.hand.at += 599.9
    assert await who(s, 1, a) == (session.id, 0)
    s.hand.at += 0.1
    assert await who(s, 1, a) is None


async def test_who_is_replaced_no_longer_gets_through_and_the_newcomer_does():
    s = await fresh()
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    a, b = (digits_of(s, one.proxy) for one in session.participants)
    changed = await s.sessions.change(TENANT, session.id, SessionChange(others=(Seating(person(3)),)))
    assert changed.participants[0] == session.participants[0]
    assert changed.participants[1].party == person(3)
    assert await who(s, 2, b) is None
    assert await who(s, 3, digits_of(s, changed.participants[1].proxy)) == (session.id, 1)
    assert await who(s, 1, a) == (session.id, 0)


async def test_pins_can_be_turned_on_and_off_on_a_live_session():
    s = await fresh()
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    on = await s.sessions.change(TENANT, session.id, SessionChange(terms={"pin_mode": "always"}))
    assert all(len(one.pin) == 6 for one in on.participants)
    a = on.participants[0]
    assert await who(s, f"{PIN}{a.pin}", digits_of(s, a.proxy)) == (session.id, 0)
    kept = await s.sessions.change(TENANT, session.id, SessionChange(terms={"call_limit_s": 60}))
    assert kept.participants == on.participants
    off = await s.sessions.change(TENANT, session.id, SessionChange(terms={"pin_mode": "off"}))
    assert not any(one.pin for one in off.participants)
    assert await who(s, f"{PIN}{a.pin}", digits_of(s, a.proxy)) is None


async def test_a_pin_lets_another_phone_in_on_its_number_alone():
    s = await fresh()
    session = await s.sessions.open(TENANT, pair(1, 2, pin_mode="unknown"), an_id())
    a, b = session.participants
    assert await who(s, f"{PIN}{a.pin}", digits_of(s, a.proxy)) == (session.id, 0)
    if a.proxy != b.proxy:
        assert await who(s, f"{PIN}{a.pin}", digits_of(s, b.proxy)) is None


async def test_a_pin_that_is_taken_on_the_number_is_made_anew_but_never_if_it_was_asked_for():
    s = await fresh(1)
    terms = {"pin_mode": "unknown", "pin_length": 4}
    first = NewSession(Seating(person(1), pin="1234"), (Seating(person(2), pin="5678"),), terms=terms)
    await s.sessions.open(TENANT, first, an_id())
    wanted = NewSession(Seating(person(3), pin="1234"), (Seating(person(4)),), terms=terms)
    with pytest.raises(Conflict) as refused:
        await s.sessions.open(TENANT, wanted, an_id())
    assert refused.value.code == "PIN_TAKEN"
    rolled = iter(["1234", "5678", "9999", "5678", "8888", "7777"])
    s.sessions._p = replace(
        s.sessions._p, makers=replace(s.sessions._p.makers, digits=lambda n: next(rolled))
    )
    made = await s.sessions.open(TENANT, replace(wanted, a=Seating(person(3))), an_id())
    assert {one.pin for one in made.participants}.isdisjoint({"1234", "5678"})


async def test_anybody_reaches_party_a_of_an_open_number_and_nobody_else_has_it():
    s = await fresh(1, Use.ANYONE)
    session = await s.sessions.open(TENANT, NewSession(Seating(person(1)), model=Model.ANYONE), an_id())
    assert await who(s, "*", 1) == (session.id, -1)
    assert await who(s, 1, 1) == (session.id, 0)
    with pytest.raises(Exhausted):
        await s.sessions.open(TENANT, NewSession(Seating(person(2)), model=Model.ANYONE), an_id())


async def test_nobody_takes_part_twice_and_no_proxy_number_does():
    s = await fresh()
    with pytest.raises(InvalidInput, match="twice"):
        await s.sessions.open(TENANT, pair(1, 1), an_id())
    with pytest.raises(InvalidInput) as refused:
        await s.sessions.open(TENANT, NewSession(Seating(person(1)), (Seating(proxy(2)),)), an_id())
    assert refused.value.code == "PROXY_NUMBER_AS_PARTY"


async def test_an_index_that_has_forgotten_everything_does_not_make_a_full_pool_look_contended():
    s = await service(MemoryIndex(), numbers=40)
    for other in range(2, 41):
        await s.sessions.open(TENANT, pair(1, other), an_id())
    await s.sessions.settle()
    s.index._held.clear()  # type: ignore[attr-defined]
    last = await s.sessions.open(TENANT, pair(1, 41), an_id())
    assert await who(s, 1, digits_of(s, last.participants[0].proxy)) == (last.id, 0)
    with pytest.raises(Exhausted):
        await s.sessions.open(TENANT, pair(1, 42), an_id())


def called_back(session: Session) -> Party | None:
    called = first_callee(session)
    return None if called is None else called.party


async def test_the_member_heard_from_last_is_called_back_whatever_seat_others_leave_or_take():
    s = await fresh()
    others = tuple(Seating(person(one)) for one in (2, 3))
    wanted = NewSession(Seating(person(1)), others, model=Model.GROUP)
    session = await s.sessions.open(TENANT, wanted, an_id())
    await s.ledger.use(TENANT, session.id, 2, s.hand.at, session.ends_at)
    swapped = SessionChange(others=(Seating(person(3)), Seating(person(4))))
    changed = await s.sessions.change(TENANT, session.id, swapped)
    assert called_back(changed) == person(3)
    gone = SessionChange(others=(Seating(person(4)), Seating(person(5))))
    assert called_back(await s.sessions.change(TENANT, session.id, gone)) == person(4)


async def test_what_was_read_before_a_session_ended_brings_it_back_nowhere():
    s = await service(MemoryIndex())
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    read = await s.ledger.use(TENANT, session.id, 1, s.hand.at, session.ends_at)
    assert read is not None
    await s.sessions.close(TENANT, session.id)
    s.index._held.clear()  # type: ignore[attr-defined]
    s.sessions.used(read)
    await s.sessions.settle()
    assert session.id not in s.copy.kept
    assert await who(s, 1, digits_of(s, session.participants[0].proxy)) is None


async def test_what_was_read_before_a_change_of_people_does_not_bring_back_who_left():
    s = await service(MemoryIndex())
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    read = await s.ledger.use(TENANT, session.id, 1, s.hand.at, session.ends_at)
    assert read is not None
    changed = await s.sessions.change(TENANT, session.id, SessionChange(others=(Seating(person(3)),)))
    s.sessions.used(read)
    await s.sessions.settle()
    assert s.copy.kept[session.id] == changed


async def test_the_same_two_with_the_same_pin_again_get_other_numbers_for_the_pin_rests_on_the_old():
    s = await fresh(5)
    terms = {"pin_mode": "unknown", "pin_length": 4}
    wanted = NewSession(Seating(person(1), pin="1234"), (Seating(person(2), pin="5678"),), terms=terms)
    first = await s.sessions.open(TENANT, wanted, an_id())
    await s.sessions.close(TENANT, first.id)
    again = await s.sessions.open(TENANT, wanted, an_id())
    assert [one.pin for one in again.participants] == ["1234", "5678"]
    for before, after in zip(first.participants, again.participants, strict=True):
        assert before.proxy != after.proxy


async def test_the_same_two_are_found_again_before_the_index_has_heard_of_it():
    s = await service(MemoryIndex(), numbers=1)
    first = await s.sessions.open(TENANT, pair(1, 2), an_id())
    await s.sessions.close(TENANT, first.id)
    await s.sessions.settle()
    assert await s.index.look_up(TENANT, person(1).reveal(), 1, s.hand.at) is not None, "it is quarantined"
    again = await s.sessions.open(TENANT, pair(1, 2), an_id())
    assert await who(s, 1, 1) == (again.id, 0)


class SlowLedger(MemoryLedger):
    """One whose first answer was read before something was stored."""

    asked = 0

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session | None:
        self.asked += 1
        return None if self.asked == 1 else await super().get(tenant, session_id)


async def test_a_second_attempt_is_told_what_the_first_one_stored_meanwhile():
    s, chosen = await service(NoIndex(), ledger=SlowLedger()), an_id()
    first = await s.sessions.open(TENANT, pair(1, 2), chosen)
    again = await s.sessions.open(TENANT, pair(1, 2, sticky="avoid"), chosen, again=True)
    assert again == first, "though it chose other numbers before it heard of that"
    await s.sessions.settle()
    assert s.copy.kept == {first.id: first}
