"""How a session gets its numbers: the index proposes, the ledger decides.

The crash points of opening a session, as the tests that kill the process at each of them name them:

    1  the request's Idempotency-Key is claimed, with the session's id      (gateway.http.idempotency)
    2  numbers are reserved in the index, PENDING for a minute
    3  the ledger has the session, its bindings and its event: it exists
    4  the index says LIVE
    5  the answer is on its way

Killed after 2: the reservations pass away by themselves. After 3: the retried request finds the session by
its id, and every look-up that meets PENDING asks the ledger. So nothing acknowledged can be lost, and
nothing half-made can be reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

import structlog

from proxy_pool.core.number import Wish
from proxy_pool.core.opening import bindings_of
from proxy_pool.core.session import SEAT_A, Binding, Door, Participant, Session
from proxy_pool.ports import Claim, Index, IndexAway, Ledger, PairTaken
from telephony.errors import Conflict
from telephony.evolve import replace
from telephony.ids import TenantId
from telephony.numbers import E164

_log = structlog.get_logger("proxy_pool.placing")

TRIES: Final = 6
"""How often a refusal of the ledger's is answered with other numbers."""
_PAIR: Final = 2
_GUESSES: Final = 2
"""Rounds of blind candidates before the truly free ones are asked for."""


class Point(IntEnum):
    """Where a process may die while it opens a session; the numbers are those of the module's text."""

    RESERVED = 2
    STORED = 3
    CONFIRMED = 4


class Pool(Protocol):
    """The process's memory of the pool."""

    def index_of(self, tenant: TenantId) -> Mapping[E164, int]: ...

    def number_of(self, tenant: TenantId, index: int) -> E164: ...

    def candidates(self, tenant: TenantId, wish: Wish, held: frozenset[int]) -> tuple[int, ...]:
        """At most 8, the best first. ``held`` are known not to be free for this key."""
        ...

    def exhausted(self, tenant: TenantId, wish: Wish, held: frozenset[int]) -> Conflict:
        """Why there is no number, in words a program can read."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A session whose participants sit on numbers yet to be chosen.

    ``wishes`` has one entry for each claim: for a seat with an own door the person's, for an open number
    the number's own key first. ``seats`` tells which participants take the number that a claim wins.
    ``sticky``: numbers to try first, without asking the index, which knows them as quarantined; where a PIN
    stands in the way there, others are tried with the same PIN.
    """

    wishes: tuple[Wish, ...]
    seats: tuple[tuple[int, ...], ...]
    shared: bool
    sticky: tuple[E164, ...] = ()
    kept: tuple[E164 | None, ...] = ()
    """Per claim: the number it has already and keeps (a change of people), which is not claimed anew."""


Store = Callable[[Session, Sequence[Binding]], Awaitable[None]]
Repin = Callable[[Session, str], Session]
"""The session with another PIN or extension for this key's; raises Conflict where it was asked for."""


