"""Random stories told to the whole masking service and to a model of a few dicts: they never disagree.

After every step each door that ever was anybody's is dialled. The story goes on while the index is emptied,
cut off, or told late what was true once; the keeper comes when it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from proxy_pool.core.choice import Exhausted
from proxy_pool.core.number import Use
from proxy_pool.core.opening import used
from proxy_pool.core.party import key_of
from proxy_pool.core.reach import Approach, Reached, reach
from proxy_pool.core.session import Binding, Channel, Model, Session, SessionId
from proxy_pool.desk import NewSession, Seating, SessionChange
from proxy_pool.keeper import Keeper
from proxy_pool.no_index import NoIndex
from proxy_pool.sessions import Sessions
from telephony.errors import Conflict
from telephony.ids import TenantId
from telephony.numbers import E164
from tests.contract.proxy_pool.index_rig import Server
from tests.contract.proxy_pool.service_rig import InMemory, OnFile, OnRedis, Stage, fresh_file
from tests.rig.masking import TENANT, Hand, Service, person, pool_number, proxy, service, ulid
from tests.rig.masking_model import Number, Promises

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

T = TypeVar("T")
QUARANTINE_S = 200
NOTICE_S = 40
_USES = (Use.PAIRS, Use.PAIRS, Use.PAIRS, Use.PAIRS, Use.ANYONE, Use.ANYONE, Use.EXTENSIONS)
"""Of the pool's numbers 1, 2, 3 …; number 4 is only given by name."""
_RESERVED = 4
_SEEN = Approach(pin_shown=True)

people = st.integers(0, 4)
named = st.sampled_from([None, None, None, None, 1, 2, 4, 5, 9])
places = st.integers(0, 1000)


@dataclass
class Wanted:
    """What one opening asks for, in the test's own words."""

    a: int
    others: tuple[int, ...]
    model: Model = Model.PAIR
    shared: bool = False
    asked: int | None = None
    name: str = ""
    extension: str = ""
    terms: dict[str, object] = field(default_factory=dict)

    @property
    def claims(self) -> list[tuple[dict[str, str], str | None]]:
        """The people who need one number together, with their peers, and the number that was asked for."""
        keys = [person(one).reveal() for one in (self.a, *self.others)]
        peers = dict(zip(keys, reversed(keys), strict=True)) if self.model is Model.PAIR else {}
        asked = None if self.asked is None else proxy(self.asked).reveal()
        if self.model is Model.ANYONE:
            return [({"*": "", keys[0]: ""}, asked)]
        if self.model is Model.EXTENSION:
            return [({f"ext:{self.extension}": ""} if self.extension else {}, asked)]
        if self.shared:
            return [({key: peers.get(key, "") for key in keys}, asked)]
        return [({key: peers.get(key, "")}, asked if key == keys[0] else None) for key in keys]

    @property
    def use(self) -> Use:
        return {Model.ANYONE: Use.ANYONE, Model.EXTENSION: Use.EXTENSIONS}.get(self.model, Use.PAIRS)

    def new(self) -> NewSession:
        number = None if self.asked is None else proxy(self.asked)
        return NewSession(
            Seating(person(self.a), number=number),
            tuple(Seating(person(one)) for one in self.others),
            model=self.model,
            terms={"quarantine_s": QUARANTINE_S, **self.terms}
            | ({"numbers": "shared"} if self.shared else {}),
            extension=self.extension,
            unique_name=self.name,
        )


