"""Random stories told to the ledger and to a model of a few dicts: they never disagree."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_pool.core.opening import bindings_of, seat_people
from proxy_pool.core.session import Binding, CloseReason, Hold, Model, Session, SessionId, Terms
from proxy_pool.ports import PairTaken, SessionEvent, StaleVersion
from telephony.ids import TenantId
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import T0, Books, open_books, session_id

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

PEOPLE = tuple(E164(f"+1415555000{n}") for n in range(4))
QUARANTINE_S = 100.0
_Key = tuple[str, E164]

people = st.permutations(range(4)).map(lambda order: (order[0], order[1]))
numbers = st.tuples(st.integers(0, 2), st.integers(0, 2))
which = st.integers(0, 30)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("open"), people, numbers),
        st.tuples(st.just("open"), people, numbers),
        st.tuples(st.just("change"), which, people, numbers),
        st.tuples(st.just("close"), which),
        st.tuples(st.just("expire"), which),
        st.tuples(st.just("use"), which, st.integers(0, 1)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 30.0, QUARANTINE_S])),
        st.tuples(st.just("sweep")),
    ),
    max_size=25,
)


@dataclass
class Held:
    """A door in the model. ``free_at`` None: live."""

    session: SessionId
    seat: int
    peer: str
    free_at: float | None = None


@dataclass
class World:
    """The model: what must be true after each step."""

    tenant: TenantId
    index: dict[E164, int]
    now: float = T0
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    doors: dict[_Key, Held] = field(default_factory=dict)

    def blocked(self, wanted: list[Binding], own: SessionId | None = None) -> bool:
        return any(self._blocks(one, own) for one in wanted)

    def _blocks(self, one: Binding, own: SessionId | None) -> bool:
        held = self.doors.get((one.door.key, one.door.proxy))
        if held is None:
            return False
        if held.free_at is None:
            return held.session != own
        return held.free_at > self.now and held.peer != one.peer

    def hold(self, session: Session, wanted: list[Binding]) -> None:
        self.sessions[session.id] = session
        for one in wanted:
            self.doors[one.door.key, one.door.proxy] = Held(session.id, one.entry.seat, one.peer)

    def let_go(self, session: SessionId, but: list[Binding], free_at: float) -> None:
        kept = {(one.door.key, one.door.proxy) for one in but}
        for door, held in self.doors.items():
            if held.session == session and held.free_at is None and door not in kept:
                held.free_at = free_at


class Story:
    """Tells each step to the ledger and to the model, and compares what both say."""

    def __init__(self, books: Books, world: World, first_id: int) -> None:
        self.ledger = books.ledger
        self.world = world
        self.next_id = first_id

    def pick(self, n: int) -> Session | None:
        known = list(self.world.sessions.values())
        return known[n % len(known)] if known else None

    def seated(self, people: tuple[int, int], numbers: tuple[int, int]) -> tuple[object, ...]:
        proxies = list(self.world.index)
        return tuple((PEOPLE[who], proxies[where], "") for who, where in zip(people, numbers, strict=True))

    async def step(self, name: str, *rest: object) -> None:
        await getattr(self, name)(*rest)
        await self.compare()

    async def open(self, people: tuple[int, int], numbers: tuple[int, int]) -> None:
        world = self.world
        session = Session(
            id=session_id(self.next_id),
            tenant=world.tenant,
            model=Model.PAIR,
            terms=Terms(ttl_s=60),
            participants=seat_people(self.seated(people, numbers)),  # type: ignore[arg-type]
            created_at=world.now,
            ends_at=world.now + 60,
        )
        self.next_id += 1
        wanted = list(bindings_of(session, world.index))
        if world.blocked(wanted):
            with pytest.raises(PairTaken):
                await self.ledger.open(session, wanted, ())
            return
        await self.ledger.open(session, wanted, ())
        world.hold(session, wanted)

    async def change(self, n: int, people: tuple[int, int], numbers: tuple[int, int]) -> None:
        before = self.pick(n)
        if before is None:
            return
        world = self.world
        seats = seat_people(self.seated(people, numbers))  # type: ignore[arg-type]
        after = replace(before, participants=seats, version=before.version + 1)
        wanted = list(bindings_of(after, world.index))
        told = (SessionEvent("session.changed", world.now),)
        free_at = world.now + QUARANTINE_S
        if not before.live or world.blocked(wanted, own=before.id):
            with pytest.raises((PairTaken, StaleVersion)):
                await self.ledger.change(after, wanted, free_at, told)
            return
        await self.ledger.change(after, wanted, free_at, told)
        world.let_go(before.id, wanted, free_at)
        world.hold(after, wanted)

    async def close(self, n: int, reason: CloseReason = CloseReason.API) -> None:
        session = self.pick(n)
        if session is None:
            return
        world = self.world
        free_at = world.now + QUARANTINE_S
        done = await self.ledger.close(world.tenant, session.id, reason, world.now, free_at, ())
        over = reason is CloseReason.API or session.ends_at <= world.now
        assert (done is not None) == (session.live and over)
        if done is not None:
            world.let_go(session.id, [], free_at)
            world.sessions[session.id] = done[0]
            assert not done[0].live

    async def expire(self, n: int) -> None:
        await self.close(n, CloseReason.EXPIRED)

    async def use(self, n: int, seat: int) -> None:
        session = self.pick(n)
        if session is None:
            return
        now = self.world.now
        used = await self.ledger.use(session.tenant, session.id, seat, now, now + 60)
        assert (used is not None) == (session.live and session.ends_at > now)
        if used is not None:
            assert (used.interactions, used.ends_at) == (session.interactions + 1, now + 60)
            self.world.sessions[session.id] = used

    async def wait(self, seconds: float) -> None:
        self.world.now += seconds

    async def sweep(self) -> None:
        world = self.world
        freed = [one.door for one in await self.ledger.sweep(world.now, 1000)]
        over = {
            door
            for door, held in world.doors.items()
            if held.free_at is not None and held.free_at <= world.now
        }
        assert {(door.key, door.proxy) for door in freed if door.tenant == world.tenant} == over
        for door in over:
            del world.doors[door]

    async def compare(self) -> None:
        world = self.world
        for session in world.sessions.values():
            assert await self.ledger.get(world.tenant, session.id) == session
        for person in PEOPLE:
            key, taken = person.reveal(), set()
            for proxy, index in world.index.items():
                held = world.doors.get((key, proxy))
                if held is not None and held.free_at is not None and held.free_at <= world.now:
                    held = None
                found = await self.ledger.resolve(world.tenant, key, proxy, world.now)
                assert (found is None) == (held is None)
                if found is None or held is None:
                    continue
                taken.add(index)
                session = world.sessions[held.session]
                assert (found.entry.session, found.entry.seat) == (held.session, held.seat)
                assert (found.peer, found.entry.version) == (held.peer, session.version)
                live = held.free_at is None
                assert found.entry.hold is (Hold.LIVE if live else Hold.QUARANTINED)
                assert found.entry.until == (session.ends_at if live else held.free_at)
            assert await self.ledger.held(world.tenant, key, world.now) == taken
        due = {one.id for one in await self.ledger.due(world.now, 1000) if one.tenant == world.tenant}
        assert due == {one.id for one in world.sessions.values() if one.live and one.ends_at <= world.now}


def test_the_ledger_agrees_with_a_model_of_it(masking_url: str | None) -> None:
    """Each story has a tenant and numbers of its own, so that one database serves all."""
    with asyncio.Runner() as runner:
        opening = open_books(masking_url)
        books = runner.run(opening.__aenter__())
        stories = 0

        @settings(
            max_examples=20 if masking_url is not None and "postgresql" in masking_url else 150,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(steps)
        def tell(told: list[tuple[object, ...]]) -> None:
            nonlocal stories
            stories += 1

            async def run() -> None:
                tenant = TenantId(f"ten_{stories}")
                ours = [E164(f"+1628{stories * 10 + n:07d}") for n in range(3)]
                await books.fill_pool(tenant, ours)
                world = World(tenant, {number: place for place, number in enumerate(ours, start=1)})
                story = Story(books, world, stories * 1000)
                for step in told:
                    await story.step(*step)  # type: ignore[arg-type]
                for session in world.sessions.values():
                    await books.ledger.close(tenant, session.id, CloseReason.API, world.now, world.now, ())
                await books.ledger.sweep(world.now + QUARANTINE_S, 1000)

            runner.run(run())

        try:
            tell()
        finally:
            runner.run(opening.__aexit__(None, None, None))
