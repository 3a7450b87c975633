"""Which numbers a side is offered, in which order, and the truth about why there are none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.choice import (
    MOST,
    Constraint,
    Exhausted,
    PoolMap,
    Shortage,
    candidates,
    shortage,
)
from proxy_pool.core.number import Geo, PoolNumber, Use, Wish
from proxy_pool.core.session import Channel
from telephony.errors import Conflict
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

BOTH = frozenset(Channel)
VOICE = frozenset({Channel.VOICE})
SMS = frozenset({Channel.SMS})


def number(
    index: int,
    country: str = "US",
    area: str = "415",
    *,
    capabilities: frozenset[Channel] = BOTH,
    use: Use = Use.PAIRS,
    reserved: bool = False,
    suspended: bool = False,
) -> PoolNumber:
    return PoolNumber(
        f"num_{index}",
        TenantId("t"),
        e164(index),
        index,
        country,
        area,
        capabilities,
        use,
        reserved,
        suspended,
    )


def e164(index: int) -> E164:
    return E164(f"+1415{index:07d}")


def wish(
    country: str = "",
    area: str = "",
    geo: Geo = Geo.ANY,
    *,
    number: E164 | None = None,
    prefer: E164 | None = None,
    avoid: E164 | None = None,
    capabilities: frozenset[Channel] = VOICE,
    use: Use = Use.PAIRS,
) -> Wish:
    return Wish("+15550001111", capabilities, use, country, area, geo, number, prefer, avoid)


def dice(seed: int = 1) -> Callable[[int], int]:
    return random.Random(seed).randrange


def offered(pool: PoolMap, wanted: Wish, taken: frozenset[int] = frozenset(), seed: int = 1) -> list[int]:
    return list(candidates(pool, wanted, taken, {}, dice(seed)))


WORLD = PoolMap(
    [
        *(number(i, "US", "415") for i in range(3)),
        *(number(i, "US", "212") for i in range(10, 13)),
        *(number(i, "DE", "30") for i in range(20, 23)),
    ]
)


def test_the_narrowest_scope_comes_first_and_wider_ones_fill_up():
    found = offered(WORLD, wish("US", "415", Geo.ANY))
    assert len(found) == MOST
    assert set(found[:3]) == {0, 1, 2}
    assert set(found[3:6]) == {10, 11, 12}
    assert set(found[6:]) <= {20, 21, 22}


@pytest.mark.parametrize(
    ("geo", "allowed"),
    [
        (Geo.AREA, {0, 1, 2}),
        (Geo.COUNTRY, {0, 1, 2, 10, 11, 12}),
        (Geo.ANY, {0, 1, 2, 10, 11, 12, 20, 21, 22}),
    ],
)
def test_geography_is_relaxed_only_as_far_as_allowed(geo: Geo, allowed: set[int]):
    seen = {index for seed in range(30) for index in offered(WORLD, wish("US", "415", geo), seed=seed)}
    assert seen == allowed


def test_an_area_may_be_wished_for_without_its_country():
    assert set(offered(WORLD, wish("", "30", Geo.AREA))) == {20, 21, 22}
    assert set(offered(WORLD, wish("", "30", Geo.COUNTRY))[:3]) == {20, 21, 22}


def test_a_named_number_is_the_only_one_even_if_reserved():
    pool = PoolMap([number(0), number(1, reserved=True)])
    assert offered(pool, wish(number=e164(1), prefer=e164(0))) == [1]
    assert offered(pool, wish(number=e164(1)), frozenset({1})) == []
    assert offered(pool, wish()) == [0]
    assert offered(pool, wish(prefer=e164(1))) == [0]


@pytest.mark.parametrize("named", [True, False])
def test_suspended_numbers_are_never_offered(named: bool):
    pool = PoolMap([number(0), number(1, suspended=True)])
    wanted = wish(number=e164(1)) if named else wish(prefer=e164(1))
    assert 1 not in offered(pool, wanted)


def test_use_and_capabilities_always_match():
    pool = PoolMap([number(0, capabilities=SMS), number(1, use=Use.ANYONE), number(2), number(3)])
    assert set(offered(pool, wish())) == {2, 3}
    assert offered(pool, wish(number=e164(0))) == []
    assert offered(pool, wish(number=e164(1))) == []
    assert offered(pool, wish(use=Use.ANYONE)) == [1]
    assert set(offered(pool, wish(capabilities=SMS))) == {0, 2, 3}


def test_what_they_had_before_comes_first_if_geography_and_the_participant_allow():
    assert offered(WORLD, wish("US", "415", prefer=e164(11)))[0] == 11
    assert 11 not in offered(WORLD, wish("US", "415", Geo.AREA, prefer=e164(11)))
    assert 11 not in offered(WORLD, wish("US", "415", prefer=e164(11)), frozenset({11}))


def test_the_avoided_number_comes_last():
    assert offered(WORLD, wish("US", "415", Geo.AREA, avoid=e164(1)))[-1] == 1
    pool = PoolMap([number(i) for i in range(9)])
    assert all(4 not in offered(pool, wish(avoid=e164(4)), seed=seed) for seed in range(20))
    assert offered(pool, wish(avoid=e164(4)), frozenset(range(9)) - {4}) == [4]
    assert offered(pool, wish(avoid=e164(4), prefer=e164(4)), frozenset(range(9)) - {4, 5}) == [5, 4]


def test_the_lighter_of_two_goes_first():
    pool = PoolMap([number(0), number(1)])
    assert all(candidates(pool, wish(), (), {0: 5}, dice(seed)) == (1, 0) for seed in range(10))


def test_load_is_even():
    pool = PoolMap([number(i) for i in range(200)])
    rng, load = random.Random(7), Counter[int]()
    for _ in range(20_000):
        load[candidates(pool, wish(), (), load, rng.randrange)[0]] += 1
    assert min(load.values()) > 90
    assert max(load.values()) < 106


def test_a_stale_load_does_not_pile_onto_one_number():
    pool = PoolMap([number(i) for i in range(100)])
    stale = {i: i for i in range(100)}
    rng = random.Random(3)
    first = Counter(candidates(pool, wish(), (), stale, rng.randrange)[0] for _ in range(5_000))
    assert max(first.values()) < 3 * 5_000 / 100


def test_the_work_does_not_grow_with_the_pool():
    asked = 0

    def counting(n: int) -> int:
        nonlocal asked
        asked += 1
        return rng.randrange(n)

    rng = random.Random(5)
    pool = PoolMap([number(i) for i in range(10_000)])
    half = frozenset(range(0, 10_000, 2))
    assert len(candidates(pool, wish(), half, {}, counting)) == MOST
    assert asked <= 48


def test_nearly_everything_held_still_finds_what_is_left():
    pool = PoolMap([number(i) for i in range(10_000)])
    left = {17, 4_711, 9_999}
    assert set(offered(pool, wish(), frozenset(range(10_000)) - left)) == left


numbers = st.builds(
    lambda place, capabilities, use, reserved, suspended: (place, capabilities, use, reserved, suspended),
    st.sampled_from([("US", "415"), ("US", "212"), ("DE", "30")]),
    st.sampled_from([BOTH, VOICE, SMS]),
    st.sampled_from(Use),
    st.booleans(),
    st.booleans(),
)
indices = st.integers(0, 24)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    some = st.none() | indices.map(e164)
    return Wish(
        "+15550001111",
        draw(st.sampled_from([frozenset(), BOTH, VOICE, SMS])),
        draw(st.sampled_from(Use)),
        draw(st.sampled_from(["", "US", "DE", "FR"])),
        draw(st.sampled_from(["", "415", "30"])),
        draw(st.sampled_from(Geo)),
        draw(some),
        draw(some),
        draw(some),
    )


def allowed_by(wanted: Wish, one: PoolNumber) -> bool:
    """The rules, said once more and plainly."""
    if one.use is not wanted.use or not wanted.capabilities <= one.capabilities or one.suspended:
        return False
    if wanted.number is not None:
        return one.number == wanted.number
    same_country = wanted.country in ("", one.country)
    same_area = wanted.area in ("", one.area)
    here = {Geo.AREA: same_country and same_area, Geo.COUNTRY: same_country, Geo.ANY: True}[wanted.geo]
    return here and not one.reserved


@given(st.lists(numbers, max_size=24), wishes(), st.frozensets(indices), st.integers(0, 2**32))
def test_offers_are_lawful_and_complete_or_the_shortage_says_why(
    made: list[tuple[tuple[str, str], frozenset[Channel], Use, bool, bool]],
    wanted: Wish,
    taken: frozenset[int],
    seed: int,
):
    pool = PoolMap(
        number(i, *place, capabilities=caps, use=use, reserved=reserved, suspended=suspended)
        for i, (place, caps, use, reserved, suspended) in enumerate(made)
    )
    lawful = {one.index for one in pool.numbers if allowed_by(wanted, one)}
    found = offered(pool, wanted, taken, seed)
    assert len(found) == len(set(found)) == min(MOST, len(lawful - taken))
    assert set(found) <= lawful - taken
    reason = shortage(pool, wanted, taken)
    assert (reason is None) == bool(found)
    if reason is not None:
        assert reason.missing == 1
        assert (reason.constraint in (Constraint.ALL_HELD, Constraint.NUMBER_HELD)) == bool(lawful)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (wish(use=Use.ANYONE), Constraint.NONE_OF_USE),
        (wish(capabilities=SMS, use=Use.EXTENSIONS), Constraint.NONE_CAPABLE),
        (wish("FR", "", Geo.COUNTRY), Constraint.NONE_IN_COUNTRY),
        (wish("US", "305", Geo.AREA), Constraint.NONE_IN_AREA),
        (wish("GB", "", Geo.COUNTRY), Constraint.NONE_OFFERED),
        (wish("US", "212", Geo.AREA), Constraint.ALL_HELD),
        (wish(number=e164(99)), Constraint.NUMBER_NOT_IN_POOL),
        (wish(number=e164(4)), Constraint.NUMBER_OF_OTHER_USE),
        (wish(number=e164(2), capabilities=SMS), Constraint.NUMBER_LACKS_CAPABILITY),
        (wish(number=e164(5)), Constraint.NUMBER_SUSPENDED),
        (wish(number=e164(1)), Constraint.NUMBER_HELD),
    ],
)
def test_a_shortage_names_the_constraint(wanted: Wish, expected: Constraint):
    pool = PoolMap(
        [
            number(0),
            number(1, "US", "212"),
            number(2, capabilities=VOICE),
            number(4, use=Use.EXTENSIONS, capabilities=VOICE),
            number(5, "GB", "20", suspended=True),
            number(6, "GB", "20", reserved=True),
        ]
    )
    found = shortage(pool, wanted, frozenset({1}))
    assert found is not None
    assert (found.constraint, found.missing) == (expected, 1)


def test_a_shortage_counts_what_is_missing():
    pool = PoolMap([number(i) for i in range(5)])
    assert shortage(pool, wish(), frozenset({0, 1}), wanted=3) is None
    assert shortage(pool, wish("US", "415"), frozenset({0, 1, 2}), wanted=4) == Shortage(
        Constraint.ALL_HELD, 2, Use.PAIRS, "", "", matching=5, held=3
    )


def test_exhausted_is_a_conflict_that_names_constraint_bucket_and_shortfall():
    pool = PoolMap([number(0), number(1)])
    found = shortage(pool, wish("US", "415", Geo.AREA), frozenset({0, 1}))
    assert found is not None
    error = Exhausted(found)
    assert isinstance(error, Conflict)
    assert error.code == "POOL_EXHAUSTED"
    assert (error.constraint, error.shortfall) == ("all_held_by_participant", 1)
    assert (error.use, error.country, error.area) == ("pairs", "US", "415")
    assert error.message == (
        "2 of the 2 numbers that match are held by this participant (use pairs, US 415); 1 more needed."
    )