class Story(RuleBasedStateMachine):
    """One life of a service, on whatever stage it is given."""

    def __init__(self, runner: asyncio.Runner, open_stage: Callable[[Hand], Awaitable[Stage]]) -> None:
        super().__init__()
        self._runner = runner
        self.hand = Hand()
        self.promised = Promises(self.hand.at)
        self.count = 0
        self.late: list[list[Binding]] = []
        self.stage = self.do(open_stage(self.hand))
        self.made: Service = self.do(self._serve())

    async def _serve(self) -> Service:
        made = await service(
            self.stage.index, ledger=self.stage.ledger, book=self.stage.book, hand=self.hand, numbers=0
        )
        for count, use in enumerate(_USES, start=1):
            await self.stage.book.add(replace(pool_number(count, use), reserved=count == _RESERVED))
            self.promised.numbers[proxy(count).reveal()] = Number(use, reserved=count == _RESERVED)
        await made.pool.refresh()
        await self.stage.mend()
        return made

    def do(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        return self._runner.run(run())

    def teardown(self) -> None:
        async def end() -> None:
            await self.made.sessions.settle()
            await self._dial_everybody()
            await self.stage.close()

        self.do(end())

    # ------------------------------------------------------------ opening

    @rule(
        two=st.permutations(range(5)).map(lambda order: (order[0], order[1])),
        shared=st.sampled_from([False, False, True]),
        asked=named,
        ttl_s=st.sampled_from([0, 60, 300]),
        life_s=st.sampled_from([60, 600, 3600]),
        sticky=st.sampled_from(["prefer", "prefer", "avoid"]),
        pin=st.sampled_from(["off", "off", "unknown"]),
        name=st.sampled_from(["", "", "", "one", "two"]),
    )
    def open_pair(
        self,
        two: tuple[int, int],
        shared: bool,
        asked: int | None,
        ttl_s: int,
        life_s: int,
        sticky: str,
        pin: str,
        name: str,
    ) -> None:
        terms = {"ttl_s": ttl_s, "max_lifetime_s": life_s, "sticky": sticky, "pin_mode": pin}
        self._told(self._open(Wanted(two[0], two[1:], Model.PAIR, shared, asked, name, terms=terms)))

    @rule(order=st.permutations(range(5)), size=st.integers(2, 3), shared=st.booleans())
    def open_group(self, order: list[int], size: int, shared: bool) -> None:
        wanted = Wanted(order[0], tuple(order[1 : 1 + size]), Model.GROUP, shared, terms={"ttl_s": 300})
        self._told(self._open(wanted))

    @rule(two=st.permutations(range(5)), callee=st.booleans(), asked=named)
    def open_to_anyone(self, two: list[int], callee: bool, asked: int | None) -> None:
        others = (two[1],) if callee else ()
        self._told(self._open(Wanted(two[0], others, Model.ANYONE, asked=asked, terms={"ttl_s": 300})))

    @rule(a=people, extension=st.sampled_from(["", "11", "22"]))
    def open_extension(self, a: int, extension: str) -> None:
        self._told(self._open(Wanted(a, (), Model.EXTENSION, extension=extension)))

    @rule(first=st.permutations(range(5)), second=st.permutations(range(5)))
    def open_two_at_once(self, first: list[int], second: list[int]) -> None:
        """Whoever is served first: no door is anybody's twice, and whoever is refused truly had to be."""
        wishes = [Wanted(order[0], (order[1],)) for order in (first, second)]

        async def both() -> None:
            got = await asyncio.gather(*(_outcome(self._try(one)) for one in wishes))
            for found in got:
                if isinstance(found, Session):
                    self.promised.open(found)
            for wanted, found in zip(wishes, got, strict=True):
                if not isinstance(found, Session):
                    assert found == Exhausted.code
                    assert not self._must_succeed(wanted)

        self._told(both())

    async def _try(self, wanted: Wanted) -> Session:
        self.count += 1
        return await self.made.sessions.open(TENANT, wanted.new(), SessionId(ulid("ses", self.count)))

    async def _open(self, wanted: Wanted) -> None:
        sure, never = self._must_succeed(wanted), self._must_fail(wanted)
        again = self._same_again(wanted)
        taken = self.promised.name_taken(wanted.name)
        session = await _outcome(self._try(wanted))
        if session == Exhausted.code:
            assert not sure, "a number was free, and nobody was given it"
            assert again is None
            return
        assert (session == "UNIQUE_NAME_TAKEN") == taken
        if taken:
            return
        assert isinstance(session, Session), session
        assert again is not None or not never, "there was nothing to give"
        given = {one.proxy.reveal() for one in session.participants}
        assert given <= self.promised.fitting(wanted.use, None) | self._asked(wanted)
        if again is not None:
            assert tuple(one.proxy.reveal() for one in session.participants) == again
        self.promised.open(session)

    def _asked(self, wanted: Wanted) -> set[str]:
        if wanted.asked is None:
            return set()
        return self.promised.fitting(wanted.use, proxy(wanted.asked).reveal())

    def _must_succeed(self, wanted: Wanted) -> bool:
        """For each claim there is a number that nobody of it holds in any way."""
        return all(self.promised.free_for(keys, wanted.use, asked) for keys, asked in wanted.claims)

    def _must_fail(self, wanted: Wanted) -> bool:
        """For some claim every number is barred, also to those for whom quarantined ones give way."""
        return not all(self.promised.open_to(keys, wanted.use, asked) for keys, asked in wanted.claims)

    def _same_again(self, wanted: Wanted) -> tuple[str, str] | None:
        """The numbers that the same two must be given again; None where nothing is promised."""
        if wanted.model is not Model.PAIR or wanted.shared or wanted.asked is not None:
            return None
        a, b = (person(one).reveal() for one in (wanted.a, *wanted.others))
        before = self.promised.last.get((a, b))
        if before is None or wanted.terms.get("sticky") == "avoid":
            return None
        held = self.promised.barred((a, before[0]), b) or self.promised.barred((b, before[1]), a)
        return None if held or not all(map(self.promised.plainly_usable, before)) else before

    # ------------------------------------------------------------ changing, closing, using

    def _pick(self, place: int) -> SessionId | None:
        known = list(self.promised.sessions)
        return SessionId(known[-1 - place % min(len(known), 6)]) if known else None

    @rule(place=places, newcomer=people, whom=st.sampled_from(["a", "b"]), ttl_s=st.sampled_from([None, 60]))
    def change(self, place: int, newcomer: int, whom: str, ttl_s: int | None) -> None:
        """Somebody takes another's seat; or stays, and the terms change."""
        session_id = self._pick(place)
        if session_id is None:
            return
        kept = self.promised.sessions[session_id]
        fresh, digits = Seating(person(newcomer)), person(newcomer).reveal()
        if whom == "a" or kept.model is Model.EXTENSION:
            asked = SessionChange(a=fresh)
        elif kept.model is Model.GROUP:
            stay = kept.people[max(kept.people)][0]
            asked = SessionChange(others=(Seating(E164(stay)), fresh))
        else:
            asked = SessionChange(others=(fresh,))
        if ttl_s is not None:
            asked = replace(asked, terms={"ttl_s": ttl_s})
        after = {digits} if asked.a else {kept.people[0][0]}
        others = [_digits(one) for one in asked.others] if asked.others else None
        rest = others if others is not None else [key for seat, (key, _, _) in kept.people.items() if seat]
        if after & set(rest) or len(set(rest)) < len(rest):
            return
        self._told(self._change(session_id, asked))

    async def _change(self, session_id: SessionId, asked: SessionChange) -> None:
        kept = self.promised.sessions[session_id]
        fresh = [one for one in (asked.a, *(asked.others or ())) if one is not None][-1]
        sure = kept.own_numbers and self.promised.free_for([_digits(fresh)], Use.PAIRS, None)
        changed = await _outcome(self.made.sessions.change(TENANT, session_id, asked))
        is_open = kept.live and self.hand.at < kept.ends_at
        if changed == Exhausted.code:
            assert is_open
            assert not sure
            return
        assert (changed == "SESSION_CLOSED") == (not is_open)
        if not is_open:
            return
        assert isinstance(changed, Session), changed
        before = {key: (number, pin) for key, number, pin in kept.people.values()}
        for one in changed.participants:
            stayed = before.get(key_of(one.party))
            assert stayed is None or stayed == (one.proxy.reveal(), one.pin), "who stays keeps everything"
        self.promised.change(changed)

    @rule(place=places)
    def close(self, place: int) -> None:
        session_id = self._pick(place)
        if session_id is not None:
            self._told(self._close(session_id))

    async def _close(self, session_id: SessionId) -> None:
        closed = await self.made.sessions.close(TENANT, session_id)
        assert not closed.live
        if self.promised.sessions[session_id].live:
            self.promised.close(session_id)

    @rule(place=places, seat=st.integers(-1, 3), tell=st.booleans())
    def use(self, place: int, seat: int, tell: bool) -> None:
        """An interaction; the index may hear of it or not (somebody else's process noted it)."""
        session_id = self._pick(place)
        if session_id is not None and (seat < 0 or seat in self.promised.sessions[session_id].people):
            self._told(self._use(session_id, seat, tell))

    async def _use(self, session_id: SessionId, seat: int, tell: bool) -> None:
        known = await self.made.sessions.get(TENANT, session_id)
        now = self.hand.at
        noted = await self.stage.ledger.use(TENANT, session_id, seat, now, used(known, seat, now).ends_at)
        assert (noted is not None) == self.promised.use(session_id, seat)
        if noted is not None and tell:
            self.made.sessions.used(noted)

    # ------------------------------------------------------------ time, the pool, the process

    @rule(seconds=st.sampled_from([0.5, 30.0, 60.0, float(QUARANTINE_S), 600.0]))
    def wait(self, seconds: float) -> None:
        self.hand.at += seconds
        self.promised.now = self.hand.at
        self._told(_nothing())

    @rule()
    def keeper_comes(self) -> None:
        async def notice(tenant: TenantId) -> int:
            return NOTICE_S

        keeper = Keeper(
            self.made.sessions,
            self.stage.ledger,
            self.stage.index,
            self.made.pool,
            self.hand.now,
            notice,
        )
        self.promised.keep()
        self._told(keeper.once())

    @rule(count=st.integers(1, len(_USES)), reserved=st.booleans())
    def suspend_or_resume(self, count: int, reserved: bool) -> None:
        known = self.made.pool.of(TENANT, proxy(count))
        if known is None:
            return
        change = {"reserved": not known.reserved} if reserved else {"suspended": not known.suspended}
        number = self.promised.numbers[proxy(count).reveal()]
        number.suspended ^= not reserved
        number.reserved ^= reserved

        async def work() -> None:
            await self.stage.book.change(replace(known, **change))
            await self.made.pool.refresh()

        self._told(work())

    @rule(count=st.integers(1, len(_USES)))
    def remove_or_add(self, count: int) -> None:
        digits, known = proxy(count).reveal(), self.made.pool.of(TENANT, proxy(count))

        async def work() -> None:
            if known is None:
                self.count += 1
                fresh = replace(pool_number(count, _USES[count - 1]), id=ulid("num", 1000 + self.count))
                await self.stage.book.add(fresh)
                self.promised.numbers[digits] = Number(_USES[count - 1])
            else:
                try:
                    await self.stage.book.remove(TENANT, known.id)
                except Conflict:
                    assert any(door[1] == digits for door in self.promised.doors)
                else:
                    assert not any(door[1] == digits and held for door, held in self._held())
                    del self.promised.numbers[digits]
            await self.made.pool.refresh()

        self._told(work())

    def _held(self) -> Iterator[tuple[tuple[str, str], bool]]:
        return ((door, self.promised.holder(door) is not None) for door in self.promised.doors)

    @rule()
    def restart(self) -> None:
        """Another process takes over what is stored; the index stays."""
        self.do(self.made.sessions.settle())
        self.made = replace(self.made, sessions=Sessions(self.made.sessions._p))
        self._told(_nothing())

    # ------------------------------------------------------------ what befalls the index

    @rule()
    def index_forgets(self) -> None:
        self._told(self.stage.empty())

    @rule()
    def index_away(self) -> None:
        self._told(self.stage.cut())

    @rule()
    def index_back(self) -> None:
        self._told(self.stage.mend())

    @rule(place=places)
    def somebody_reads(self, place: int) -> None:
        """The beginning of a late write: what the ledger says of a session now."""
        session_id = self._pick(place)
        if session_id is not None:
            self.late.append(list(self.do(self.stage.ledger.bindings_of(TENANT, session_id))))

    @precondition(lambda self: self.late)
    @rule(place=places)
    def and_writes_late(self, place: int) -> None:
        read = self.late.pop(place % len(self.late))
        self._told(self.stage.index.put(read, self.hand.at))

    # ------------------------------------------------------------ who is found

    def _told(self, work: Coroutine[Any, Any, None]) -> None:
        async def told() -> None:
            await work
            await self._dial_everybody()

        self.do(told())

    async def _dial_everybody(self) -> None:
        for door in self.promised.used:
            assert await self._dial(door) == self.promised.behind(door), door
        for stranger in (person(7).reveal(), "*", "pin:000000", "ext:99"):
            for number in self.promised.numbers:
                if (stranger, number) not in self.promised.used:
                    assert await self._dial((stranger, number)) is None

    async def _dial(self, door: tuple[str, str]) -> tuple[str, int, str | None, str | None] | None:
        found = await self.made.sessions.resolve(TENANT, door[0], E164(door[1]))
        if found is None:
            return None
        session, seat = found
        way = reach(session, seat, Channel.VOICE, self.hand.at, _SEEN)
        if not isinstance(way, Reached):
            return session.id, seat, None, None
        return session.id, seat, key_of(way.target), way.cli.reveal()


async def _outcome(asked: Awaitable[Session]) -> Session | str:
    """The session, or the code of the refusal."""
    try:
        return await asked
    except Conflict as refused:
        return refused.code


async def _nothing() -> None:
    """Only time has passed."""


def _digits(seating: Seating) -> str:
    return key_of(seating.party)


def tell(
    open_stage: Callable[[Hand], Awaitable[Stage]],
    examples: int,
    steps: int,
    end: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Tell so many stories; how many look-ups the index answered."""
    stages: list[Stage] = []
    with asyncio.Runner() as runner:

        async def opened(hand: Hand) -> Stage:
            stages.append(await open_stage(hand))
            return stages[-1]

        try:
            run_state_machine_as_test(
                lambda: Story(runner, opened),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    derandomize=True,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            if end is not None:
                runner.run(end())
        return sum(stage.helped() for stage in stages)


def test_on_memory_alone() -> None:
    async def opened(hand: Hand) -> Stage:
        return InMemory()

    assert tell(opened, examples=250, steps=30) > 10_000


def test_on_sql_alone(masking_template: Path, tmp_path: Path) -> None:
    async def opened(hand: Hand) -> Stage:
        return OnFile(await fresh_file(masking_template, tmp_path / "story.db"), NoIndex())

    assert tell(opened, examples=15, steps=25) == 0


def test_on_redis_and_sql(masking_template: Path, tmp_path: Path) -> None:
    server = Server(tmp_path / "redis")
    lives = iter(range(1_000_000))

    async def opened(hand: Hand) -> Stage:
        life = next(lives)
        if life == 0:
            await server.start()
        await server.empty()
        database = await fresh_file(masking_template, tmp_path / "story.db")
        return OnRedis(database, server, b"a secret of story %06d" % life, hand.now)

    assert tell(opened, examples=12, steps=25, end=server.kill) > 200