class Placer:
    """Opens and changes sessions on the pool's numbers. ``reached`` is told each crash point."""

    def __init__(
        self,
        ledger: Ledger,
        index: Index,
        pool: Pool,
        now: Callable[[], float],
        reached: Callable[[Point], None] = lambda point: None,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._pool = pool
        self._now = now
        self._reached = reached
        self.repairs = 0
        """How often the ledger knew better than the index."""

    async def place(
        self, blank: Session, draft: Draft, store: Store, repin: Repin
    ) -> tuple[Session, tuple[Binding, ...]]:
        """Choose numbers and store the session. Raises Exhausted, Conflict, StorageUnavailable."""
        held: list[frozenset[int]] = [frozenset()] * len(draft.wishes)
        sticky = draft.sticky
        for _ in range(TRIES):
            chosen, reserved = await self._choose(blank, draft, sticky, held)
            self._reached(Point.RESERVED)
            session = seat(blank, draft, chosen)
            bindings = bindings_of(session, self._pool.index_of(session.tenant))
            try:
                await store(session, bindings)
            except PairTaken as taken:
                await self._learn(taken.binding, reserved)
                if taken.binding.door.key in {wish.key for wish in draft.wishes}:
                    held = await self._more_held(blank, draft, taken.binding, held)
                elif not sticky:
                    blank = repin(blank, taken.binding.door.key)
                sticky = ()
                continue
            except BaseException:  # why: cancelled too, what was reserved must be free again
                await self._index.drop(reserved)
                raise
            self._reached(Point.STORED)
            return session, bindings
        raise Conflict("the pool is too busy with others' requests", code="POOL_CONTENDED")

    async def confirm(self, bindings: Sequence[Binding]) -> None:
        """Tell the index what the ledger has decided."""
        await self._index.put(bindings, self._now())
        self._reached(Point.CONFIRMED)

    async def _learn(self, owner: Binding, reserved: Sequence[Door]) -> None:
        """The index had forgotten the true owner: write it back, and give up what was reserved in vain."""
        self.repairs += 1
        _log.info("pool.repaired", tenant=owner.door.tenant)
        mine = [door for door in reserved if door != owner.door]
        await self._index.drop(mine)
        await self._index.put([owner], self._now())

    async def _more_held(
        self, blank: Session, draft: Draft, owner: Binding, held: Sequence[frozenset[int]]
    ) -> list[frozenset[int]]:
        """What is known to be held, with all that the ledger knows of the one who was refused: an index that
        has forgotten one door may have forgotten them all, and a try for each would be too few."""
        key = owner.door.key
        truly = await self._ledger.held(blank.tenant, key, self._now()) | {owner.door.index}
        return [
            known | truly if draft.shared or wish.key == key else known
            for known, wish in zip(held, draft.wishes, strict=True)
        ]

    async def _choose(
        self, blank: Session, draft: Draft, sticky: Sequence[E164], held: Sequence[frozenset[int]]
    ) -> tuple[tuple[E164, ...], tuple[Door, ...]]:
        """A number for each claim, and the doors that were reserved for them in the index.

        Where the index cannot be asked, or its guesses all miss, the ledger is asked what is truly free:
        nobody is told that the pool is exhausted on the word of an index.
        """
        if sticky:
            return tuple(sticky), ()
        number_of = self._pool.number_of
        try:
            picked, claimed = await self._by_index(blank, draft, held)
        except IndexAway:
            picked, claimed = [], ()
        chosen = picked or await self._by_ledger(blank, draft, held)
        return tuple(number_of(blank.tenant, index) for index in chosen), claimed

    async def _by_index(
        self, blank: Session, draft: Draft, held: Sequence[frozenset[int]]
    ) -> tuple[list[int], tuple[Door, ...]]:
        """The indices that were reserved, and their doors; nothing when every guess missed."""
        known = list(held)
        for _ in range(_GUESSES):
            picked, missed = await self._try_reserve(blank, draft, known)
            doors = self._doors(blank, draft, picked)
            if not missed:
                return [index for index in picked if index is not None], doors
            await self._index.drop(doors)
            known = [mine | more for mine, more in zip(known, missed, strict=True)]
        return [], ()

    async def _try_reserve(
        self, blank: Session, draft: Draft, held: Sequence[frozenset[int]]
    ) -> tuple[list[int | None], list[frozenset[int]]]:
        """One round: what each claim got, and (empty if all got theirs) what each is known not to get."""
        if draft.shared:
            return await self._reserve_shared(blank, draft, held)
        tenant = blank.tenant
        index_of = self._pool.index_of(tenant)
        picked = [None if kept is None else index_of[kept] for kept in _kept(draft)]
        vacant = [place for place, index in enumerate(picked) if index is None]
        offers = {place: self._pool.candidates(tenant, draft.wishes[place], held[place]) for place in vacant}
        if len(picked) == _PAIR:
            _tell_apart(offers, picked)
        claims = [self._claim(blank, draft, place, offers[place]) for place in vacant]
        won = await self._index.reserve(claims, self._now())
        for place, index in zip(vacant, won, strict=True):
            picked[place] = index
        if None not in picked:
            return picked, []
        return picked, [
            frozenset(offers[place]) if index is None else frozenset() for place, index in enumerate(picked)
        ]

    async def _reserve_shared(
        self, blank: Session, draft: Draft, held: Sequence[frozenset[int]]
    ) -> tuple[list[int | None], list[frozenset[int]]]:
        """One number for all: the first person's free one, if the others can have it as well."""
        places = range(len(draft.wishes))
        offer = self._pool.candidates(blank.tenant, draft.wishes[0], frozenset[int]().union(*held))
        first = (await self._index.reserve([self._claim(blank, draft, 0, offer)], self._now()))[0]
        if first is None:
            return [None for _ in places], [frozenset(offer) for _ in places]
        rest = [self._claim(blank, draft, place, (first,)) for place in places[1:]]
        won = [first, *await self._index.reserve(rest, self._now())]
        return list(won), [frozenset({first}) for _ in places] if None in won else []

    async def _by_ledger(self, blank: Session, draft: Draft, held: Sequence[frozenset[int]]) -> list[int]:
        """Choose by what the ledger says is free; it has the last word as ever. Raises Exhausted."""
        tenant = blank.tenant
        truly = [
            known | await self._ledger.held(tenant, wish.key, self._now())
            for known, wish in zip(held, draft.wishes, strict=True)
        ]
        if draft.shared:
            return [self._free(tenant, draft.wishes[0], frozenset[int]().union(*truly))] * len(truly)
        index_of = self._pool.index_of(tenant)
        picked: list[int] = []
        taken = {index_of[kept] for kept in _kept(draft) if kept is not None}
        for wish, known, kept in zip(draft.wishes, truly, _kept(draft), strict=True):
            apart = taken.union(picked) if len(draft.wishes) == _PAIR else set[int]()
            other = kept is None and self._pool.candidates(tenant, wish, known | apart)
            if other:
                picked.append(other[0])
            else:
                picked.append(self._free(tenant, wish, known) if kept is None else index_of[kept])
        return picked

    def _free(self, tenant: TenantId, wish: Wish, held: frozenset[int]) -> int:
        offer = self._pool.candidates(tenant, wish, held)
        if not offer:
            raise self._pool.exhausted(tenant, wish, held)
        return offer[0]

    def _claim(self, blank: Session, draft: Draft, place: int, offer: tuple[int, ...]) -> Claim:
        first = draft.seats[place][0] if draft.seats[place] else SEAT_A
        return Claim(blank.tenant, draft.wishes[place].key, offer, blank.id, first)

    def _doors(self, blank: Session, draft: Draft, picked: Sequence[int | None]) -> tuple[Door, ...]:
        number_of = self._pool.number_of
        return tuple(
            Door(blank.tenant, wish.key, number_of(blank.tenant, index), index)
            for wish, index, kept in zip(draft.wishes, picked, _kept(draft), strict=True)
            if index is not None and kept is None
        )


def _tell_apart(offers: dict[int, tuple[int, ...]], picked: Sequence[int | None]) -> None:
    """The two sides get different numbers wherever there are two: what the first side is offered (or keeps)
    comes last for the second, in the opposite order."""
    first = offers.get(0) or tuple(index for index in picked[:1] if index is not None)
    if 1 in offers:
        own = [index for index in offers[1] if index not in first]
        offers[1] = (*own, *(index for index in reversed(first) if index in offers[1]))
    elif picked[1] is not None and 0 in offers:
        other = picked[1]
        offers[0] = (*(index for index in offers[0] if index != other), *({other} & {*offers[0]}))


def _kept(draft: Draft) -> tuple[E164 | None, ...]:
    return draft.kept or (None,) * len(draft.wishes)


def seat(blank: Session, draft: Draft, chosen: Sequence[E164]) -> Session:
    """The session with everybody on the number that was chosen for their claim."""
    number_at = {seat: number for seats, number in zip(draft.seats, chosen, strict=True) for seat in seats}
    people = tuple(
        Participant(one.seat, one.party, number_at[one.seat], one.pin) for one in blank.participants
    )
    return replace(blank, participants=people)
