"""Rate limits: a moving window of one minute per name, in this process or in Redis.

The window is estimated from two counters (this minute and the one before, weighted by how much of it
still counts): no burst of twice the limit at a minute's turn, and two numbers of memory per name.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

WINDOW_S: Final = 60
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a name stands. ``reset_s``: seconds until it may go on, or until this minute ends if it may."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Count:
    """Hits in the minute numbered ``window``, and in the one before."""

    window: int
    current: int
    previous: int


class Rates(Protocol):
    """Counts hits by name. ``take`` counts one if it is allowed; ``peek`` only looks."""

    async def take(self, name: str, limit: int) -> Rate: ...

    async def peek(self, name: str, limit: int) -> Rate: ...


def rolled(count: Count | None, now: float) -> Count:
    """The counters as they are at ``now`` (epoch seconds)."""
    window = int(now // WINDOW_S)
    if count is None or count.window < window - 1:
        return Count(window, 0, 0)
    if count.window == window - 1:
        return Count(window, 0, count.current)
    return count


def judge(count: Count, limit: int, now: float) -> Rate:
    """Whether one more hit is within ``limit`` a minute. ``remaining`` is what is left before it."""
    gone = (now % WINDOW_S) / WINDOW_S
    used = count.previous * (1 - gone) + count.current
    left_s = max(1, math.ceil(WINDOW_S * (1 - gone)))
    if used + 1 <= limit:
        return Rate(True, limit, int(limit - used), left_s)
    if count.current + 1 > limit or not count.previous:
        return Rate(False, limit, 0, left_s)
    free_at = 1 - (limit - 1 - count.current) / count.previous
    return Rate(False, limit, 0, max(1, math.ceil((free_at - gone) * WINDOW_S)))


class LocalRates:
    """Counters of this process. ``now`` gives epoch seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: OrderedDict[str, Count] = OrderedDict()

    async def take(self, name: str, limit: int) -> Rate:
        now = self._now()
        count = rolled(self._counts.get(name), now)
        rate = judge(count, limit, now)
        if rate.allowed:
            count = Count(count.window, count.current + 1, count.previous)
            rate = Rate(True, limit, rate.remaining - 1, rate.reset_s)
        self._counts[name] = count
        self._counts.move_to_end(name)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return rate

    async def peek(self, name: str, limit: int) -> Rate:
        now = self._now()
        return judge(rolled(self._counts.get(name), now), limit, now)
