"""Which proxy numbers one side of a session is offered, and why there may be none.

The order, stated once. Use and capabilities always match and a suspended number is never offered.

1. A number asked for by name: this one and no other. Only so is a reserved number given.
2. ``prefer``, as far as ``geo`` allows it.
3. Same country and area. 4. Same country. 5. Any. Each only as far as ``geo`` allows.
6. ``avoid``, when nothing else is left.

Within one of these steps numbers are drawn at random in twos and of each two the one with fewer live doors
goes first: two choices keep 200,000 doors on 1,000 numbers at 203 at most, one choice reaches 444. Two and
not the best of all eight, because the load is a snapshot: until it is renewed everybody would pile onto the
same few. The work does not grow with the pool, but for a participant who holds nearly all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final

from proxy_pool.core.number import Geo, PoolNumber, Use, Wish
from proxy_pool.core.session import Channel
from telephony.errors import Conflict
from telephony.numbers import E164

MOST: Final = 8
"""Candidates in one claim: what the index looks at in one step."""
_TRIES: Final = 48
"""Draws before a step is searched through instead: enough unless nearly all of it is held."""

Chance = Callable[[int], int]
"""``chance(n)`` is one of 0 … n-1, as ``random.randrange``."""
_Scope = tuple[str, str]
"""(country, area); an empty text is "any"."""


class PoolMap:
    """One tenant's numbers, ordered for the choice. Made anew when the pool changes, never per session."""

    def __init__(self, numbers: Iterable[PoolNumber]) -> None:
        self.numbers: Final = tuple(numbers)
        self._by_index = {number.index: number for number in self.numbers}
        self._by_number = {number.number: number for number in self.numbers}
        steps: dict[tuple[Use, frozenset[Channel], _Scope], list[int]] = {}
        for number in self.numbers:
            if number.suspended or number.reserved:
                continue
            for capabilities in _subsets(number.capabilities):
                for scope in _scopes_of(number):
                    steps.setdefault((number.use, capabilities, scope), []).append(number.index)
        self._steps = {key: tuple(indices) for key, indices in steps.items()}

    def at(self, index: int) -> PoolNumber | None:
        return self._by_index.get(index)

    def of(self, number: E164) -> PoolNumber | None:
        return self._by_number.get(number)

    def offered(self, wish: Wish, scope: _Scope) -> Sequence[int]:
        """Indices of the numbers that fit the wish within this scope, none reserved or suspended."""
        return self._steps.get((wish.use, wish.capabilities, scope), ())


def candidates(
    pool: PoolMap, wish: Wish, taken: Collection[int], load: Mapping[int, int], chance: Chance
) -> tuple[int, ...]:
    """At most eight indices, in order of preference; empty when ``shortage`` has a reason to tell.

    ``taken``: indices that this participant is known to hold; it may be incomplete, the index and the ledger
    know. ``load``: live doors per index, as of late; an index that it lacks has none.
    """
    if wish.number is not None:
        named = pool.of(wish.number)
        fits = named is not None and not named.suspended and _suits(named, wish)
        return (named.index,) if named is not None and fits and named.index not in taken else ()
    preferred = _index_of(pool, wish, wish.prefer)
    avoided = _index_of(pool, wish, wish.avoid)
    found = [] if preferred is None or preferred in taken or preferred == avoided else [preferred]
    for scope in _ladder(wish):
        if len(found) >= MOST:
            break
        shut = {*found} if avoided is None else {*found, avoided}
        drawn = _draw(pool.offered(wish, scope), taken, shut, MOST - len(found), chance)
        found.extend(_lighter_first(drawn, load))
    if len(found) < MOST and avoided is not None and avoided not in taken:
        found.append(avoided)
    return tuple(found)


def _draw(
    step: Sequence[int], taken: Collection[int], shut: set[int], wanted: int, chance: Chance
) -> list[int]:
    """``wanted`` different free indices of this step, or all there are, in random order."""
    drawn: list[int] = []
    size = len(step)
    if size > _TRIES:
        for _ in range(_TRIES):
            index = step[chance(size)]
            if index not in shut and index not in taken:
                drawn.append(index)
                shut.add(index)
                if len(drawn) == wanted:
                    return drawn
        wanted -= len(drawn)
    rest = [index for index in step if index not in taken and index not in shut]
    for place in range(min(wanted, len(rest))):
        other = place + chance(len(rest) - place)
        rest[place], rest[other] = rest[other], rest[place]
        drawn.append(rest[place])
    return drawn


def _lighter_first(drawn: Sequence[int], load: Mapping[int, int]) -> Iterator[int]:
    for at in range(0, len(drawn) - 1, 2):
        first, second = drawn[at], drawn[at + 1]
        yield from (second, first) if load.get(second, 0) < load.get(first, 0) else (first, second)
    if len(drawn) % 2:
        yield drawn[-1]


_ALLOWED: Final = {Geo.AREA: 1, Geo.COUNTRY: 2, Geo.ANY: 3}


def _ladder(wish: Wish) -> list[_Scope]:
    """The scopes that the wish allows, the narrowest first."""
    wished = [(wish.country, wish.area), (wish.country, ""), ("", "")]
    return list(dict.fromkeys(wished[: _ALLOWED[wish.geo]]))


def _index_of(pool: PoolMap, wish: Wish, number: E164 | None) -> int | None:
    """The index of a preferred or avoided number, where it may be offered at all."""
    found = None if number is None else pool.of(number)
    if found is None or found.suspended or found.reserved or not _suits(found, wish):
        return None
    return found.index if _ladder(wish)[-1] in _scopes_of(found) else None


def _suits(number: PoolNumber, wish: Wish) -> bool:
    return number.use is wish.use and wish.capabilities <= number.capabilities


