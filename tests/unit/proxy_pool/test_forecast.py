"""How many numbers a pool needs, by each rule, and when it runs out."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.forecast import (
    PER_NUMBER,
    Bucket,
    BucketForecast,
    Busiest,
    NumberLoad,
    Observed,
    WhatIf,
    buckets,
    forecast,
)
from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.session import Channel
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

HOUR = 3600.0
DAY = 86_400


def load(
    index: int,
    live: int = 0,
    quarantined: int = 0,
    *,
    country: str = "US",
    area: str = "415",
    use: Use = Use.PAIRS,
    reserved: bool = False,
    suspended: bool = False,
) -> NumberLoad:
    number = PoolNumber(
        f"num_{index}",
        TenantId("t"),
        E164(f"+1415{index:07d}"),
        index,
        country,
        area,
        frozenset(Channel),
        use,
        reserved,
        suspended,
    )
    return NumberLoad(number, live, quarantined)


def person(live: int, quarantined: int = 0, key: str = "+15550001111") -> Busiest:
    return Busiest(key, live, quarantined)


def observed(
    numbers: int = 100,
    live: int = 10,
    quarantined: int = 0,
    busiest: tuple[Busiest, ...] = (),
    lifetime_s: float = HOUR,
    quarantine_s: int = 0,
) -> Observed:
    loads = [load(i, live, quarantined) for i in range(numbers)]
    return Observed(loads, busiest, 60.0, lifetime_s, quarantine_s)


def only(seen: Observed, supposed: WhatIf | None = None) -> BucketForecast:
    (found,) = forecast(seen, supposed or WhatIf()).buckets
    return found


def test_buckets_are_counted_by_use_country_and_area():
    loads = [
        load(1, 5, 2),
        load(2, 1, 0),
        load(3, suspended=True),
        load(4, 3, reserved=True),
        load(5, 7, area="212"),
        load(6, 9, use=Use.ANYONE),
    ]
    assert buckets(loads, [person(2, 1), person(1, 1, "+15550002222")]) == (
        Bucket(Use.ANYONE, "US", "415", 1, 1, 9, 0, busiest=1, headroom=0),
        Bucket(Use.PAIRS, "US", "212", 1, 1, 7, 0, busiest=1, headroom=0),
        Bucket(Use.PAIRS, "US", "415", 4, 2, 9, 2, busiest=3, headroom=0),
    )


def test_a_pool_with_nobody_in_it_needs_nothing():
    found = only(observed(live=0))
    assert (found.needed_per_side, found.needed_shared, found.needed_by_load) == (0, 0, 0)
    assert (found.shortfall, found.exhausted_in_s, found.bucket.headroom) == (0, None, 100)


def test_an_empty_pool_has_no_buckets():
    assert forecast(Observed([], [], 0.0, HOUR, 0), WhatIf()).buckets == ()


@pytest.mark.parametrize(("concurrent", "shared"), [(1, 1), (2, 3), (10, 19), (50, 99)])
def test_plivos_published_figure(concurrent: int, shared: int):
    found = only(observed(busiest=(person(concurrent),)))
    assert (found.needed_per_side, found.needed_shared) == (concurrent, shared)


def test_the_couriers_hundred_and_seventy_eight():
    """Three open, 25 new a day, seven days of quarantine: the planner's example."""
    lifetime = 3 / 25 * DAY
    found = only(observed(200, busiest=(person(3),), lifetime_s=lifetime, quarantine_s=7 * DAY))
    assert found.needed_per_side == 178
    assert found.shortfall == 0


def test_what_is_seen_in_quarantine_counts_where_it_is_more():
    seen = observed(busiest=(person(1, 40),), lifetime_s=90.0 * DAY, quarantine_s=7 * DAY)
    assert only(seen).needed_per_side == 41
    assert only(seen, WhatIf(quarantine_s=14 * DAY)).needed_per_side == 81
    assert only(seen, WhatIf(quarantine_s=0)).needed_per_side == 1


def test_a_million_open_sessions_want_twenty_thousand_numbers():
    found = only(observed(1000, live=2_000, busiest=(person(10),)))
    assert found.needed_by_load == 2_000_000 // PER_NUMBER
    assert found.shortfall == 19_000


def test_shared_numbers_count_where_sessions_share_them():
    seen = replace(observed(15, busiest=(person(10),)), shared=True)
    assert only(seen).shortfall == 4
    assert only(replace(seen, shared=False)).shortfall == 0


def test_extra_numbers_make_up_for_a_shortfall():
    seen = observed(100, busiest=(person(80),))
    assert only(seen, WhatIf(sessions_factor=2)).shortfall == 60
    assert only(seen, WhatIf(sessions_factor=2, extra_numbers=59)).shortfall == 1
    assert only(seen, WhatIf(sessions_factor=2, extra_numbers=60)).shortfall == 0


def test_when_the_busiest_is_full():
    seen = observed(100, busiest=(person(50),), lifetime_s=HOUR)
    assert only(seen).exhausted_in_s is None
    assert only(seen, WhatIf(sessions_factor=1.9)).exhausted_in_s is None
    assert only(seen, WhatIf(sessions_factor=2)).exhausted_in_s == HOUR
    assert only(seen, WhatIf(sessions_factor=3)).exhausted_in_s == HOUR / 2
    assert only(observed(100, busiest=(person(100),))).exhausted_in_s == 0.0


