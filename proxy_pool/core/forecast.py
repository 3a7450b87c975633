"""How full a tenant's pool is, and when it will be full.

Three things bound a bucket (numbers that can stand in for one another), each by itself:

**Uniqueness, one number a side.** Nobody may hold a number twice, so the busiest participant, with Δ doors
live or in quarantine, needs Δ numbers; Δ always suffice, for each side is chosen by itself.

**Uniqueness, one number for both.** A session is then an edge between two people, a number its colour, and
who chooses as the sessions come needs up to 2Δ - 1 (first fit has at most Δ - 1 colours shut at each end;
an adversarial order reaches it). Plivo publishes the same: 2C - 1 numbers for C concurrent sessions.

**Reputation.** Carriers block numbers that too many people use: live doors / 100, which is Twilio's advice
(100 concurrent participants per number); Alibaba allows 200 pairs.

What a participant will hold follows from Little's law: sessions begin at a rate, a door is live for a
session's lifetime and then in quarantine, so doors = rate × (lifetime + quarantine), and live doors = rate ×
lifetime gives the rate. What is seen in quarantine counts where it is more: sessions may end early.

When: the doors of today go, and new ones come, within one lifetime and quarantine; between today's figure and
the one to come the way is taken as straight.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.party import ANYONE, EXTENSION

PER_NUMBER: Final = 100
"""Live doors that a number may have before its reputation suffers."""


@dataclass(frozen=True, slots=True)
class NumberLoad:
    """How many bindings are live and quarantined on a number."""

    number: PoolNumber
    live: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Busiest:
    """The keys that hold most: what bounds the pool. ``key`` is a real number."""

    key: str
    live: int
    quarantined: int

    def __repr__(self) -> str:
        return f"Busiest({self.live}, {self.quarantined})"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A supposed future for the forecast: factors of today's load, and other terms (seconds)."""

    sessions_factor: float = 1.0
    ttl_s: int | None = None
    quarantine_s: int | None = None
    extra_numbers: int = 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Numbers that can stand in for one another: one use, country and area."""

    use: Use
    country: str
    area: str
    numbers: int
    usable: int
    """Neither suspended nor reserved."""
    live: int
    quarantined: int
    busiest: int
    """Most doors that one participant holds here; when it reaches ``usable``, that participant is full."""
    headroom: int


@dataclass(frozen=True, slots=True)
class PoolView:
    """The pool as it stands."""

    buckets: tuple[Bucket, ...]
    numbers: tuple[NumberLoad, ...]


@dataclass(frozen=True, slots=True)
class BucketForecast:
    """What is to be expected of a bucket. ``needed``: how many usable numbers each rule asks for.

    ``exhausted_in_s`` is None where the present course does not exhaust it. ``shortfall`` is how many numbers
    are missing, 0 when it suffices.
    """

    bucket: Bucket
    arrivals_per_hour: float
    busiest: int
    needed_per_side: int
    needed_shared: int
    needed_by_load: int
    shortfall: int
    exhausted_in_s: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """``supposed`` is the what-if it was made for."""

    supposed: WhatIf
    buckets: tuple[BucketForecast, ...]
    quarantine_s: int
    mean_lifetime_s: float


@dataclass(frozen=True, slots=True)
class Observed:
    """A tenant's pool as it stands, and its terms. ``busiest`` are the keys that hold most, in all buckets.

    ``mean_lifetime_s`` is how long a session is open, 0 where it is not known. ``shared``: whether both sides
    of a session get one number.
    """

    loads: Sequence[NumberLoad]
    busiest: Sequence[Busiest]
    opened_per_hour: float
    mean_lifetime_s: float
    quarantine_s: int
    shared: bool = False


def buckets(loads: Sequence[NumberLoad], busiest: Sequence[Busiest]) -> tuple[Bucket, ...]:
    """The pool by bucket, in order of use, country and area."""
    return tuple(_bucket(numbers, busiest) for numbers in _grouped(loads))


def forecast(observed: Observed, supposed: WhatIf) -> Forecast:
    """What is to be expected if things are as supposed; ``WhatIf()`` supposes that they stay as they are.

    ``extra_numbers`` are added to each bucket.
    """
    course = _Course(observed, supposed)
    groups = _grouped(observed.loads)
    shares = _shares(groups)
    return Forecast(
        supposed=supposed,
        buckets=tuple(
            _foreseen(numbers, course, share) for numbers, share in zip(groups, shares, strict=True)
        ),
        quarantine_s=course.quarantine_s,
        mean_lifetime_s=course.lifetime_s,
    )


class _Course:
    """How doors multiply from what is observed to what is supposed."""

    def __init__(self, observed: Observed, supposed: WhatIf) -> None:
        self.observed = observed
        self.supposed = supposed
        self.lifetime_s = observed.mean_lifetime_s if supposed.ttl_s is None else float(supposed.ttl_s)
        self.quarantine_s = observed.quarantine_s if supposed.quarantine_s is None else supposed.quarantine_s

    def live(self, live: float) -> float:
        """Live doors to come, of those that are."""
        before = self.observed.mean_lifetime_s
        return live * self.supposed.sessions_factor * (self.lifetime_s / before if before > 0 else 1.0)

    def held(self, live: float, quarantined: float) -> float:
        """Doors live or in quarantine to come: the more of Little's law and what is seen in quarantine."""
        before_s, factor = self.observed.quarantine_s, self.supposed.sessions_factor
        seen = quarantined * factor * (self.quarantine_s / before_s if before_s > 0 else 1.0)
        before = self.observed.mean_lifetime_s
        by_law = live * factor * self.quarantine_s / before if before > 0 else 0.0
        return self.live(live) + max(seen, by_law)