def _scopes_of(number: PoolNumber) -> Iterable[_Scope]:
    """Every scope that this number is in; an area may be wished for without its country."""
    return {("", ""), (number.country, ""), (number.country, number.area), ("", number.area)}


def _subsets(capabilities: frozenset[Channel]) -> Iterator[frozenset[Channel]]:
    ordered = sorted(capabilities)
    for size in range(len(ordered) + 1):
        yield from map(frozenset, combinations(ordered, size))


class Constraint(StrEnum):
    """Which rule left nothing to offer. The first that does, in this order."""

    NUMBER_NOT_IN_POOL = "number_not_in_pool"
    NUMBER_OF_OTHER_USE = "number_of_other_use"
    NUMBER_LACKS_CAPABILITY = "number_lacks_capability"
    NUMBER_SUSPENDED = "number_suspended"
    NUMBER_HELD = "number_held_by_participant"
    NONE_OF_USE = "no_number_of_use"
    NONE_CAPABLE = "no_number_with_capabilities"
    NONE_IN_COUNTRY = "no_number_in_country"
    NONE_IN_AREA = "no_number_in_area"
    NONE_OFFERED = "all_suspended_or_reserved"
    ALL_HELD = "all_held_by_participant"


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why nothing, or too little, can be offered. ``matching`` numbers fit, ``held`` of them are this
    participant's already, live or in quarantine; ``missing`` more would be enough."""

    constraint: Constraint
    missing: int
    use: Use
    country: str
    area: str
    matching: int = 0
    held: int = 0


class Exhausted(Conflict):
    """The pool has no number to give: which constraint it is, and how many numbers are missing."""

    code = "POOL_EXHAUSTED"

    def __init__(self, shortage: Shortage) -> None:
        super().__init__(_in_words(shortage))
        self.shortage = shortage
        self.constraint: str = shortage.constraint.value
        self.shortfall: int = shortage.missing
        self.use: str = shortage.use.value
        self.country = shortage.country
        self.area = shortage.area


def shortage(pool: PoolMap, wish: Wish, taken: Collection[int], wanted: int = 1) -> Shortage | None:
    """Why ``wanted`` numbers cannot be offered; None where they can.

    ``taken`` must be complete here (from the ledger): what is told to people is what is so.
    """
    if wish.number is not None:
        reason = _named_fault(pool, wish, taken)
        return None if reason is None else _tell(reason, 1, wish)
    scope = _ladder(wish)[-1]
    offered = pool.offered(wish, scope)
    if not offered:
        return _tell(_first_empty(pool, wish, scope), wanted, wish)
    held = sum(index in taken for index in offered)
    if len(offered) - held >= wanted:
        return None
    return _tell(Constraint.ALL_HELD, wanted - (len(offered) - held), wish, len(offered), held)


def _named_fault(pool: PoolMap, wish: Wish, taken: Collection[int]) -> Constraint | None:
    named = None if wish.number is None else pool.of(wish.number)
    if named is None:
        return Constraint.NUMBER_NOT_IN_POOL
    if named.use is not wish.use:
        return Constraint.NUMBER_OF_OTHER_USE
    if not wish.capabilities <= named.capabilities:
        return Constraint.NUMBER_LACKS_CAPABILITY
    if named.suspended:
        return Constraint.NUMBER_SUSPENDED
    return Constraint.NUMBER_HELD if named.index in taken else None


def _first_empty(pool: PoolMap, wish: Wish, scope: _Scope) -> Constraint:
    """Which rule took the last number away; looks through the whole pool, for a refusal only."""
    of_use = [number for number in pool.numbers if number.use is wish.use]
    if not of_use:
        return Constraint.NONE_OF_USE
    capable = [number for number in of_use if wish.capabilities <= number.capabilities]
    if not capable:
        return Constraint.NONE_CAPABLE
    country, area = scope
    there = [number for number in capable if country in ("", number.country)]
    if not there:
        return Constraint.NONE_IN_COUNTRY
    if not any(area in ("", number.area) for number in there):
        return Constraint.NONE_IN_AREA
    return Constraint.NONE_OFFERED


def _tell(constraint: Constraint, missing: int, wish: Wish, matching: int = 0, held: int = 0) -> Shortage:
    scope = _ladder(wish)[-1] if wish.number is None else (wish.country, wish.area)
    return Shortage(constraint, missing, wish.use, scope[0], scope[1], matching, held)


_WORDS: Final = {
    Constraint.NUMBER_NOT_IN_POOL: "The number asked for is not in the pool",
    Constraint.NUMBER_OF_OTHER_USE: "The number asked for serves another use",
    Constraint.NUMBER_LACKS_CAPABILITY: "The number asked for lacks a capability that the session needs",
    Constraint.NUMBER_SUSPENDED: "The number asked for is suspended",
    Constraint.NUMBER_HELD: "The number asked for is held by this participant, live or in quarantine",
    Constraint.NONE_OF_USE: "The pool has no number of this use",
    Constraint.NONE_CAPABLE: "No number of this use has the capabilities that the session needs",
    Constraint.NONE_IN_COUNTRY: "No such number is in this country",
    Constraint.NONE_IN_AREA: "No such number is in this area",
    Constraint.NONE_OFFERED: "All numbers that match are suspended or reserved",
}


def _in_words(found: Shortage) -> str:
    where = " ".join(part for part in (found.country, found.area) if part) or "anywhere"
    if found.constraint is Constraint.ALL_HELD:
        said = f"{found.held} of the {found.matching} numbers that match are held by this participant"
    else:
        said = _WORDS[found.constraint]
    return f"{said} (use {found.use}, {where}); {found.missing} more needed."