def test_a_longer_life_holds_more():
    seen = observed(100, busiest=(person(30),), lifetime_s=HOUR)
    assert only(seen, WhatIf(ttl_s=7200)).needed_per_side == 60
    assert only(seen, WhatIf(ttl_s=1800)).needed_per_side == 15


def test_anyones_key_bounds_only_the_numbers_open_to_anyone():
    loads = [load(i, 1, use=Use.ANYONE) for i in range(10)] + [load(20 + i, 1) for i in range(10)]
    anyone, pairs = buckets(loads, [person(10, key="*"), person(2), person(9, key="ext:204")])
    assert (anyone.busiest, pairs.busiest) == (10, 2)


def test_new_sessions_are_divided_as_the_live_doors_are():
    loads = [load(1, 30), load(2, 10, area="212")]
    found = forecast(Observed(loads, [], 100.0, HOUR, 0), WhatIf(sessions_factor=2))
    assert [one.arrivals_per_hour for one in found.buckets] == [50.0, 150.0]


def test_the_forecast_says_what_it_was_made_for():
    supposed = WhatIf(ttl_s=60, quarantine_s=5)
    found = forecast(observed(), supposed)
    assert (found.supposed, found.mean_lifetime_s, found.quarantine_s) == (supposed, 60.0, 5)


people = st.builds(person, st.integers(0, 60), st.integers(0, 60))
pools = st.builds(
    observed,
    st.integers(1, 150),
    st.integers(1, 500),
    st.integers(0, 500),
    st.lists(people, max_size=5).map(tuple),
    st.sampled_from([60.0, HOUR, 90.0 * DAY]),
    st.sampled_from([0, 3600, 7 * DAY]),
)
factors = st.floats(0, 20)


@given(pools, factors, st.none() | st.integers(1, DAY), st.none() | st.integers(0, 14 * DAY))
def test_sharing_needs_twice_as_many_but_one(
    seen: Observed, factor: float, ttl_s: int | None, quarantine_s: int | None
):
    found = only(seen, WhatIf(factor, ttl_s, quarantine_s))
    assert found.needed_shared == max(0, 2 * found.needed_per_side - 1)
    assert found.busiest == found.needed_per_side
    assert (found.exhausted_in_s is None) <= (found.needed_per_side <= found.bucket.usable)


@given(pools, factors, factors)
def test_more_sessions_never_need_less(seen: Observed, one: float, other: float):
    less, more = (only(seen, WhatIf(factor)) for factor in sorted((one, other)))
    assert less.needed_per_side <= more.needed_per_side
    assert less.needed_by_load <= more.needed_by_load
    assert less.shortfall <= more.shortfall
    assert (less.exhausted_in_s is None) or (more.exhausted_in_s is not None)
    if less.exhausted_in_s is not None and more.exhausted_in_s is not None:
        assert more.exhausted_in_s <= less.exhausted_in_s + 1e-6


@given(pools, st.integers(0, 14 * DAY), st.integers(0, 14 * DAY))
def test_a_longer_quarantine_never_needs_less(seen: Observed, one: int, other: int):
    shorter, longer = (only(seen, WhatIf(quarantine_s=q)) for q in sorted((one, other)))
    assert shorter.needed_per_side <= longer.needed_per_side


@given(pools)
def test_as_things_are_no_less_is_needed_than_is_held(seen: Observed):
    found = only(seen)
    assert found.needed_per_side >= found.bucket.busiest
    assert 0 <= found.bucket.headroom <= found.bucket.usable


@pytest.mark.parametrize("delta", [2, 3, 5, 10])
def test_first_fit_never_fails_with_so_many_numbers(delta: int):
    """The two bounds, tried out: sessions come and go, nobody has more than Δ, the lowest free is taken."""
    rng = random.Random(delta)
    found = only(observed(busiest=(person(delta),)))
    held: dict[int, set[int]] = {one: set() for one in range(12)}
    own: dict[int, set[int]] = {one: set() for one in range(12)}
    open_sessions: list[tuple[int, int, int, int, int]] = []
    most_shared = most_own = 0
    for _ in range(6_000):
        a, b = rng.sample(range(12), 2)
        if len(held[a]) < delta and len(held[b]) < delta:
            both = next(n for n in range(999) if n not in held[a] | held[b])
            mine = next(n for n in range(999) if n not in own[a])
            theirs = next(n for n in range(999) if n not in own[b])
            held[a].add(both), held[b].add(both)
            own[a].add(mine), own[b].add(theirs)
            open_sessions.append((a, b, both, mine, theirs))
            most_shared, most_own = max(most_shared, both + 1), max(most_own, mine + 1, theirs + 1)
        else:
            a, b, both, mine, theirs = open_sessions.pop(rng.randrange(len(open_sessions)))
            held[a].remove(both), held[b].remove(both)
            own[a].remove(mine), own[b].remove(theirs)
    assert delta < most_shared <= found.needed_shared
    assert most_own == found.needed_per_side
