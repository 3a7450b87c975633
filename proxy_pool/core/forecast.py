"""How full a tenant's pool is, and when it will be full."""

from __future__ import annotations

from dataclasses import dataclass

from proxy_pool.core.number import PoolNumber, Use


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