def _foreseen(numbers: Sequence[NumberLoad], course: _Course, share: float) -> BucketForecast:
    observed = course.observed
    bucket = _bucket(numbers, observed.busiest)
    most = max(
        (
            course.held(one.live, one.quarantined) * _part_here(one, numbers)
            for one in _eligible(bucket.use, observed.busiest)
        ),
        default=0.0,
    )
    per_side = ceil(round(most, 6))
    shared = max(0, 2 * per_side - 1)
    by_load = ceil(round(course.live(bucket.live) / PER_NUMBER, 6))
    usable = bucket.usable + course.supposed.extra_numbers
    needed = max(shared if observed.shared else per_side, by_load)
    return BucketForecast(
        bucket=bucket,
        arrivals_per_hour=observed.opened_per_hour * share * course.supposed.sessions_factor,
        busiest=per_side,
        needed_per_side=per_side,
        needed_shared=shared,
        needed_by_load=by_load,
        shortfall=max(0, needed - usable),
        exhausted_in_s=_exhausted_in_s(bucket.busiest, most, usable, course),
    )


def _exhausted_in_s(now: float, then: float, usable: int, course: _Course) -> float | None:
    """When the busiest participant holds every usable number, on the straight way from now to then."""
    if now >= usable:
        return 0.0
    if then < usable:
        return None
    return (course.lifetime_s + course.quarantine_s) * (usable - now) / (then - now)


def _bucket(numbers: Sequence[NumberLoad], busiest: Sequence[Busiest]) -> Bucket:
    first = numbers[0].number
    usable = sum(not (one.number.suspended or one.number.reserved) for one in numbers)
    most = max(
        (_held_here(one, numbers) for one in _eligible(first.use, busiest)),
        default=0,
    )
    return Bucket(
        use=first.use,
        country=first.country,
        area=first.area,
        numbers=len(numbers),
        usable=usable,
        live=sum(one.live for one in numbers),
        quarantined=sum(one.quarantined for one in numbers),
        busiest=most,
        headroom=max(0, usable - most),
    )


def _held_here(one: Busiest, numbers: Sequence[NumberLoad]) -> int:
    """How many doors of this bucket a key can hold at most: none twice on a number, none on an idle one.

    Exact for a tenant with one bucket of its use; else the worst case, for a key's doors are only known in
    all buckets together.
    """
    return min(one.live + one.quarantined, sum(bool(load.live or load.quarantined) for load in numbers))


def _part_here(one: Busiest, numbers: Sequence[NumberLoad]) -> float:
    held = one.live + one.quarantined
    return _held_here(one, numbers) / held if held else 0.0


def _eligible(use: Use, busiest: Iterable[Busiest]) -> list[Busiest]:
    """The keys that can have doors on numbers of this use."""
    return [
        one
        for one in busiest
        if (use is Use.ANYONE or one.key != ANYONE)
        and (use is Use.EXTENSIONS or not one.key.startswith(EXTENSION))
    ]


def _grouped(loads: Sequence[NumberLoad]) -> list[list[NumberLoad]]:
    groups: dict[tuple[str, str, str], list[NumberLoad]] = {}
    for load in loads:
        number = load.number
        groups.setdefault((number.use.value, number.country, number.area), []).append(load)
    return [groups[key] for key in sorted(groups)]


def _shares(groups: Sequence[Sequence[NumberLoad]]) -> list[float]:
    """Each bucket's part of the tenant's new sessions: as its live doors, or else its numbers."""
    weights = [float(sum(load.live for load in numbers)) for numbers in groups]
    if not any(weights):
        weights = [float(len(numbers)) for numbers in groups]
    return [weight / sum(weights) for weight in weights]
